"""Signing out (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

from enfilade.identity.provider import redirects
from enfilade.identity.provider.clients import Clients
from enfilade.identity.provider.front import Front
from enfilade.identity.provider.granted import Granted
from enfilade.identity.provider.messages import Answer, AskLogout, Done, LogoutRequest, Redirect, Step
from enfilade.identity.provider.mint import Mint
from enfilade.identity.provider.rows import ClientRow


class Leaving:
    """Signs browsers out: at once where an ID token says who it is, else after asking."""

    def __init__(self, front: Front, clients: Clients, granted: Granted, mint: Mint) -> None:
        self._front = front
        self._clients = clients
        self._granted = granted
        self._mint = mint

    async def log_out(self, request: LogoutRequest, browser: str, form: str) -> Answer:
        """Raises FormRefused. A browser is sent on only to where the client's registration says."""
        hint = await self._mint.hint(request.id_token_hint)
        named = hint.audience[0] if hint is not None and hint.audience else request.client_id
        client = await self._clients.find(named) if named else None
        if request.client_id and request.client_id != named:
            client = hint = None
        login = await self._front.login(browser)
        if form:
            self._front.check_form("logout", browser, form, None)
        elif login is not None and (hint is None or hint.sub != login.subject):
            address = self._address(request, client)
            return Answer(
                step=AskLogout(
                    form=self._front.form("logout", browser, None), target=redirects.origin(address) if address else ""
                )
            )
        if login is not None:
            await self._granted.log_out(login.hash)
        return Answer(step=self._next(request, client))

    def _address(self, request: LogoutRequest, client: ClientRow | None) -> str:
        """Where to send the browser on, if the client has registered it."""
        address = request.post_logout_redirect_uri
        return address if client is not None and redirects.registered(address, client.logouts) else ""

    def _next(self, request: LogoutRequest, client: ClientRow | None) -> Step:
        address = self._address(request, client)
        if not address:
            return Done(what="signed-out")
        return Redirect(location=redirects.extended(address, state=request.state) if request.state else address)

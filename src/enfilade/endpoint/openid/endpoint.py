"""`openid()`: the addresses of the app's own provider, where it has one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from enfilade.call import Call
from enfilade.endpoint.http import Request, Response
from enfilade.endpoint.openid import forms, pages, replies
from enfilade.endpoint.openid.addresses import addresses
from enfilade.endpoint.openid.forms import Form
from enfilade.endpoint.site import Served, Site
from enfilade.errors import NotFound
from enfilade.identity.people import LoginRefused
from enfilade.identity.provider import Provider, ProviderSettings
from enfilade.identity.provider.messages import (
    Answer,
    AskCode,
    AskLogout,
    Consent,
    Done,
    Goal,
    LogoutRequest,
    Redirect,
    SignIn,
    TokenRequest,
)
from enfilade.identity.provider.redirects import origin

_Exchange: TypeAlias = Callable[[Request], Awaitable[Response]]

_KEPT: Final = "public, max-age=300"
"""How long others may keep the discovery and the keys: much less than a key is published before it signs."""


@dataclass(frozen=True)
class OpenId:
    """The provider's addresses; see `openid`."""

    def serve(self, site: Site) -> Served:
        """At work for a site; it knows no address where the site has no provider."""
        return _Served(site)


def openid() -> OpenId:
    """Serve the app's own OpenID provider below the address that it is configured with, if `Provider` is a service."""
    return OpenId()


class _Served:
    """The addresses at work."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.prefix = ""
        self._routes: dict[tuple[str, str], _Exchange] = {}
        found = next((one for one in site.contracts if one.type is Provider), None)
        if found is None or not site.answers(found.name) or site.config.at(found.name).startswith("http"):
            return
        settings = site.config.settings(found.name, ProviderSettings).at(site.config.address)
        self._operations = {one.name: one for one in found.operations}
        self._title = settings.title
        self._path = self.prefix = settings.path
        self._secure = settings.secure
        self._cookie = "__Host-enfilade" if settings.secure else "enfilade"
        self._add()

    def knows(self, method: str, path: str) -> bool:
        return (method, path) in self._routes

    async def answer(self, request: Request) -> Response:
        exchange = self._routes.get((request.method, request.path))
        if exchange is None:
            return replies.error(NotFound(), self._site.name, None)
        return await exchange(request)

    def _add(self) -> None:
        exchanges: dict[str, _Exchange] = {
            "metadata": self._metadata, "keys": self._keys, "userinfo": self._userinfo, "token": self._token,
            "device_authorization": self._device_begins, "introspect": self._introspect, "revoke": self._revoke,
            "register": self._register, "authorize": self._authorize, "device": self._device, "logout": self._logout,
            "sign_in": self._sign_in, "consent": self._consent,
        }  # fmt: skip
        for path, name, methods, shared in addresses(self._path):
            self._routes.update({(method, path): exchanges[name] for method in methods})
            if shared:
                self._routes["OPTIONS", path] = _preflight(", ".join(one for one in methods if one != "HEAD"))

    # -- for programs

    async def _metadata(self, request: Request) -> Response:
        return await self._told(request, "metadata", lambda: _no_arguments(), cache=_KEPT)

    async def _keys(self, request: Request) -> Response:
        return await self._told(request, "keys", lambda: _no_arguments(), cache=_KEPT)

    async def _token(self, request: Request) -> Response:
        async def read() -> dict[str, Any]:
            form = await forms.body(request)
            return {"request": form.into(TokenRequest), "client": forms.credentials(request, form)}

        return await self._told(request, "token", read)

    async def _device_begins(self, request: Request) -> Response:
        async def read() -> dict[str, Any]:
            form = await forms.body(request)
            client = forms.credentials(request, form)
            return {"client": client, "scope": form.get("scope"), "resource": form.all("resource")}

        return await self._told(request, "device", read)

    async def _introspect(self, request: Request) -> Response:
        return await self._told(request, "introspect", lambda: _token_and_client(request))

    async def _revoke(self, request: Request) -> Response:
        return await self._told(request, "revoke", lambda: _token_and_client(request))

    async def _userinfo(self, request: Request) -> Response:
        async def read() -> dict[str, Any]:
            formed = request.method == "POST" and b"content-type" in request.fields
            return {"token": forms.bearer(request, await forms.body(request) if formed else None)}

        return await self._told(request, "userinfo", read)

    async def _register(self, request: Request) -> Response:
        async def read() -> dict[str, Any]:
            return {"client": await forms.metadata(request), "token": forms.bearer(request)}

        return await self._told(request, "register", read, status=201)

    async def _told(
        self,
        request: Request,
        name: str,
        read: Callable[[], Awaitable[dict[str, Any]]],
        *,
        status: int = 200,
        cache: str = "no-store",
    ) -> Response:
        call = self._call(request, name)
        call.read = lambda: self._arguments(call, read)
        try:
            result = await self._site.handlers[call.operation.id](call)
        except Exception as failed:
            return replies.error(failed, self._site.name, call)
        return replies.nothing(call) if result is None else replies.json(result, call, status, cache)

    # -- for people

    async def _authorize(self, request: Request) -> Response:
        async def read() -> tuple[Goal, dict[str, Any]]:
            form = await forms.body(request) if request.method == "POST" else forms.query(request)
            return Form({name: said for name, said in form.said.items() if name != "user_code"}).goal(), {}

        return await self._shown(request, "enter", read)

    async def _device(self, request: Request) -> Response:
        async def read() -> tuple[Goal, dict[str, Any]]:
            form = await forms.body(request) if request.method == "POST" else forms.query(request)
            return Form({"user_code": form.all("user_code")}).goal(), {}

        return await self._shown(request, "enter", read)

    async def _sign_in(self, request: Request) -> Response:
        async def read() -> tuple[Goal, dict[str, Any]]:
            forms.check_site(request)
            form = await forms.body(request)
            said = {"form": form.get("form"), "login": form.get("login"), "password": form.get("password")}
            return form.goal(), said

        return await self._shown(request, "sign_in", read)

    async def _consent(self, request: Request) -> Response:
        async def read() -> tuple[Goal, dict[str, Any]]:
            forms.check_site(request)
            form = await forms.body(request)
            return form.goal(), {"form": form.get("form"), "allow": form.get("allow") == "yes"}

        return await self._shown(request, "decide", read)

    async def _shown(
        self, request: Request, name: str, read: Callable[[], Awaitable[tuple[Goal, dict[str, Any]]]]
    ) -> Response:
        call = self._call(request, name)
        goal: list[Goal] = []

        async def arguments() -> dict[str, Any]:
            said, more = await read()
            goal.append(said)
            return {"goal": said, "browser": forms.cookie(request, self._cookie), **more}

        call.read = lambda: self._arguments(call, arguments)
        try:
            answer: Answer = await self._site.handlers[call.operation.id](call)
        except LoginRefused:
            return self._again(call, goal[0])
        except Exception as failed:
            return replies.error_page(self._title, failed, call)
        return self._step(call, answer, goal[0])

    async def _logout(self, request: Request) -> Response:
        call = self._call(request, "log_out")
        asked: list[LogoutRequest] = []

        async def arguments() -> dict[str, Any]:
            form = await forms.body(request) if request.method == "POST" else forms.query(request)
            asked.append(form.into(LogoutRequest))
            return {
                "request": asked[0],
                "browser": forms.cookie(request, self._cookie),
                "form": form.get("form") if request.method == "POST" else "",
            }

        call.read = lambda: self._arguments(call, arguments)
        try:
            answer: Answer = await self._site.handlers[call.operation.id](call)
        except Exception as failed:
            return replies.error_page(self._title, failed, call)
        if isinstance(answer.step, AskLogout):
            html = pages.ask_logout(self._title, self._path, answer.step, asked[0])
            return replies.page(html, call, target=answer.step.target)
        return self._step(call, answer, None)

    def _step(self, call: Call, answer: Answer, goal: Goal | None) -> Response:
        cookie, title, path = self._set(answer.browser), self._title, self._path
        match answer.step:
            case Redirect(location=location):
                return replies.redirect(location, call, cookie)
            case SignIn() as step if goal is not None:
                html, target = pages.sign_in(title, path, step, goal), step.target
            case Consent() as step if goal is not None:
                html, target = pages.consent(title, path, step, goal), step.target
            case AskCode() as step:
                html, target = pages.ask_code(title, path, step), ""
            case Done() as step:
                html, target = pages.done(title, step), ""
            case _:
                return replies.error_page(title, NotFound(), call)
        return replies.page(html, call, target=target, cookie=cookie)

    def _again(self, call: Call, goal: Goal) -> Response:
        """The same form once more: it was ours, and what it carries was found right before the password was wrong."""
        address = getattr(goal, "redirect_uri", "")
        target = origin(address) if address else ""
        step = SignIn(client="", hint=call.arguments["login"][:254], form=call.arguments["form"], target=target)
        html = pages.sign_in(self._title, self._path, step, goal, wrong=True)
        return replies.page(html, call, status=403, target=target)

    # -- calls

    def _call(self, request: Request, name: str) -> Call:
        operation, site = self._operations[name], self._site
        call = Call(operation, {}, site.clock, site.clock.monotonic() + operation.timeout)
        call.address = request.address
        if (parent := request.header(b"traceparent")) != "":
            site.recorder.attach(call, parent, request.header(b"tracestate"))
        return call

    async def _arguments(self, call: Call, read: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        return {**call.operation.defaults, **await read()}

    def _set(self, browser: str) -> str:
        """The browser's new cookie: for this host alone, out of reach of scripts, not sent with other sites' forms."""
        if not browser:
            return ""
        secure = "; Secure" if self._secure else ""
        return f"{self._cookie}={browser}; Path=/; HttpOnly; SameSite=Lax{secure}"


async def _no_arguments() -> dict[str, Any]:
    return {}


async def _token_and_client(request: Request) -> dict[str, Any]:
    form = await forms.body(request)
    return {"token": form.get("token"), "client": forms.credentials(request, form)}


def _preflight(methods: str) -> _Exchange:
    async def answer(_: Request) -> Response:
        return replies.preflight(methods)

    return answer

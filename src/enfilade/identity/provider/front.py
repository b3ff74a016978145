"""The browser's way: a client sends somebody here, he signs in, says whether the client may, and is sent back.

Errors go back to the client only where it and its address are known; anything else is `Refused`, for a page of ours.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from enfilade.call import Principal, current
from enfilade.clock import Clock
from enfilade.contract.codec import codec
from enfilade.identity.people import LoginRefused, People, Person, UnknownPerson
from enfilade.identity.provider import redirects
from enfilade.identity.provider.asked import resources, scope_of_person
from enfilade.identity.provider.clients import CODE, DEVICE, Clients, secret_of
from enfilade.identity.provider.granted import Allowed, Entered, Granted, Tables
from enfilade.identity.provider.messages import (
    Answer,
    AskCode,
    AuthorizationRequest,
    Consent,
    DeviceRequest,
    Done,
    Goal,
    Redirect,
    SignIn,
    Step,
)
from enfilade.identity.provider.mint import words
from enfilade.identity.provider.problems import FormRefused, Refused, refused
from enfilade.identity.provider.rows import ClientRow, CodeRow, ConsentRow, DeviceRow, LoginRow
from enfilade.identity.provider.seal import Host, digest, same
from enfilade.identity.provider.settings import ProviderSettings
from enfilade.identity.provider.throttle import Throttle

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
"""SHA-256 in base64url (RFC 7636, 4.2)."""
_PROMPTS: Final = frozenset(("none", "login", "consent", "select_account"))
_LONGEST: Final = 2048
"""Characters of a state, nonce or hint."""


@dataclass(frozen=True)
class _Asked:
    """A request that can be answered: who asks for what, for whom."""

    client: ClientRow
    scope: str
    resources: tuple[str, ...]
    request: AuthorizationRequest | None = None
    device: DeviceRow | None = None

    @property
    def prompt(self) -> frozenset[str]:
        return frozenset(self.request.prompt.split()) if self.request is not None else frozenset()

    @property
    def tenant(self) -> str:
        """Whose people may sign in; a client of a tenant has no others."""
        return self.client.realm or (self.request.tenant if self.request is not None else "")

    @property
    def target(self) -> str:
        return redirects.origin(self.request.redirect_uri) if self.request is not None else ""


class _Error(Exception):
    """An error that is told to the client."""

    def __init__(self, error: str, detail: str = "") -> None:
        self.error = error
        self.detail = detail


class Front:
    """Answers what browsers ask."""

    def __init__(
        self,
        people: People,
        clients: Clients,
        tables: Tables,
        granted: Granted,
        settings: ProviderSettings,
        host: Host,
        clock: Clock,
    ) -> None:
        self._people = people
        self._clients = clients
        self._tables = tables
        self._granted = granted
        self._settings = settings
        self._host = host
        self._clock = clock
        self._throttle = Throttle(clock)

    async def enter(self, goal: Goal, browser: str) -> Answer:
        """The first page, or the answer where nothing needs to be asked."""
        return await self._told(goal, self._enter(goal, browser))

    async def sign_in(self, goal: Goal, browser: str, form: str, login: str, password: str) -> Answer:
        """The page after, in a browser that has a new cookie: who knew the one before knows nothing now."""
        self.check_form("sign-in", browser, form, goal)
        return await self._told(goal, self._signed_in(goal, browser, login, password))

    async def decide(self, goal: Goal, browser: str, form: str, allow: bool) -> Answer:
        """He said yes or no."""
        self.check_form("consent", browser, form, goal)
        return await self._told(goal, self._decided(goal, browser, allow))

    async def login(self, browser: str) -> LoginRow | None:
        """Who is signed in in a browser."""
        row = await self._tables.logins.get(digest(browser)) if browser else None
        return row if row is not None and row.ends > self._clock.now() else None

    def form(self, purpose: str, browser: str, about: Goal | None) -> str:
        """What a form of ours has in it, for one purpose, one browser and one request."""
        said = codec(AuthorizationRequest).encode(about).decode() if isinstance(about, AuthorizationRequest) else ""
        code = about.user_code if isinstance(about, DeviceRequest) else ""
        return self._host.mark(purpose, browser, said, code)

    def check_form(self, purpose: str, browser: str, form: str, about: Goal | None) -> None:
        """Raises FormRefused."""
        if not browser or not same(form, self.form(purpose, browser, about)):
            raise FormRefused()

    # -- the steps

    async def _told(self, goal: Goal, step: Awaitable[Answer]) -> Answer:
        try:
            return await step
        except _Error as error:
            return Answer(step=self._back(goal, error))

    async def _enter(self, goal: Goal, browser: str) -> Answer:
        cookie = "" if browser else secret_of(self._clock)
        asked = await self._asked(goal)
        if asked is None:
            return Answer(step=AskCode(wrong=_said(goal)), browser=cookie)
        login = await self.login(browser)
        if login is not None and not self._again(asked, login):
            return Answer(step=await self._on(goal, asked, login, browser), browser=cookie)
        if "none" in asked.prompt:
            raise _Error("login_required")
        return Answer(step=self._sign_in(goal, asked, browser or cookie), browser=cookie)

    async def _signed_in(self, goal: Goal, browser: str, login: str, password: str) -> Answer:
        asked = await self._asked(goal)
        if asked is None:
            return Answer(step=AskCode(wrong=True))
        person = await self._authenticated(asked, login, password)
        cookie, now = secret_of(self._clock), self._clock.now()
        row = LoginRow(
            hash=digest(cookie), subject=person.subject, realm=person.tenant, at=now, assurance=person.assurance,
            ends=now + timedelta(seconds=self._settings.seconds("session")),
        )  # fmt: skip
        if self._unmet(asked, row):
            raise _Error("unmet_authentication_requirements")
        return Answer(step=await self._on(goal, asked, row, cookie, before=browser, person=person), browser=cookie)

    async def _decided(self, goal: Goal, browser: str, allow: bool) -> Answer:
        asked = await self._asked(goal)
        if asked is None:
            return Answer(step=AskCode(wrong=True))
        login = await self.login(browser)
        if login is None:
            return Answer(step=self._sign_in(goal, asked, browser))
        self._seen(asked, login)
        return Answer(step=await self._allow(asked, login) if allow else await self._denied(asked))

    # -- what is asked

    async def _asked(self, goal: Goal) -> _Asked | None:
        """Raises Refused for a page of ours, _Error for the client; None where a device's code is not known."""
        if isinstance(goal, DeviceRequest):
            return await self._device(goal.user_code)
        client = await self._clients.find(goal.client_id)
        if client is None or CODE not in client.grants:
            raise refused("invalid_client", "This address was made by a program that is not known here.")
        if not redirects.registered(goal.redirect_uri, client.redirects):
            raise refused("invalid_request", f"{client.name} may not send you on to the address that it names.")
        _check(goal)
        try:
            scope = scope_of_person(goal.scope, client)
            wanted = resources(goal.resource, client, self._host)
        except Refused as wrong:
            raise _Error(wrong.error, wrong.detail) from wrong
        if client.realm and goal.tenant not in ("", client.realm):
            raise _Error("invalid_request", "The client is of another tenant.")
        return _Asked(client, scope, wanted, request=goal)

    async def _device(self, user_code: str) -> _Asked | None:
        code = "".join(one for one in user_code.upper() if one.isalnum())
        rows = await self._tables.devices.find("user_code = :code", code=digest(code)) if code else ()
        device = rows[0] if rows else None
        if device is None or device.state != "waiting" or device.ends <= self._clock.now():
            return None
        client = await self._clients.find(device.client)
        if client is None or DEVICE not in client.grants:
            return None
        return _Asked(client, device.scope, device.resources, device=device)

    def _again(self, asked: _Asked, login: LoginRow) -> bool:
        """Whether somebody who is signed in has to prove again who he is."""
        if asked.tenant and login.realm != asked.tenant:
            return True
        if asked.request is None:
            return False
        if not asked.prompt.isdisjoint(("login", "select_account")) or self._unmet(asked, login):
            return True
        age = asked.request.max_age
        return bool(age) and login.at + timedelta(seconds=int(age)) <= self._clock.now()

    def _unmet(self, asked: _Asked, login: LoginRow) -> bool:
        """Whether he proved it less well than asked (RFC 9470, 3)."""
        wanted = asked.request.acr_values.split() if asked.request is not None else []
        return bool(wanted) and login.assurance not in wanted

    # -- what comes next

    async def _authenticated(self, asked: _Asked, login: str, password: str) -> Person:
        name = f"{asked.tenant}\n{login.strip().casefold()[:200]}"
        async with self._throttle.attempt(current().address, name) as attempt:
            person = await self._people.authenticate(login, password, asked.tenant)
            if asked.tenant and person.tenant != asked.tenant:
                raise LoginRefused()
            attempt.right = True
        return person

    async def _on(
        self,
        goal: Goal,
        asked: _Asked,
        login: LoginRow,
        browser: str,
        *,
        before: str = "",
        person: Person | None = None,
    ) -> Step:
        """Ask for consent where it is needed, or go on; `before` is the cookie before a login that is new."""
        self._seen(asked, login)
        if not await self._consents(asked, login):
            return await self._allow(asked, login, before)
        if "none" in asked.prompt:
            raise _Error("consent_required")
        if person is None:
            try:
                person = await self._people.person(login.subject)
            except UnknownPerson:
                return self._sign_in(goal, asked, browser)
        if before:
            await self._granted.store(Entered(login, digest(before)), None)
        return Consent(
            client=asked.client.name, scopes=words(asked.scope), person=person.name or person.email or person.subject,
            user_code=_shown(goal), form=self.form("consent", browser, goal), target=asked.target,
        )  # fmt: skip

    async def _consents(self, asked: _Asked, login: LoginRow) -> bool:
        """Whether he has to be asked: always of a device and of an app that anybody may pretend to be."""
        if asked.device is not None or "consent" in asked.prompt:
            return True
        if not asked.client.consent:
            return False
        if asked.client.method == "none" and asked.request and redirects.native(asked.request.redirect_uri):
            return True
        before = await self._tables.consents.get(login.subject, asked.client.id)
        return before is None or not set(words(asked.scope)) <= set(words(before.scope))

    async def _allow(self, asked: _Asked, login: LoginRow, before: str = "") -> Step:
        nonce = asked.request.nonce if asked.request is not None else ""
        granted = self._granted.sign_in(asked.client.id, login, asked.scope, asked.resources, nonce)
        consent = ConsentRow(subject=login.subject, client=asked.client.id, scope=asked.scope, since=self._clock.now())
        entered = Entered(login, digest(before)) if before else None
        if asked.device is not None:
            device = asked.device.replace(state="allowed", granted=granted.id)
            done = await self._granted.store(entered, Allowed(granted, consent, device=device))
            return Done(what="allowed") if done else AskCode(wrong=True)
        request = asked.request
        assert request is not None
        code = secret_of(self._clock)
        ends = self._clock.now() + timedelta(seconds=self._settings.seconds("code"))
        row = CodeRow(
            hash=digest(code), granted=granted.id, redirect=request.redirect_uri, challenge=request.code_challenge,
            used=False, ends=ends,
        )  # fmt: skip
        await self._granted.store(entered, Allowed(granted, consent, code=row))
        return Redirect(
            location=redirects.extended(request.redirect_uri, code=code, state=request.state, iss=self._settings.issuer)
        )

    async def _denied(self, asked: _Asked) -> Step:
        if asked.device is None:
            raise _Error("access_denied")
        await self._granted.deny(asked.device)
        return Done(what="denied")

    def _seen(self, asked: _Asked, login: LoginRow) -> None:
        """Let the audit name who it is."""
        current().caller = Principal(
            subject=login.subject, tenant=login.realm, issuer=self._settings.issuer, client=asked.client.id,
            authenticated=login.at.timestamp(), assurance=login.assurance,
        )  # fmt: skip

    def _sign_in(self, goal: Goal, asked: _Asked, browser: str) -> SignIn:
        hint = asked.request.login_hint[:_LONGEST] if asked.request is not None else ""
        form = self.form("sign-in", browser, goal)
        return SignIn(client=asked.client.name, hint=hint, form=form, target=asked.target)

    def _back(self, goal: Goal, error: _Error) -> Redirect:
        """The error, to the client (RFC 6749, 4.1.2.1); by whom it is told, too (RFC 9207)."""
        assert isinstance(goal, AuthorizationRequest)
        state = goal.state if len(goal.state) <= _LONGEST else ""
        location = redirects.extended(
            goal.redirect_uri, error=error.error, error_description=error.detail, state=state,
            iss=self._settings.issuer,
        )  # fmt: skip
        return Redirect(location=location)


def _check(request: AuthorizationRequest) -> None:
    """What is wrong with a request whose client and address are right."""
    if request.request or request.request_uri:
        raise _Error("request_not_supported" if request.request else "request_uri_not_supported")
    if request.response_type != "code":
        raise _Error("unsupported_response_type", "There are codes only: response_type=code.")
    if request.response_mode not in ("", "query"):
        raise _Error("invalid_request", "Answers are in the query: response_mode=query.")
    if request.code_challenge_method != "S256" or not _CHALLENGE.fullmatch(request.code_challenge):
        raise _Error("invalid_request", "PKCE is needed: code_challenge with code_challenge_method=S256.")
    if request.max_age and not re.fullmatch(r"\d{1,9}", request.max_age):
        raise _Error("invalid_request", "max_age is a number of seconds.")
    prompt = request.prompt.split()
    if not _PROMPTS.issuperset(prompt) or ("none" in prompt and len(prompt) > 1):
        raise _Error("invalid_request", "prompt is none alone, or some of login, consent and select_account.")
    if max(len(request.state), len(request.nonce), len(request.login_hint)) > _LONGEST:
        raise _Error("invalid_request", f"state, nonce and login_hint have up to {_LONGEST} characters.")


def _said(goal: Goal) -> bool:
    return isinstance(goal, DeviceRequest) and bool(goal.user_code)


def _shown(goal: Goal) -> str:
    return goal.user_code if isinstance(goal, DeviceRequest) else ""

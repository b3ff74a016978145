"""An app with a provider, people who sign in, a browser, and clients of others' making."""

from __future__ import annotations

import base64
import hashlib
import json
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from html.parser import HTMLParser
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from joserfc import jws
from joserfc.jwk import import_key

from enfilade import App, Scope, any_tenant, contract, current, peers, query, signed_in
from enfilade.config import Config
from enfilade.identity.people import LoginRefused, People, Person, UnknownPerson
from enfilade.identity.provider import Provider, ProviderSettings
from enfilade.identity.provider.clients import Clients
from enfilade.identity.provider.rows import ClientRow, InviteRow
from enfilade.supplies import host_of
from enfilade.testing import Stage

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own, about its parts

    from authlib.integrations.httpx_client import AsyncOAuth2Client

ISSUER = "http://127.0.0.1:8080"
CALLBACK = "https://client.example/back"
VERIFIER = "correct-horse-battery-staple-correct-horse-battery"


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@contract(needs=peers & any_tenant)
class Folk(People, Protocol):
    """People of the app's own."""


class Known:
    """Ann, and Bob of a tenant; whoever else is put in."""

    def __init__(self) -> None:
        self.people = {
            "ann": Person(
                subject="acc_ann", name="Ann <Arbor>", email="ann@example.com", email_verified=True, roles=("editor",)
            ),
            "bob": Person(subject="acc_bob", tenant="acme", name="Bob"),
        }
        self.asked: list[str] = []

    async def authenticate(self, login: str, password: str, tenant: str = "") -> Person:
        self.asked.append(login)
        person = self.people.get(login)
        if person is None or password != f"{login}'s password":
            raise LoginRefused()
        return person

    async def person(self, subject: str) -> Person:
        for one in self.people.values():
            if one.subject == subject:
                return one
        raise UnknownPerson()


@contract(needs=signed_in)
class Orders(Protocol):
    @query("GET /me")
    async def me(self) -> str: ...

    @query("GET /orders", needs=Scope("orders:read"))
    async def orders(self) -> str: ...


class OrdersService:
    async def me(self) -> str:
        caller = current().caller
        assert caller is not None
        return f"{caller.subject} {caller.kind} {caller.tenant} {' '.join(sorted(caller.roles))}"

    async def orders(self) -> str:
        return "none"


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = said["action"]
        elif tag == "input" and "name" in said:
            self.fields.append((said["name"], said.get("value", "")))


class Browser:
    """Follows forms as a browser without scripts does; keeps the cookie."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def get(self, url: str, **parameters: str) -> httpx2.Response:
        return await self.http.get(url, params=parameters or None)

    def form(self, page: httpx2.Response) -> tuple[str, dict[str, str]]:
        parser = _Forms()
        parser.feed(page.text)
        return parser.action, dict(parser.fields)

    async def submit(self, page: httpx2.Response, **filled: str) -> httpx2.Response:
        action, fields = self.form(page)
        return await self.http.post(action, data={**fields, **filled})

    async def sign_in(self, page: httpx2.Response, login: str = "ann", password: str = "") -> httpx2.Response:
        return await self.submit(page, login=login, password=password or f"{login}'s password")


class World:
    """All of it."""

    ISSUER, CALLBACK, VERIFIER = ISSUER, CALLBACK, VERIFIER
    challenge = staticmethod(challenge)

    def __init__(self, stage: Stage, people: Known, exit: AsyncExitStack) -> None:
        self.stage = stage
        self.people = people
        self._exit = exit
        self.store = stage.running.stores["provider"]
        self.host = host_of(stage.app.config or Config(), stage.app.name)

    async def http(self, address: str = "192.0.2.1") -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app=self.stage.app, client=(address, 40000))
        return await self._exit.enter_async_context(httpx2.AsyncClient(transport=transport, base_url=ISSUER))

    async def browser(self, address: str = "192.0.2.1") -> Browser:
        return Browser(await self.http(address))

    @property
    def clients(self) -> Clients:
        tables = self.store.table(ClientRow), self.store.table(InviteRow)
        return Clients(*tables, ProviderSettings(), self.stage.clock)

    async def client(self, name: str = "Shop", **said: Any) -> tuple[ClientRow, str]:
        async with self.store.unit():
            said.setdefault("redirects", (CALLBACK,))
            return await self.clients.add(name, **said)

    async def oauth(self, client: ClientRow, secret: str | None = None, **said: Any) -> Any:
        """A client that nobody here wrote."""
        said.setdefault("token_endpoint_auth_method", "client_secret_basic" if secret else "none")
        transport = httpx2.ASGITransport(app=self.stage.app, client=("192.0.2.9", 1))
        made: Any = AsyncOAuth2Client(
            client.id, secret or None, transport=transport, redirect_uri=CALLBACK, code_challenge_method="S256",
            base_url=ISSUER, **said,
        )  # fmt: skip
        return await self._exit.enter_async_context(made)

    def request(self, client: ClientRow, **changes: str) -> dict[str, str]:
        said = {
            "client_id": client.id, "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid profile email",
            "state": "xyz", "code_challenge": challenge(VERIFIER), "code_challenge_method": "S256", **changes,
        }  # fmt: skip
        return {name: value for name, value in said.items() if value}

    async def allowed(self, client: ClientRow, browser: Browser | None = None, **changes: str) -> dict[str, str]:
        """The parameters that come back to the client once Ann has signed in and allowed it."""
        browser = browser or await self.browser()
        page = await browser.get("/authorize", **self.request(client, **changes))
        if page.status_code == 200 and "password" in self.form(page):
            page = await browser.sign_in(page)
        if page.status_code == 200:
            page = await browser.submit(page, allow="yes")
        return self.back(page)

    def form(self, page: httpx2.Response) -> dict[str, str]:
        return Browser.form(None, page)[1]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def back(self, answer: httpx2.Response) -> dict[str, str]:
        assert answer.status_code == 303, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    async def token(self, client: ClientRow, secret: str = "", **said: str) -> httpx2.Response:
        auth = (client.id, secret) if secret else None
        fields = said if secret else {"client_id": client.id, **said}
        http = await self.http()
        return await (http.post("/token", data=fields, auth=auth) if auth else http.post("/token", data=fields))

    async def exchanged(self, client: ClientRow, secret: str, **changes: str) -> dict[str, Any]:
        """Tokens for Ann."""
        back = await self.allowed(client, None, **changes)
        answer = await self.token(
            client, secret, grant_type="authorization_code", code=back["code"], redirect_uri=CALLBACK,
            code_verifier=VERIFIER,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def claims(self, token: str) -> dict[str, Any]:
        """What a token says, its signature checked by what the provider publishes."""
        keys = (await (await self.http()).get("/jwks.json")).json()["keys"]
        header = jws.extract_compact(token.encode()).headers()
        key = import_key(next(one for one in keys if one["kid"] == header["kid"]))
        return json.loads(jws.deserialize_compact(token, key, algorithms=[header["alg"]]).payload)


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


@pytest.fixture
def data() -> str:
    return "sqlite::memory:"


@pytest.fixture
async def world(settings: dict[str, Any], data: str) -> AsyncIterator[World]:
    people = Known()
    app = App("shop", services=[Provider, Folk, Orders])
    app.service(Orders).by(OrdersService)
    config = Config(
        data=data,
        codec="always",
        service={"provider": {"issuer": ISSUER, "algorithm": "ES256", **settings}},
    )
    async with AsyncExitStack() as exit:
        stage = await exit.enter_async_context(Stage(app, config=config).given(Folk).by(people))
        yield World(stage, people, exit)

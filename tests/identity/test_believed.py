"""A whole app that believes an issuer of somebody else's, by its address and nothing more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Protocol, final

import pytest

from enfilade import App, anyone, command, contract, current, query, signed_in
from enfilade.config import Config
from enfilade.identity import Issuer, Revoked, Verifier
from enfilade.testing import Stage


@contract(needs=signed_in)
class Desk(Protocol):
    @query("GET /me")
    async def me(self) -> str: ...

    @command("POST /log-out")
    async def log_out(self) -> None: ...

    @query("GET /news", needs=anyone)
    async def news(self) -> str: ...


@final
class DeskService(Desk):
    def __init__(self, verifier: Verifier) -> None:
        self.verifier = verifier

    async def me(self) -> str:
        return current().me

    async def log_out(self) -> None:
        call = current()
        assert call.caller is not None
        until = call.now.timestamp() + 3600
        self.verifier.deny(Revoked(issuer=call.caller.issuer, by="sub", value=call.me, until=until))

    async def news(self) -> str:
        return "none"


class Vendor:
    """A provider of somebody else's, on a port of this machine."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        page = self.pages.get(path)
        body = json.dumps(page).encode()
        status = "404 Not Found" if page is None else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        writer.close()


@pytest.fixture
async def vendor(forge: Any) -> AsyncIterator[Vendor]:
    vendor = Vendor()
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
    vendor.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/realms/shop"
    where = "/realms/shop/.well-known/openid-configuration"
    vendor.pages = {
        where: {"issuer": vendor.url, "jwks_uri": f"{vendor.url}/keys"},
        "/realms/shop/keys": {"keys": forge.public},
    }
    async with server:
        yield vendor


@pytest.fixture
async def desk(vendor: Vendor, forge: Any) -> AsyncIterator[Stage]:
    app = App("shop", services=[Desk])
    app.service(Desk).by(DeskService)
    config = Config(data="sqlite::memory:", issuers=(Issuer(url=vendor.url, audience="shop"),))
    async with Stage(app, config=config) as stage:
        forge.clock = stage.clock
        yield stage


def bearer(forge: Any, vendor: Vendor, **claims: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {forge.token(forge.claims(iss=vendor.url, **claims))}"}


async def test_its_tokens_are_believed_by_its_address_alone(desk: Stage, vendor: Vendor, forge: Any) -> None:
    answer = await desk.http.get("/me", headers=bearer(forge, vendor))

    assert (answer.status_code, answer.json()) == (200, "alice")


async def test_an_issuer_that_sends_us_elsewhere_within_for_its_keys_is_not_followed(
    desk: Stage, vendor: Vendor, forge: Any
) -> None:
    for elsewhere in ("http://127.0.0.1:1/keys", "https://10.0.0.1/keys", "https://169.254.169.254/latest/"):
        vendor.pages["/realms/shop/.well-known/openid-configuration"]["jwks_uri"] = elsewhere

        assert (await desk.http.get("/me", headers=bearer(forge, vendor))).status_code == 503
        await desk.advance(11)


async def test_who_logs_out_is_nobody_at_once_and_everybody_else_is_who_he_was(
    desk: Stage, vendor: Vendor, forge: Any
) -> None:
    alice, bob = bearer(forge, vendor), bearer(forge, vendor, sub="bob")
    assert (await desk.http.get("/me", headers=bob)).json() == "bob"

    assert (await desk.http.post("/log-out", headers=alice)).status_code == 204

    assert (await desk.http.get("/me", headers=alice)).status_code == 401
    assert (await desk.http.get("/news", headers=alice)).status_code == 401
    assert (await desk.http.get("/me", headers=bob)).json() == "bob"


async def test_while_its_keys_cannot_be_had_the_answer_is_503_and_tells_nothing_of_why(
    desk: Stage, vendor: Vendor, forge: Any
) -> None:
    vendor.pages = {}

    answer = await desk.http.get("/me", headers=bearer(forge, vendor))

    assert answer.status_code == 503
    assert vendor.url not in answer.text

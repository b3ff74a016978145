"""HTTP/3, by a client of its own: what is advertised is spoken, and guarded like the rest."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent
from post.pem import certificate

from enfilade import signed_in
from enfilade.clock import SystemClock
from enfilade.edge import Edge, Gateway, Listen, Route, Share, Upstream
from enfilade.identity import DevelopmentIssuer, Tokens

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Client(QuicConnectionProtocol):
    """Asks one thing after the other."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._http = H3Connection(self._quic)
        self._answers: dict[int, tuple[dict[str, str], bytearray, asyncio.Event]] = {}

    async def ask(
        self, method: str, path: str, body: bytes = b"", fields: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        stream = self._quic.get_next_available_stream_id()
        said, read, over = self._answers[stream] = {}, bytearray(), asyncio.Event()
        head = {":method": method, ":scheme": "https", ":authority": "localhost", ":path": path, **(fields or {})}
        self._http.send_headers(stream, [(name.encode(), value.encode()) for name, value in head.items()], not body)
        if body:
            self._http.send_data(stream, body, end_stream=True)
        self.transmit()
        async with asyncio.timeout(15):
            await over.wait()
        return int(said[":status"]), said, bytes(read)

    def quic_event_received(self, event: QuicEvent) -> None:
        for one in self._http.handle_event(event):
            if isinstance(one, HeadersReceived | DataReceived):
                said, read, over = self._answers[one.stream_id]
                if isinstance(one, HeadersReceived):
                    said.update((name.decode(), value.decode()) for name, value in one.headers)
                else:
                    read += one.data
                if one.stream_ended:
                    over.set()


@pytest_asyncio.fixture(loop_scope="session")
async def client(town: Any, tmp_path: Path) -> AsyncGenerator[Client]:
    """A connection to an edge that speaks it, with one route for everybody and one for those who are known."""
    listen = Listen(port=town.free_port(), certificate=certificate(tmp_path, "edge"), http3=True)
    to = (Share(upstream="first"),)
    routes = (
        Route(id="all", path="/open", below=True, need=None, to=to),
        Route(id="known", path="/known", methods=("GET", "POST"), need=signed_in, to=to, body=1000),
    )
    issuer = DevelopmentIssuer(tmp_path, "quick")
    upstream = Upstream(name="first", at=(town.first.address,))
    edge = Edge(name="quick", listen=(listen,), upstreams=(upstream,), routes=routes, issuers=(issuer.issuer,))
    settings = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name="localhost")
    assert listen.certificate is not None
    settings.load_verify_locations(str(listen.certificate.chain))
    settings.verify_mode = ssl.CERT_REQUIRED
    async with (
        Gateway(edge, tmp_path / "e", workers=1),
        connect("127.0.0.1", listen.port, configuration=settings, create_protocol=Client) as quick,
    ):
        assert isinstance(quick, Client)
        yield quick


async def test_a_request_reaches_its_service_over_http_3(client: Client) -> None:
    status, fields, body = await client.ask("GET", "/open/a?b=c")
    seen = json.loads(body)

    assert status == 200
    assert seen["path"] == "/open/a?b=c"
    assert seen["fields"]["x-forwarded-proto"] == "https"
    assert fields["alt-svc"].startswith("h3=")


async def test_many_requests_share_a_connection(client: Client) -> None:
    found = await asyncio.gather(*(client.ask("GET", f"/open/{one}") for one in range(20)))

    assert [status for status, _, _ in found] == [200] * 20
    assert [json.loads(body)["path"] for _, _, body in found] == [f"/open/{one}" for one in range(20)]


async def test_guards_hold_over_http_3_too(client: Client, tmp_path: Path) -> None:
    token = Tokens(DevelopmentIssuer(tmp_path, "quick"), SystemClock()).issue("ann")
    known = {"authorization": f"Bearer {token}"}
    asked = [
        await client.ask("GET", "/known"),
        await client.ask("GET", "/known", fields=known),
        await client.ask("POST", "/known", b"x" * 2000, known),
        await client.ask("DELETE", "/known", fields=known),
        await client.ask("GET", "/elsewhere"),
        await client.ask("GET", "/open/a", fields={"enfilade-peer": "orders", "enfilade-caller": "{}"}),
    ]

    assert [status for status, _, _ in asked] == [401, 200, 413, 405, 404, 200]
    assert json.loads(asked[0][2])["type"] == "/problems/unauthenticated"
    assert not {"enfilade-peer", "enfilade-caller"} & json.loads(asked[5][2])["fields"].keys()

"""TLS on both sides: HTTP/2 and HTTP/3 are offered, certificates change without a break, upstreams are checked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from cryptography import x509
from post.pem import certificate

from enfilade.edge import Edge, Gateway, Listen, Route, Share, Upstream

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def secure(town: Any, tmp_path: Path) -> AsyncGenerator[Gateway]:
    """An edge that speaks TLS."""
    listen = Listen(port=town.free_port(), certificate=certificate(tmp_path, "edge"), http3=True)
    route = Route(id="all", path="/", below=True, need=None, to=(Share(upstream="first"),))
    upstream = Upstream(name="first", at=(town.first.address,))
    edge = Edge(name="secure", listen=(listen,), upstreams=(upstream,), routes=(route,))
    async with Gateway(edge, tmp_path / "e", workers=1) as gateway:
        yield gateway


def trusting(gateway: Gateway) -> ssl.SSLContext:
    found = gateway.edge.listen[0].certificate
    assert found is not None
    return ssl.create_default_context(cafile=str(found.chain))


async def serial(gateway: Gateway, *protocols: str) -> tuple[int, str | None]:
    """The certificate that it shows, and what it will speak."""
    context = trusting(gateway)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.edge.listen[0].port, ssl=context)
    shown: ssl.SSLObject = writer.get_extra_info("ssl_object")
    found = x509.load_der_x509_certificate(shown.getpeercert(binary_form=True) or b"")
    spoken = shown.selected_alpn_protocol()
    writer.close()
    return found.serial_number, spoken


async def test_http_2_is_chosen_and_http_3_advertised(secure: Gateway) -> None:
    port = secure.edge.listen[0].port
    async with httpx2.AsyncClient(verify=trusting(secure)) as client:
        answer = await client.get(f"https://localhost:{port}/a")

    assert answer.json()["fields"]["x-forwarded-proto"] == "https"
    assert answer.headers["alt-svc"] == f'h3=":{port}"; ma=86400'
    assert (await serial(secure, "h2", "http/1.1"))[1] == "h2"
    assert (await serial(secure, "http/1.1"))[1] == "http/1.1"


async def test_a_renewed_certificate_is_shown_to_the_next(secure: Gateway) -> None:
    before, _ = await serial(secure)
    listen = secure.edge.listen[0]
    assert listen.certificate is not None
    certificate(listen.certificate.chain.parent, "edge")

    await secure.apply(secure.edge)

    async with asyncio.timeout(5):
        while True:
            try:
                if (await serial(secure))[0] != before:
                    break
            except ssl.SSLError:  # the old one, which the new file does not vouch for
                await asyncio.sleep(0.02)


async def test_an_upstream_has_to_be_who_it_should(town: Any, secure: Gateway, tmp_path: Path) -> None:
    ours, theirs = certificate(tmp_path, "ours", "spiffe://x/edge"), certificate(tmp_path, "theirs", "spiffe://x/a")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ours.chain))
    context.load_cert_chain(theirs.chain, theirs.key)
    context.verify_mode = ssl.CERT_REQUIRED
    server = await asyncio.start_server(town.first.answer, "127.0.0.1", 0, ssl=context)
    at = (f"127.0.0.1:{server.sockets[0].getsockname()[1]}",)
    known = Upstream(name="a", at=at, certificate=ours, ca=theirs.chain, san="spiffe://x/a")
    other = replace(known, name="b", san="spiffe://x/b")
    routes = [Route(id=one, path=f"/{one}", need=None, to=(Share(upstream=one),)) for one in "ab"]

    await secure.apply(replace(secure.edge, upstreams=(known, other), routes=tuple(routes)))
    async with httpx2.AsyncClient(verify=trusting(secure)) as client:
        found = [
            (await client.get(f"https://localhost:{secure.edge.listen[0].port}/{one}")).status_code for one in "ab"
        ]
    server.close()

    assert found == [200, 503]

"""The outbound client: what it sends, what it gives back, and how it fails."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, final

import httpcore2
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from enfilade import Message, anyone, command, contract, current
from enfilade.clock import SystemClock
from enfilade.errors import InRehearsal, Unavailable
from enfilade.outbound import Answered, Blocked, Http, Pinned, Reach
from enfilade.testing import Bench
from enfilade.trace.recorder import Recorder


class Rates(Message):
    base: str


class Upstream:
    """A server that answers as it is told, and notes the heads of what it was asked."""

    def __init__(self) -> None:
        self.answer = b'HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{"base":"CHF"}'
        self.heads: list[str] = []
        self.port = 0
        self.hangs_up = self.always = False
        """It takes a request, the next one or each, and closes the connection."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/rates"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                self.heads.append(head)
                if self.hangs_up:
                    self.hangs_up = self.always
                    break
                writer.write(self.answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.port = server.sockets[0].getsockname()[1]
    async with server:
        yield upstream


@pytest.fixture
async def client() -> AsyncIterator[Callable[..., Http]]:
    opened: list[Http] = []

    def make(reach: Reach | None = None, **options: Any) -> Http:
        transport = Pinned(reach or Reach(), **options) if options else None
        opened.append(Http(Recorder(SystemClock(), service="test"), reach, transport=transport))
        return opened[-1]

    yield make
    for one in opened:
        await one.aclose()


async def test_what_is_open_is_asked_and_its_answer_is_a_message(upstream: Upstream, client: Any) -> None:
    http = client(Reach([f"127.0.0.1:{upstream.port}"]))

    assert await http.fetch("GET", upstream.url, answer=Rates) == Rates(base="CHF")
    assert await http.read(upstream.url) == b'{"base":"CHF"}'
    assert "traceparent: 00-" in upstream.heads[0]


async def test_what_is_not_open_is_blocked_and_the_message_says_what_to_do(upstream: Upstream, client: Any) -> None:
    with pytest.raises(Blocked, match=r"127\.0\.0\.1:\d+ is not public.*\[outbound\] allow"):
        await client().read(upstream.url)
    assert upstream.heads == []


async def test_a_status_that_is_no_success_is_told(upstream: Upstream, client: Any) -> None:
    http = client(Reach.to(upstream.url))
    upstream.answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone"

    for ask in (http.fetch("GET", upstream.url, answer=Rates), http.read(upstream.url)):
        with pytest.raises(Answered) as caught:
            await ask
        assert (caught.value.status, caught.value.content) == (404, b"gone")
    assert (await http.request("GET", upstream.url)).status == 404


async def test_what_goes_wrong_is_told_without_the_secrets_in_its_address(upstream: Upstream, client: Any) -> None:
    http = client(Reach.to(upstream.url))
    url = f"{upstream.url}/T0/B0/hush?key=hush"

    for answer in (b"404 No", b"500 Oh", b"200 OK\r\ncontent-length: x", b"200 OK"):
        upstream.answer = b"HTTP/1.1 " + answer + b"\r\nconnection: close\r\ncontent-length: 1\r\n\r\n{"
        with pytest.raises((Answered, Unavailable)) as caught:
            await http.fetch("GET", url, answer=Rates)
        assert "hush" not in str(caught.value)
        assert "127.0.0.1" in str(caught.value)
    with pytest.raises(Blocked) as blocked:
        await http.read("http://10.0.0.1/hush?key=hush")
    assert "hush" not in str(blocked.value)


async def test_cookies_of_an_answer_are_not_sent_with_the_next_request(upstream: Upstream, client: Any) -> None:
    http = client(Reach.to(upstream.url))
    upstream.answer = b"HTTP/1.1 200 OK\r\nset-cookie: session=ann; path=/\r\ncontent-length: 2\r\n\r\n{}"

    await http.read(upstream.url)
    await http.read(upstream.url)

    assert "cookie" not in upstream.heads[1].lower()


async def test_the_environment_puts_no_proxy_between(upstream: Upstream, client: Any, monkeypatch: Any) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert await client(Reach.to(upstream.url)).read(upstream.url) == b'{"base":"CHF"}'


class Wires(httpcore2.AsyncNetworkBackend):
    """A network where every address leads to one port of this machine, or nowhere."""

    def __init__(self, port: int, dead: Sequence[str] = ()) -> None:
        self.port = port
        self.dead = dead
        self.asked: list[str] = []

    async def connect_tcp(self, host: str, port: int, *rest: Any, **options: Any) -> Any:
        self.asked.append(host)
        if host in self.dead:
            raise httpcore2.ConnectError("no route")
        return await httpcore2.AnyIOBackend().connect_tcp("127.0.0.1", self.port)


def answers(*lists: list[str]) -> Callable[[str, int], Any]:
    """A resolver that answers each time with the next list, and at last with the last one."""
    left = list(lists)

    async def resolve(host: str, port: int) -> list[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


async def test_the_address_that_was_checked_is_connected_to_and_the_host_keeps_its_name(
    upstream: Upstream, client: Any
) -> None:
    wires = Wires(upstream.port)
    http = client(Reach(), resolve=answers(["93.184.216.34"]), network=wires)

    await http.read("http://rates.example/today")
    await http.read("http://rates.example/today")

    assert wires.asked == ["93.184.216.34"]
    assert all("host: rates.example\r\n" in head.lower() for head in upstream.heads)


async def test_of_several_addresses_the_next_is_tried_and_those_that_are_not_open_never(
    upstream: Upstream, client: Any
) -> None:
    wires = Wires(upstream.port, dead=["93.184.216.34"])
    found = answers(["10.0.0.1", "93.184.216.34", "2606:4700::1111", "169.254.169.254"])
    http = client(Reach(), resolve=found, network=wires)

    await http.read("http://rates.example/today")

    assert wires.asked == ["93.184.216.34", "2606:4700::1111"]


async def test_a_host_that_does_not_exist_or_answer_is_unavailable(upstream: Upstream, client: Any) -> None:
    async def unknown(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    dead = client(Reach(), resolve=answers(["93.184.216.34"]), network=Wires(upstream.port, dead=["93.184.216.34"]))

    for http in (client(Reach(), resolve=unknown), client(Reach(), resolve=answers([])), dead):
        with pytest.raises(Unavailable):
            await http.read("http://rates.example/today")


@pytest.mark.parametrize(
    ("method", "headers", "asked"),
    [("GET", {}, 3), ("PUT", {}, 3), ("POST", {"Idempotency-Key": '"k"'}, 3), ("POST", {}, 2), ("PATCH", {}, 2)],
)
async def test_a_connection_that_ends_before_the_answer_costs_nothing_that_may_be_asked_again(
    upstream: Upstream, client: Any, method: str, headers: dict[str, str], asked: int
) -> None:
    http = client(Reach([f"127.0.0.1:{upstream.port}"]))
    await http.request("GET", upstream.url)
    upstream.hangs_up = True

    if asked == 3:
        assert (await http.request(method, upstream.url, headers=headers)).status == 200
    else:
        with pytest.raises(Unavailable):
            await http.request(method, upstream.url, headers=headers)
    assert len(upstream.heads) == asked


async def test_who_hangs_up_each_time_is_asked_twice(upstream: Upstream, client: Any) -> None:
    http = client(Reach([f"127.0.0.1:{upstream.port}"]))
    upstream.hangs_up = upstream.always = True

    with pytest.raises(Unavailable):
        await http.request("GET", upstream.url)
    assert len(upstream.heads) == 2


async def test_a_fake_transport_carries_the_requests_of_a_test(client: Any) -> None:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json={"base": request.url.host}))
    http = Http(Recorder(SystemClock(), service="test"), transport=transport)

    assert await http.fetch("GET", "http://10.0.0.1/", answer=Rates) == Rates(base="10.0.0.1")
    with pytest.raises(Blocked):
        await http.read("ftp://rates.example/")
    await http.aclose()


def certificate(folder: Path, host: str) -> Path:
    """A key and a certificate for a host, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    file = folder / "tls.pem"
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + made.public_bytes(pem))
    return file


async def test_the_certificate_is_the_hosts_though_an_address_is_connected_to(
    upstream: Upstream, client: Any, tmp_path: Path
) -> None:
    file = certificate(tmp_path, "rates.example")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(file)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=theirs)
    options: dict[str, Any] = {
        "resolve": answers(["93.184.216.34"]),
        "network": Wires(server.sockets[0].getsockname()[1]),
        "trust": ssl.create_default_context(cafile=str(file)),
    }

    async with server:
        http = client(Reach(), **options)
        assert await http.read("https://rates.example/today") == b'{"base":"CHF"}'
        with pytest.raises(Unavailable, match="certificate"):
            await http.read("https://other.example/today")
        await http.aclose()


async def test_a_rehearsal_sends_nothing_that_would_change_something(upstream: Upstream, client: Any) -> None:
    http = client(Reach([f"127.0.0.1:{upstream.port}"]))

    @contract(needs=anyone)
    class Rating(Protocol):
        @command()
        async def rate(self, method: str) -> None: ...

    @final
    class RatingService(Rating):
        async def rate(self, method: str) -> None:
            current().rehearsal = True
            await http.request(method, upstream.url)

    async with Bench(RatingService) as bench:
        for method in ("GET", "OPTIONS", "options"):
            await bench.nobody.of(Rating).rate(method)
        for method in ("POST", "PUT", "PATCH", "DELETE", "post", "BREW"):
            with pytest.raises(InRehearsal, match=r"rating\.rate is only rehearsed: \w+ 127\.0\.0\.1 could not be"):
                await bench.nobody.of(Rating).rate(method)

    assert [head.partition(" ")[0] for head in upstream.heads] == ["GET", "OPTIONS", "OPTIONS"]

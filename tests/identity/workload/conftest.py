"""A town of processes: an authority that writes certificates, a server that asks who calls, and two event loops."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from enfilade.clock import Clock, VirtualClock
from enfilade.errors import Problem
from enfilade.identity.workload import Authority, PeerRefused, Workload
from enfilade.identity.workload.root import _usage, key_pem, new_key

SECRET = b"a secret of thirty-two characters"
PLACES = {"front": ("orders", "catalog"), "payments": ("payments",), "edge": ()}


class Town:
    """What a supervisor has."""

    def __init__(self, folder: Path, clock: Clock, domain: str = "shop") -> None:
        self.folder, self.clock, self.domain = folder / "run", clock, domain
        self.authority = Authority(domain, SECRET, folder, clock)

    def write(self) -> list[str]:
        return self.authority.renew(self.folder, PLACES)

    def workload(self, process: str) -> Workload:
        return Workload(self.domain, process, self.folder, self.clock)

    def context(self, pem: bytes) -> ssl.SSLContext:
        """What somebody shows who keeps to no rules: a key with a certificate, or nothing."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if pem:
            file = self.folder / "somebody"
            file.write_bytes(pem)
            context.load_cert_chain(file)
        return context


class Counter:
    """What a server has seen."""

    def __init__(self) -> None:
        self.served = 0
        self.refused: list[str] = []
        self.connections = 0


@asynccontextmanager
async def serving(me: Workload, seen: Counter) -> AsyncGenerator[int]:
    """A server of lines: `orders payments` asks as one service for another and is answered `ok` or with a status."""
    loops: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loops.add(asyncio.current_task())  # type: ignore[arg-type]
        seen.connections += 1
        try:
            peer = me.peer_of(writer.get_extra_info("ssl_object"))
            while line := await reader.readline():
                caller, callee = line.decode().split()
                try:
                    me.admit(peer, caller, callee)
                    seen.served += 1
                    writer.write(b"ok\n")
                except Problem as problem:
                    writer.write(b"%d\n" % problem.status)
                await writer.drain()
        except PeerRefused as refused:
            seen.refused.append(str(refused))
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=me.server)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*loops, return_exceptions=True)


async def ask(port: int, context: ssl.SSLContext, name: str | None, line: str = "orders payments") -> str:
    """One question over a connection of its own; `""` where there was no answer."""
    writer = None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name or "")
        writer.write(line.encode() + b"\n")
        return (await reader.readline()).decode().strip()
    except (ssl.SSLError, ConnectionError):
        return ""
    finally:
        if writer is not None:
            writer.close()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def town(tmp_path: Path, clock: VirtualClock) -> Town:
    town = Town(tmp_path, clock)
    town.write()
    return town


@pytest.fixture
def another() -> type[Town]:
    return Town


@pytest.fixture
def seen() -> Counter:
    return Counter()


@pytest.fixture(name="serving")
def _serving() -> Callable[..., Any]:
    return serving


@pytest.fixture(name="ask")
def _ask() -> Callable[..., Awaitable[str]]:
    return ask


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on each of the two event loops."""

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(work)

    return run


@pytest.fixture
def forge(town: Town) -> Callable[..., bytes]:
    """Makes keys with certificates that the authority's own key signed, right ones unless told otherwise."""
    root = town.authority._roots[0]

    def forge(
        *,
        uris: Sequence[str] = ("spiffe://shop/process/front",),
        hosts: Sequence[str] = ("orders.shop",),
        ca: bool = False,
        signs: bool = False,
        names: bool = True,
        purposes: Sequence[x509.ObjectIdentifier] = (
            ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH,
        ),
    ) -> bytes:  # fmt: skip
        key, now = new_key(), town.clock.now()
        said = [*map(x509.UniformResourceIdentifier, uris), *map(x509.DNSName, hosts)]
        made = (
            x509.CertificateBuilder()
            .issuer_name(root.certificate.subject)
            .subject_name(x509.Name([]))
            .public_key(key.public_key())
            .serial_number(7)
            .not_valid_before(now)
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(_usage(signs=signs or ca), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root._key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(said), critical=True)
        return key_pem(key) + made.sign(root._key, SHA256()).public_bytes(Encoding.PEM)

    return forge

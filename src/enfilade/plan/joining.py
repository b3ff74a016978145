"""How the processes of another host get their certificates: from the authority of the plan's first host.

Whoever asks proves that he has a key for these processes, which the operator has brought there (`enfilade plan join`),
and is answered with a proof, too. What goes between them is no secret: requests and certificates. So no TLS is needed,
which could not be had before there are certificates.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from enfilade.call import Call
from enfilade.clock import Clock, SystemClock
from enfilade.contract.declare import command, contract
from enfilade.contract.message import Message
from enfilade.contract.need import anyone
from enfilade.contract.operation import Operation
from enfilade.contract.read import read
from enfilade.endpoint.handle import handle
from enfilade.endpoint.rpc import Link, connect, listening, rpc
from enfilade.endpoint.site import Site
from enfilade.errors import Finding, Forbidden, Problem, StartError, Unavailable
from enfilade.identity.workload import Authority, PeerRefused
from enfilade.identity.workload.member import Member
from enfilade.service.host import hosted
from enfilade.store.blobs import MemoryBlobs
from enfilade.trace.recorder import Recorder

log = logging.getLogger("enfilade.identity")

_LOOK: Final = 30.0
"""Seconds between two looks at what is due."""
_PATIENCE: Final = 20.0
"""Seconds for which the authority is waited for at the start: the first host may start at the same time."""


class Wanted(Message):
    """Certificates that are asked for."""

    processes: tuple[str, ...]
    """All that the key is for."""
    requests: Mapping[str, str]
    """PKCS#10, in PEM, by process."""
    nonce: str
    proof: str = ""


class Given(Message):
    """Certificates, and what is believed."""

    certificates: Mapping[str, str]
    roots: str
    proof: str = ""


@contract(name="authority", needs=anyone)
class Joining(Protocol):
    """The authority, as other hosts ask it."""

    @command(idempotent=True, body="1MB", timeout=30)
    async def join(self, wanted: Wanted) -> Given:
        """Certificates for processes of another host."""
        ...


_JOINING: Final = read(Joining)


class Token(NamedTuple):
    """What lets a host have certificates for some processes: `payments,ledger:<key>`."""

    processes: tuple[str, ...]
    key: bytes

    def __str__(self) -> str:
        return f"{','.join(self.processes)}:{self.key.hex()}"

    @classmethod
    def of(cls, secret: bytes, processes: Collection[str]) -> Token:
        """Made of the app's secret: it is the same each time, and nothing has to be kept of it."""
        names = tuple(sorted(processes))
        return cls(names, hmac.digest(secret, b"enfilade join\0" + ",".join(names).encode(), sha256))

    @classmethod
    def parse(cls, text: str) -> Token:
        """Raises ValueError where it is none."""
        names, _, key = text.strip().rpartition(":")
        if not names or len(key) != 64:
            raise ValueError("this is not what `enfilade plan join` says")
        return cls(tuple(names.split(",")), bytes.fromhex(key))


@asynccontextmanager
async def serving(
    authority: Authority, secret: bytes, held: Mapping[str, Collection[str]], address: str, clock: Clock
) -> AsyncGenerator[None]:
    """Give other hosts their certificates. Raises OSError where the address cannot be had."""
    office = _Office(authority, secret, held)
    site = Site(
        name="authority", contracts=(_JOINING,), handlers={}, clock=clock, recorder=Recorder(clock, enabled=False),
        inside={one.id: hosted(one, office) for one in _JOINING.operations}, blobs=MemoryBlobs(), unready=tuple[str],
    )  # fmt: skip
    async with listening(rpc(network=True).serve(site), address, drain=0.5):
        yield


class _Office(Joining):
    def __init__(self, authority: Authority, secret: bytes, held: Mapping[str, Collection[str]]) -> None:
        self._authority = authority
        self._secret = secret
        self._held = held

    async def join(self, wanted: Wanted) -> Given:
        token = Token.of(self._secret, wanted.processes)
        known = set(wanted.requests) <= set(wanted.processes) <= set(self._held)
        if not (hmac.compare_digest(wanted.proof, _proof(token, wanted)) and known):
            log.warning("certificates for %.200r are asked for, without their key", wanted.processes)
            raise Forbidden(detail="This is not the key for these processes: `enfilade plan join` tells it.")
        try:
            certificates = {
                name: self._authority.sign(request.encode(), name, self._held[name]).decode()
                for name, request in wanted.requests.items()
            }
        except PeerRefused as refused:
            raise Forbidden(detail=f"{refused}.") from refused
        given = Given(certificates=certificates, roots=self._authority.bundle.decode())
        return _set(given, proof=_proof(token, given, wanted.nonce))


class Guest:
    """A host that asks."""

    def __init__(self, token: Token, address: str, folder: Path, clock: Clock) -> None:
        self._token = token
        self._address = address
        self._clock = clock
        self._member = Member(folder, clock)

    async def join(self) -> None:
        """Have a good certificate for each process. Raises StartError."""
        try:
            await self._renew(_PATIENCE)
        except (Problem, Unavailable, PeerRefused, OSError) as error:
            what = f"the authority at {self._address} gives no certificates: {error}"
            remedy = "See that the plan's first host runs, and take what `enfilade plan join` says there."
            raise StartError([Finding("ENFILADE_JOIN", what, remedy, "certificate")]) from error

    async def keep(self) -> None:
        """Renew them from now on, until cancelled. What is not given is asked for again."""
        while True:
            await self._clock.sleep(_LOOK)
            try:
                await self._renew(0.0)
            except (Problem, Unavailable, PeerRefused, OSError) as error:
                log.warning("certificates are not renewed by %s, which is tried again: %s", self._address, error)

    async def _renew(self, patience: float) -> None:
        requests = self._member.requests(self._token.processes)
        if not requests:
            return
        wanted = Wanted(processes=self._token.processes, requests=requests, nonce=secrets.token_hex(16))
        wanted = _set(wanted, proof=_proof(self._token, wanted))
        async with Link(f"http://{self._address}", patience=patience) as link:
            asked: Joining = handle(_JOINING, connect(_JOINING, link), self._begin)
            given = await asked.join(wanted)
        if not hmac.compare_digest(given.proof, _proof(self._token, given, wanted.nonce)):
            raise PeerRefused("it does not know the app's secret")
        await asyncio.to_thread(self._member.take, given.certificates, given.roots)

    def _begin(self, operation: Operation, arguments: dict[str, Any]) -> Call:
        clock = SystemClock()  # sockets take real time, whatever the clock of certificates is
        return Call(operation, arguments, clock, clock.monotonic() + operation.timeout)


def _proof(token: Token, said: Wanted | Given, nonce: str = "") -> str:
    return hmac.new(token.key, msgspec.json.encode([nonce, _set(said, proof="")], order="sorted"), sha256).hexdigest()


def _set(value: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(value, **fields)

"""Another host asks the authority for certificates, and neither believes somebody who only says who he is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from enfilade.clock import VirtualClock
from enfilade.contract.read import read
from enfilade.endpoint.rpc import listening, rpc
from enfilade.endpoint.site import Site
from enfilade.errors import StartError
from enfilade.identity.workload import Authority, Workload
from enfilade.plan.joining import Given, Guest, Joining, Token, Wanted, serving
from enfilade.service.host import hosted
from enfilade.store.blobs import MemoryBlobs
from enfilade.trace.recorder import Recorder

SECRET = b"a secret of thirty-two characters"
HELD = {"front": (), "payments": ("payments",), "ledger": ("ledger", "tax")}


class Place:
    """A host with the authority, and another one."""

    def __init__(self, folder: Path, port: int) -> None:
        self.clock = VirtualClock()
        self.folder = folder / "other"
        self.authority = Authority("shop", SECRET, folder, self.clock)
        self.address = f"127.0.0.1:{port}"

    @asynccontextmanager
    async def office(self) -> AsyncGenerator[None]:
        async with serving(self.authority, SECRET, HELD, self.address, self.clock):
            yield

    def guest(self, *processes: str, secret: bytes = SECRET) -> Guest:
        return Guest(Token.of(secret, processes), self.address, self.folder, self.clock)

    def workload(self, process: str) -> Workload:
        return Workload("shop", process, self.folder, self.clock)


@pytest.fixture
def place(tmp_path: Path, unused_tcp_port: int) -> Place:
    return Place(tmp_path, unused_tcp_port)


async def test_a_host_gets_certificates_for_what_the_plan_says_its_processes_hold(place: Place) -> None:
    async with place.office():
        await place.guest("payments", "ledger").join()

    assert place.workload("payments").own.services == {"payments"}
    assert place.workload("ledger").own.services == {"ledger", "tax"}


async def test_certificates_are_renewed_at_half_of_their_time_and_roots_with_them(place: Place) -> None:
    guest = place.guest("payments")
    async with place.office():
        await guest.join()
        first = place.workload("payments").own.until
        keeping = asyncio.create_task(guest.keep())
        place.authority.rotate()
        async with asyncio.timeout(30):
            while place.workload("payments").own.until == first:
                await place.clock.advance(timedelta(minutes=10))
                await asyncio.sleep(0.05)
        keeping.cancel()

    assert (place.folder / "roots.crt").read_bytes() == place.authority.bundle


async def test_a_good_certificate_is_not_asked_for_again(place: Place) -> None:
    async with place.office():
        await place.guest("payments").join()

    await place.guest("payments").join()  # though nobody would answer


async def test_a_key_is_for_the_processes_it_was_made_for(place: Place) -> None:
    token = Token.of(SECRET, ["payments"])
    more = Token(("ledger", "payments"), token.key)
    async with place.office():
        for guest in (
            place.guest("payments", secret=b"another secret of the same length"),
            place.guest("unknown"),
            Guest(more, place.address, place.folder, place.clock),
        ):
            with pytest.raises(StartError, match="not the key for these processes"):
                await guest.join()

    assert not list(place.folder.glob("*"))


async def test_who_does_not_know_the_secret_is_not_believed_to_be_the_authority(place: Place, tmp_path: Path) -> None:
    other = Authority("shop", SECRET, tmp_path / "liar", place.clock)

    class Liar(Joining):
        async def join(self, wanted: Wanted) -> Given:
            given = {name: other.sign(one.encode(), name, HELD[name]).decode() for name, one in wanted.requests.items()}
            return Given(certificates=given, roots=other.bundle.decode(), proof="00")

    contract, liar = read(Joining), Liar()
    site = Site(
        name="liar", contracts=(contract,), handlers={}, clock=place.clock, unready=tuple[str], blobs=MemoryBlobs(),
        inside={one.id: hosted(one, liar) for one in contract.operations},
        recorder=Recorder(place.clock, enabled=False),
    )  # fmt: skip
    async with listening(rpc(network=True).serve(site), place.address, drain=0.1):
        with pytest.raises(StartError, match="does not know the app's secret"):
            await place.guest("payments").join()

    assert not list(place.folder.glob("*"))


@pytest.mark.parametrize("text", ["", "payments", "payments:", ":" + "0" * 64, "payments:" + "x" * 64, "a" * 70])
def test_what_is_no_key_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Token.parse(text)


def test_a_key_is_read_as_it_is_written() -> None:
    token: Any = Token.of(SECRET, ["b", "a"])

    assert Token.parse(f" {token}\n") == token == Token.of(SECRET, ["a", "b"])

"""Calls between hosts: both ends show certificates of the app, and a peer speaks for the services that it holds."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from enfilade.clock import SystemClock, VirtualClock
from enfilade.endpoint.rpc import Link, listening, rpc
from enfilade.endpoint.rpc.dial import Unreached
from enfilade.errors import Forbidden, Unavailable
from enfilade.identity.workload import OUTSIDE, Authority, Workload

SECRET = b"a secret of thirty-two characters"
PLACES = {
    "catalog": ("catalog", "shop"),
    "shop": ("shop",),
    "stranger": ("stranger",),
    "front": (OUTSIDE,),
    "edge": (),
    "next": ("catalog",),
}


class Town:
    """Hosts with an authority."""

    def __init__(self, world: Any, folder: Path, clock: Any) -> None:
        self.world, self.folder, self.clock = world, folder / "run", clock
        self.authority = Authority("town", SECRET, folder, clock)
        self.authority.renew(self.folder, PLACES)

    def workload(self, process: str) -> Workload:
        return Workload("town", process, self.folder, self.clock)

    @asynccontextmanager
    async def catalog(self, process: str = "catalog") -> AsyncGenerator[str]:
        """The catalog at a port, and its address."""
        async with (
            self.world.catalog() as running,
            self.workload(process) as me,
            listening(rpc().serve(running.site), "127.0.0.1:0", tls=me, drain=0.5) as address,
        ):
            yield address

    def link(self, address: str, process: str, *services: str, **options: Any) -> Link:
        options = {"services": services or ("catalog",), "tls": self.workload(process), **options}
        return self.world.link(address, patience=0.0, **options)

    def ask(self, link: Link, peer: str) -> Any:
        return self.world.ask(link, peer=peer)


@pytest.fixture
def format() -> str:
    return "msgpack"


@pytest.fixture
def town(world: Any, tmp_path: Path) -> Town:
    return Town(world, tmp_path, SystemClock())


async def test_a_call_between_hosts_is_as_on_one(town: Town, kinds: Any) -> None:
    async with town.catalog() as address:
        link = town.link(address, "shop")
        catalog = town.ask(link, "shop")

        assert address.startswith("https://")
        assert await catalog.product("tea") == kinds.product()
        assert [one.sku async for one in catalog.watch(3)] == ["tea-0", "tea-1", "tea-2"]
        assert b"".join([piece async for piece in catalog.export(1000)]) == b"".join(
            bytes([at % 256]) * 1000 for at in range(1000)
        )
        with pytest.raises(kinds.unsold):
            await catalog.price("coffee")
        assert link.statistics()[address]["open"] == 1


@pytest.mark.parametrize(
    ("process", "peer"),
    [
        ("shop", "stranger"),  # claims to be another service than its certificate holds
        ("shop", ""),  # passes on what comes from outside, and is not there for that
        ("stranger", "shop"),
        ("stranger", "stranger"),  # has not declared that it calls the catalog
        ("edge", ""),
        ("edge", "shop"),
        ("front", "shop"),
    ],
)
async def test_who_may_not_call_is_refused(town: Town, process: str, peer: str) -> None:
    async with town.catalog() as address:
        with pytest.raises(Forbidden):
            await town.ask(town.link(address, process), peer).note("no")
        with pytest.raises(Forbidden):
            [one async for one in town.ask(town.link(address, process), peer).watch(1)]

        assert town.world.notes.texts == []


async def test_what_comes_from_outside_is_passed_on_by_the_front(town: Town, kinds: Any) -> None:
    async with town.catalog() as address:
        shop = town.world.ask(town.link(address, "front", "shop"), kinds.shop, peer="", caller=kinds.ann)

        assert (await shop.seen()).subject == "ann"


async def test_a_process_of_the_same_service_hands_over_its_calls(town: Town) -> None:
    async with town.catalog() as address:
        await town.ask(town.link(address, "next"), "shop").note("as the catalog itself was asked")


async def test_a_peer_has_to_hold_what_is_asked_of_it(town: Town) -> None:
    async with town.catalog("shop") as address:
        with pytest.raises(Unreached, match="town"):  # TLS looks at the name of one service
            await town.ask(town.link(address, "shop", "catalog"), "shop").price("tea")
    async with town.catalog("next") as address:
        with pytest.raises(Unreached, match="does not hold shop"):
            await town.ask(town.link(address, "shop", "catalog", "shop"), "shop").price("tea")


async def test_nobody_calls_without_a_certificate_of_the_app(town: Town, tmp_path: Path) -> None:
    other = Authority("town", SECRET, tmp_path / "other", town.clock)
    other.renew(tmp_path / "other", PLACES)
    stranger = Workload("town", "shop", tmp_path / "other", town.clock)
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname = False
    nobody.verify_mode = ssl.CERT_NONE
    async with town.catalog() as address:
        for tls in (nobody, stranger, None):
            with pytest.raises(Unavailable):
                await town.ask(town.link(address, "shop", tls=tls), "shop").note("no")
        with pytest.raises(Unavailable):
            await town.ask(town.world.link(address.replace("https", "http"), patience=0.0), "shop").note("no")

        assert town.world.notes.texts == []


async def test_a_server_without_a_certificate_of_the_app_is_not_asked(town: Town, tmp_path: Path) -> None:
    Authority("town", SECRET, tmp_path / "other", town.clock).renew(tmp_path / "other", PLACES)
    fake = Workload("town", "catalog", tmp_path / "other", town.clock)
    async with town.world.catalog() as running:
        async with listening(rpc().serve(running.site), "127.0.0.1:0", tls=fake) as address:
            with pytest.raises(Unreached, match="cannot be reached"):
                await town.ask(town.link(address, "shop"), "shop").note("secret")

        assert town.world.notes.texts == []


async def test_without_certificates_nothing_is_served_at_a_port(town: Town) -> None:
    async with town.world.catalog() as running, listening(rpc().serve(running.site), "127.0.0.1:0") as address:
        with pytest.raises(Unavailable):
            await town.ask(town.world.link(address), "shop").note("no")

        assert town.world.notes.texts == []


async def test_connections_are_left_in_time_and_no_call_meets_a_certificate_that_is_over(
    world: Any, tmp_path: Path
) -> None:
    clock = VirtualClock()
    town = Town(world, tmp_path, clock)
    async with town.catalog() as address, town.workload("shop") as me:
        link = town.link(address, "shop", tls=me, clock=clock)
        opened = {id(one): one for one in await _connections(link, town)}
        for _ in range(20):  # four hours, in which the supervisor renews and every process looks at its files
            await clock.advance(timedelta(minutes=12))
            town.authority.renew(town.folder, PLACES)
            opened |= {id(one): one for one in await _connections(link, town)}

        assert len(opened) >= 5
        assert link.statistics()[address]["open"] == 1


async def _connections(link: Link, town: Town) -> list[Any]:
    """Makes a call, and tells which connections there are after it."""
    await town.ask(link, "shop").price("tea")
    replica = link.sole
    assert replica is not None
    return list(replica._idle)


async def test_roots_are_exchanged_and_no_call_fails(town: Town) -> None:
    async with town.catalog() as address:
        me = town.workload("shop")
        link, going, done = town.link(address, "shop", tls=me), True, 0

        async def calls() -> None:
            nonlocal done
            while going:
                await town.ask(link, "shop").note("a command without a key is never asked again")
                done += 1

        tasks = [asyncio.create_task(calls()) for _ in range(4)]
        town.authority.rotate()
        town.authority.renew(town.folder, PLACES)
        assert me.refresh()
        link.change(address, address.replace("127.0.0.1", "localhost"))  # and so there are new connections
        before = done
        await town.world.until(lambda: done > before + 50)
        going = False
        await asyncio.gather(*tasks)


async def test_a_hang_within_a_handshake_is_told_in_time(town: Town, silent: Callable[[], Any]) -> None:
    async with silent() as address:
        link = town.link(address, "shop")
        async with asyncio.timeout(30):
            with pytest.raises(Unreached, match="does not take"):
                await town.world.ask(link, timeout=0.3).price("tea")

        assert link.statistics()[address]["open"] == 0


@pytest.fixture
def silent() -> Callable[[], Any]:
    @asynccontextmanager
    async def serve() -> AsyncGenerator[str]:
        """Takes connections, and says nothing."""
        kept: list[Any] = []
        server = await asyncio.start_server(lambda _, writer: kept.append(writer), "127.0.0.1", 0)
        try:
            yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for writer in kept:
                writer.close()

    return serve

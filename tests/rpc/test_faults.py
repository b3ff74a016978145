"""Peers that die, hang, talk nonsense or have too much to do: told by type, in time, in bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Protocol

import pytest

from enfilade import Message, Money, contract, peers, query
from enfilade.clock import VirtualClock
from enfilade.endpoint.rpc import Incompatible, listening, rpc
from enfilade.endpoint.rpc.connection import Lost
from enfilade.endpoint.rpc.dial import Unreached
from enfilade.errors import DeadlineExceeded, Overloaded, Unavailable

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/msgpack\r\ncontent-length: 2\r\n\r\n"


class Product(Message):
    sku: str
    color: str = "grey"


@contract(needs=peers, name="catalog")
class Newer(Protocol):
    @query()
    async def product(self, sku: str, language: str = "en") -> Product:
        """Has another parameter, and knows of other members."""
        ...

    @query()
    async def price(self, sku: str, country: str) -> Money:
        """Must be told more."""
        ...

    @query()
    async def picture(self, name: str) -> str:
        """Is another one altogether."""
        ...

    @query()
    async def stock(self, sku: str) -> int:
        """Is new."""
        ...


@asynccontextmanager
async def saying(world: Any, *answers: bytes, then: str = "wait") -> AsyncGenerator[list[bytes]]:
    """A peer that gives each connection the next of some answers, whatever it is asked."""
    asked: list[bytes] = []
    tasks: set[Any] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            while data := await reader.read(65536):
                asked.append(data)
                writer.write(answers[min(len(asked), len(answers)) - 1])
                if then == "close":
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, world.address.removeprefix("unix:"))
    try:
        yield asked
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\xff garbage",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nno",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\nnull",
        b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]",
        OK.replace(b"msgpack", b"json") + b"\xff\xff",
        OK + b"\xc1\xc1",
        OK[:20],
        OK + b"\x01",
        OK + b"\x01\x01" + OK + b"\x01\x01",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000,
        b"HTTP/1.1 200 OK\r\ncontent-type: application/msgpack\r\ncontent-length: 99999999\r\n\r\n" + b"x" * 300_000,
        b"",
    ],
    ids=range(15),
)  # fmt: skip
async def test_what_is_no_answer_is_unavailable(world: Any, answer: bytes) -> None:
    async with saying(world, answer, then="close"):
        with pytest.raises(Unavailable):
            async with asyncio.timeout(15):  # it is known before the time for the call is over
                await world.ask(world.link(limit=100_000), timeout=60).price("x")


async def test_an_answer_without_an_end_is_given_up_in_time(world: Any) -> None:
    for answer in (b"", OK[:30], OK + b"\x01", OK.replace(b": 2", b": 3") + b"\x01\x01"):
        async with saying(world, answer):
            with pytest.raises(DeadlineExceeded):
                async with asyncio.timeout(15):
                    await world.ask(timeout=0.2).price("x")


async def test_too_much_of_an_answer_is_not_taken(world: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/msgpack\r\ntransfer-encoding: chunked\r\n\r\n"
    async with saying(world, head + b"10000\r\n" + b"x" * 65536 + b"\r\n" + b"10000\r\n" + b"x" * 65536 + b"\r\n"):
        with pytest.raises(Lost, match="larger than 100000 bytes"):
            await world.ask(world.link(limit=100_000)).note("x")


async def test_what_may_have_run_is_asked_again_only_where_that_does_no_harm(world: Any) -> None:
    async with saying(world, b"", then="close") as asked:
        with pytest.raises(Unavailable):
            await world.ask().note("x")
        assert len(asked) == 1
        with pytest.raises(Unavailable):
            await world.ask(key="k").note("x")
        assert len(asked) == 4
        with pytest.raises(Unavailable):
            await world.ask().price("tea")
        assert len(asked) == 7


async def test_only_a_share_of_the_calls_is_asked_again(world: Any) -> None:
    said = b'{"code":"resource_exhausted"}'
    head = b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    async with saying(world, head % len(said) + said) as asked:
        catalog = world.ask(world.link(connections=10))
        for _ in range(60):
            with pytest.raises(Overloaded):
                await catalog.price("tea")

        assert 60 + 10 <= len(asked) <= 60 + 10 + 12


async def test_a_peer_that_is_not_there_is_waited_for_as_long_as_a_restart_takes(world: Any, kinds: Any) -> None:
    link = world.link(patience=30.0)
    async with world.catalog():
        await world.ask(link).price("tea")
    calls = [asyncio.create_task(world.ask(link, timeout=30.0).product("tea")) for _ in range(50)]
    await asyncio.sleep(0.3)
    assert not any(call.done() for call in calls)
    async with world.catalog():
        assert await asyncio.gather(*calls) == [kinds.product()] * 50


async def test_a_peer_that_does_not_come_back_is_told_at_once(world: Any) -> None:
    catalog = world.ask(world.link(patience=0.1))
    with pytest.raises(Unreached):
        await catalog.price("tea")
    async with asyncio.timeout(4):  # had each of them its patience, they would take longer than five seconds
        for _ in range(50):
            with pytest.raises(Unreached):
                await catalog.price("tea")


async def test_restarts_fail_no_call_that_may_be_repeated(world: Any) -> None:
    link, going, done = world.link(patience=10.0), True, 0

    async def calls() -> None:
        nonlocal done
        while going:
            await world.ask(link, timeout=20.0).price("tea")
            done += 1
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(calls()) for _ in range(8)]
    for _ in range(5):
        async with world.catalog():
            await asyncio.sleep(0.1)
    async with world.catalog():
        before = done
        await world.until(lambda: done > before + 50)
        going = False
        await asyncio.gather(*tasks)


async def test_a_peer_that_hangs_has_a_rest_and_is_tried_again_by_one(world: Any) -> None:
    async with saying(world, b"") as asked:
        pace = VirtualClock()
        catalog = world.ask(world.link(patience=0.0, pace=pace), timeout=0.05)
        for _ in range(5):
            with pytest.raises(DeadlineExceeded):
                await catalog.price("tea")
        with pytest.raises(Unreached, match="has a rest"):
            await catalog.price("tea")
        assert len(asked) == 5
        await pace.advance(timedelta(seconds=0.06))
        failed = await asyncio.gather(*(catalog.price("tea") for _ in range(10)), return_exceptions=True)

        assert sorted(type(one).__name__ for one in failed) == ["Silent"] + ["Unreached"] * 9
        assert len(asked) == 6


async def test_a_slow_peer_takes_no_more_than_its_places(world: Any) -> None:
    link = world.link(connections=4, waiting=3)
    async with world.catalog():
        calls = [asyncio.create_task(world.ask(link).slow(0.3)) for _ in range(20)]
        await asyncio.sleep(0.1)
        statistics = link.statistics()[world.address]
        made = await asyncio.gather(*calls, return_exceptions=True)

        assert (statistics["open"], statistics["waiting"]) == (4, 3)
        assert world.notes.most == 4
        assert sum(isinstance(one, Overloaded) for one in made) == 13
        assert link.statistics()[world.address]["busy"] == 0


async def test_a_replica_that_fails_is_left_out_and_the_others_serve(world: Any, kinds: Any) -> None:
    good, bad = f"unix:{world.folder}/good.sock", f"unix:{world.folder}/bad.sock"
    link = world.link(good, bad)
    async with world.catalog(good):
        for _ in range(100):
            assert await world.ask(link).product("tea") == kinds.product()

        assert link.statistics()[bad]["well"] is False


async def test_the_replica_with_less_to_do_is_asked(world: Any) -> None:
    one, other = f"unix:{world.folder}/one.sock", f"unix:{world.folder}/other.sock"
    link = world.link(one, other)
    async with world.catalog(one), world.catalog(other):
        slow = [asyncio.create_task(world.ask(link).slow(0.2)) for _ in range(20)]
        await asyncio.sleep(0.1)
        busy = [link.statistics()[address]["busy"] for address in (one, other)]
        await asyncio.gather(*slow)

        assert busy == [10, 10]


async def test_another_version_is_used_where_it_gets_on_and_refused_where_not(world: Any) -> None:
    async with world.catalog():
        catalog = world.ask(kind=Newer)
        assert await catalog.product("tea") == Product(sku="tea")
        assert await catalog.product("tea", language="de") == Product(sku="tea")
        with pytest.raises(Incompatible, match=r"price .* the parameter country does not exist there"):
            await catalog.price("tea", "DE")
        with pytest.raises(Incompatible, match=r"its style is 'blob' there and 'value' here"):
            await catalog.picture("x")
        with pytest.raises(Incompatible, match=r"catalog\.sock has no catalog\.stock"):
            await catalog.stock("tea")


async def test_nothing_is_served_to_a_network(world: Any) -> None:
    async with world.catalog() as running, listening(rpc().serve(running.site), "127.0.0.1:0") as address:
        with pytest.raises(Lost, match="404"):
            await world.ask(world.link(address)).price("tea")
    async with (
        world.catalog() as running,
        listening(rpc(network=True).serve(running.site), "127.0.0.1:0") as address,
    ):
        assert (await world.ask(world.link(address)).price("tea")).currency == "EUR"


async def test_a_message_may_not_be_larger_than_its_operation_takes(world: Any) -> None:
    from enfilade.errors import TooLarge

    async with world.catalog():
        with pytest.raises(TooLarge):
            await world.ask().note("x" * 2_000_000)


async def test_the_socket_is_its_owners_and_goes_with_its_listener(world: Any) -> None:
    path = world.folder / "catalog.sock"
    async with world.catalog():
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


async def test_what_runs_at_the_end_is_finished(world: Any) -> None:
    async with world.catalog():
        call = asyncio.create_task(world.ask().slow(0.2))
        await world.until(lambda: world.notes.running == 1)

    assert 0 < await call <= 5


async def test_a_peer_that_hangs_is_known_long_before_the_time_is_over(world: Any) -> None:
    link = world.link(connections=4, waiting=4, patience=0.1)
    catalog = world.ask(link, timeout=600.0)
    async with saying(world, b""):
        async with asyncio.timeout(30):  # of calls that have ten minutes
            failed = await asyncio.gather(*(catalog.note("x") for _ in range(20)), return_exceptions=True)
            found = {type(one).__name__ for one in failed}
            assert {"Dead", "Overloaded"} <= found <= {"Dead", "Overloaded", "Unreached"}
            with pytest.raises(Unavailable):
                await catalog.price("tea")
        assert link.statistics()[world.address]["busy"] == 0

    async with world.catalog(), asyncio.timeout(30):
        while True:
            try:
                await world.ask(link).price("tea")
            except Unavailable:
                continue
            break


async def test_a_stream_of_a_peer_that_hangs_is_given_up_too(world: Any) -> None:
    async with saying(world, b""), asyncio.timeout(30):
        with pytest.raises(Unavailable):
            async for _ in world.ask(world.link(patience=0.1), timeout=600.0).watch(1):
                pass


async def test_a_peer_that_is_slow_says_that_it_is_alive_and_has_its_time(world: Any) -> None:
    link = world.link(connections=1)
    async with world.catalog():
        with pytest.raises(DeadlineExceeded):
            async with asyncio.timeout(30):
                await world.ask(link, timeout=3.5).slow(30.0)
        assert link.statistics()[world.address]["well"]


async def test_a_hung_service_takes_nothing_from_calls_to_others(world: Any, kinds: Any) -> None:
    other = f"unix:{world.folder}/other.sock"
    hung, well = world.link(connections=16, waiting=16, patience=0.1), world.link(other)
    async with saying(world, b"") as asked, world.catalog(other):
        waiting = [asyncio.create_task(world.ask(hung, timeout=600.0).note("x")) for _ in range(300)]
        for _ in range(50):
            assert await world.ask(well).product("tea") == kinds.product()
        failed = await asyncio.gather(*waiting, return_exceptions=True)

        assert len(asked) <= 16 + 30  # as many as there are connections; then one at a time sees whether it is alive
        assert sum(isinstance(one, Overloaded) for one in failed) >= 300 - 32
        assert all(isinstance(one, Unavailable) for one in failed)
        assert hung.statistics()[world.address]["open"] == 0

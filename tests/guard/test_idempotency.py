"""Again, or for the first time: a command under a key runs once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from enfilade.call import Call, Principal, enter, leave
from enfilade.clock import VirtualClock
from enfilade.contract.blob import Blob
from enfilade.errors import Conflict, Invalid, KeyReused, Malformed, TooManyRequests, Unavailable
from enfilade.guard import idempotency
from enfilade.store import Key, Record, Records, Row, Store, atomic, open_store
from enfilade.trace.recorder import Recorder


class FakeRecords(Records):
    """Records in a dict, each step of it taking a turn of the loop."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.kept: dict[tuple[str, str, str], Record] = {}
        self.until: dict[str, Any] = {}
        self.runs = 0

    async def begin(self, key: str, operation: str, principal: str, fingerprint: str, lease: float) -> Record:
        await asyncio.sleep(0)
        place = key, operation, principal
        found = self.kept.get(place)
        if found is not None and found.fingerprint != fingerprint:
            raise KeyReused
        if found is not None and found.state == "done":
            return found
        if found is not None and self.until.get(found.lease, self.clock.now()) > self.clock.now():
            raise Conflict(detail="It is still running.")
        self.runs += 1
        run = Record(
            key=key, operation=operation, principal=principal, fingerprint=fingerprint, state="running",
            lease=f"run-{self.runs}", at=self.clock.now(),
        )  # fmt: skip
        self.kept[place] = run
        self.until[run.lease] = self.clock.now() + timedelta(seconds=lease)
        return run

    async def finish(self, record: Record, reply: bytes) -> None:
        await asyncio.sleep(0)
        place = record.key, record.operation, record.principal
        if self.kept[place].lease == record.lease:
            self.kept[place] = msgspec.structs.replace(record, state="done", reply=reply)

    async def release(self, record: Record) -> None:
        await asyncio.sleep(0)
        self.until.pop(record.lease, None)


@pytest.fixture
def home(bench: Any) -> Any:
    return SimpleNamespace(records=FakeRecords(bench.clock))


class Till:
    """One operation behind the station."""

    def __init__(self, bench: Any, home: Any, service: Any = None, name: str = "buy", **changes: Any) -> None:
        self.bench, self.home = bench, home
        self.operation = bench.operation(name, **changes)
        self.handler = idempotency()(self.operation, service or bench.serve)
        self.last: Call | None = None

    async def __call__(self, key: str, **facts: Any) -> Any:
        self.last = call = self.bench.call(self.operation, key=key, **facts)
        call.home = self.home
        return await self.handler(call)

    @property
    def replayed(self) -> bool:
        return self.last is not None and (self.last.reply_fields or {}).get("Idempotency-Replayed") == "true"


async def test_a_repeated_command_is_answered_and_not_run_again(bench: Any, home: Any) -> None:
    till = Till(bench, home)
    first = await till("k1", caller="alice")
    assert not till.replayed
    second = await till("k1", caller="alice")

    assert till.replayed
    assert first == second == bench.Receipt(id="r1", quantity=1)
    assert bench.served == 1


async def test_a_command_without_a_key_runs_each_time(bench: Any, home: Any) -> None:
    till = Till(bench, home)
    await till("")
    await till("")

    assert bench.served == 2
    assert home.records.runs == 0


async def test_a_query_has_no_use_for_keys(bench: Any) -> None:
    assert idempotency()(bench.operation("receipt"), bench.serve) == bench.serve


async def test_a_declared_refusal_is_an_answer_like_any_other(bench: Any, home: Any) -> None:
    till = Till(bench, home, bench.failing(bench.SoldOut(sku="tea", detail="No tea.")))
    for _ in range(2):
        with pytest.raises(bench.SoldOut) as caught:
            await till("k1")
        assert (caught.value.sku, caught.value.detail) == ("tea", "No tea.")

    assert till.replayed
    assert bench.served == 1


@pytest.mark.parametrize(
    "kind", ["Broken", "bug", "Unavailable", "TooManyRequests", "Conflict", "Invalid", "cancelled"]
)
async def test_after_any_other_failure_the_key_is_free(bench: Any, home: Any, kind: str) -> None:
    errors = {
        "Broken": bench.Broken(),
        "bug": ValueError("a bug"),
        "Unavailable": Unavailable("away"),
        "TooManyRequests": TooManyRequests(),
        "Conflict": Conflict(),
        "Invalid": Invalid(),
        "cancelled": asyncio.CancelledError(),
    }
    error = errors[kind]
    raises = (bench.SoldOut, bench.Broken, TooManyRequests, Invalid)  # even where they are declared
    with pytest.raises(type(error)):
        await Till(bench, home, bench.failing(error), raises=raises)("k1")

    assert await Till(bench, home)("k1") == bench.Receipt(id="r2", quantity=1)


async def test_a_key_with_another_request_is_refused(bench: Any, home: Any) -> None:
    till = Till(bench, home)
    await till("k1")

    with pytest.raises(KeyReused):
        await till("k1", arguments={"quantity": 2})
    assert bench.served == 1


async def test_two_hundred_at_once_run_once(bench: Any, home: Any) -> None:
    go = asyncio.Event()

    async def slow(call: Call) -> Any:
        await go.wait()
        return await bench.serve(call)

    till = Till(bench, home, slow)
    calls = [asyncio.create_task(till("k1", caller="alice")) for _ in range(200)]
    for _ in range(10):
        await asyncio.sleep(0)
    go.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    assert bench.served == 1
    assert [type(one) for one in outcomes].count(Conflict) == 199
    assert outcomes.count(bench.Receipt(id="r1", quantity=1)) == 1
    assert await till("k1", caller="alice") == bench.Receipt(id="r1", quantity=1)


async def test_while_it_runs_the_others_are_told_to_come_again(bench: Any, home: Any) -> None:
    go = asyncio.Event()
    till = Till(bench, home, lambda call: go.wait())
    running = asyncio.create_task(till("k1"))
    for _ in range(5):
        await asyncio.sleep(0)

    with pytest.raises(Conflict):
        await till("k1")
    assert till.last is not None
    assert till.last.reply_fields == {"Retry-After": "1"}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_keys_are_told_apart_by_operation_caller_tenant_address_and_peer(bench: Any, home: Any) -> None:
    till = Till(bench, home)
    alice = Principal(subject="alice")
    senders = [
        {"caller": alice}, {"caller": "bob"}, {"caller": alice, "tenant": "acme"}, {"address": "1.1.1.1"},
        {"address": "1.1.1.2"}, {"caller": alice, "peer": "orders"}, {},
    ]  # fmt: skip
    for sender in senders:
        await till("k1", **sender)
        assert not till.replayed
    await Till(bench, home, name="upload")("k1", caller=alice)

    assert bench.served == len(senders) + 1


@pytest.mark.parametrize("key", ["x" * 256, "a\nb", "é", "\x7f", "a\x00"])
async def test_a_key_that_is_none_is_refused(bench: Any, home: Any, key: str) -> None:
    with pytest.raises(Malformed) as caught:
        await Till(bench, home)(key)

    assert caught.value.errors[0].parameter == "Idempotency-Key"
    assert bench.served == 0


@pytest.mark.parametrize("key", ["x", "x" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', " ~"])
async def test_any_printable_key_will_do(bench: Any, home: Any, key: str) -> None:
    assert await Till(bench, home)(key)


async def test_a_key_between_services_may_be_longer(bench: Any, home: Any) -> None:
    assert await Till(bench, home)("x" * 300, peer="orders")


async def test_without_a_store_and_for_deliveries_the_call_just_passes(bench: Any, home: Any) -> None:
    till = Till(bench, None)
    await till("k1")
    await till("k1")
    delivered = bench.call(till.operation, key="k1")
    delivered.home, delivered.delivery = home, "an event"
    await till.handler(delivered)

    assert bench.served == 3
    assert home.records.runs == 0


async def test_a_command_that_answers_with_a_stream_takes_no_key_from_outside(bench: Any, home: Any) -> None:
    till = Till(bench, home, bench.streaming(1), name="follow")

    with pytest.raises(Invalid, match="cannot be repeated"):
        await till("k1")
    assert [item async for item in await till("")] == [1]
    assert [item async for item in await till("k1", peer="orders")] == [1]
    harmless = Till(bench, home, bench.streaming(1), name="follow", idempotent=True)
    assert [item async for item in await harmless("k1")] == [1]


async def test_a_file_that_is_sent_again_is_the_same_request(bench: Any, home: Any) -> None:
    async def service(call: Call) -> None:
        bench.served += 1

    till = Till(bench, home, service, name="upload")
    for id in ("b1", "b2"):  # each upload is stored under an id of its own
        await till("k1", arguments={"photo": Blob(id=id, size=3, sha256="00" * 32)})
    assert bench.served == 1

    with pytest.raises(KeyReused):
        await till("k1", arguments={"photo": Blob(id="b3", size=3, sha256="11" * 32)})


async def test_a_run_that_vanished_gives_its_key_up_some_time_after_its_deadline(bench: Any, home: Any) -> None:
    till = Till(bench, home, lambda call: asyncio.Event().wait())
    lost = asyncio.create_task(till("k1", deadline=10.0))
    for _ in range(5):
        await asyncio.sleep(0)
    again = Till(bench, home)
    await bench.clock.advance(14)
    with pytest.raises(Conflict):
        await again("k1")
    await bench.clock.advance(1)

    assert await again("k1")
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)


async def test_the_unit_of_work_finds_the_record_on_its_call(bench: Any, home: Any) -> None:
    seen: list[Any] = []

    async def service(call: Call) -> Any:
        seen.append(call.record.state)
        return await bench.serve(call)

    await Till(bench, home, service)("k1")

    assert seen == ["running"]


class Sold(Row):
    id: Key[str]


@pytest.fixture
async def store(bench: Any) -> AsyncGenerator[Store]:
    store = open_store("sqlite::memory:", "shop", clock=bench.clock, recorder=Recorder(bench.clock), secret=b"s" * 32)
    await store.open()
    store.table(Sold)
    await store.migrate(apply=True)
    yield store
    await store.close()


class Shop:
    """A service that writes a row, and may fail once the row is stored."""

    def __init__(self, bench: Any, store: Store) -> None:
        self.bench, self.sold = bench, store.table(Sold)
        self.failure: Exception | None = None

    async def __call__(self, call: Call) -> Any:
        token = enter(call)
        try:
            id = await self.sell()
            if self.failure is not None:
                raise self.failure
            return self.bench.Receipt(id=id, quantity=call.arguments["quantity"])
        finally:
            leave(token)

    @atomic
    async def sell(self) -> str:
        self.bench.served += 1
        sold = await self.sold.add(Sold(id=f"s{self.bench.served}"))
        return sold.id


async def test_two_hundred_at_once_sell_once_in_a_real_store(bench: Any, store: Store) -> None:
    shop = Shop(bench, store)
    till = Till(bench, store, shop)
    outcomes = await asyncio.gather(*(till("k1", caller="alice") for _ in range(200)), return_exceptions=True)

    assert await shop.sold.count() == 1
    assert bench.served == 1
    assert {type(one) for one in outcomes} == {Conflict, bench.Receipt}
    assert {one.id for one in outcomes if isinstance(one, bench.Receipt)} == {"s1"}
    assert (await till("k1", caller="alice")).id == "s1"
    with pytest.raises(KeyReused):
        await till("k1", caller="alice", arguments={"quantity": 2})


async def test_what_was_stored_before_the_answer_was_lost_is_answered_and_not_stored_again(
    bench: Any, store: Store
) -> None:
    shop = Shop(bench, store)
    till = Till(bench, store, shop)
    shop.failure = Unavailable("the answer was lost")
    with pytest.raises(Unavailable):
        await till("k1")
    shop.failure = None

    assert (await till("k1")).id == "s1"
    assert (await till("k1")).id == "s1"
    assert await shop.sold.count() == 1


async def test_a_refusal_from_within_the_unit_of_work_is_answered_again_and_stores_nothing(
    bench: Any, store: Store
) -> None:
    shop = Shop(bench, store)
    shop.failure = bench.SoldOut(sku="tea")
    till = Till(bench, store, shop)
    for _ in range(2):
        with pytest.raises(bench.SoldOut):
            await till("k1")

    assert bench.served == 1


def test_commands_of_one_call_have_keys_of_their_own(bench: Any) -> None:
    buy, upload = bench.operation("buy"), bench.operation("upload")
    first, second = bench.call(buy, key="k1"), bench.call(upload, key="k1")
    keys = [call.child(buy, {}).key for call in (first, first, second)]

    assert len(set(keys)) == 3
    assert first.child(bench.operation("receipt"), {}).key == ""

"""Outbox, inbox and idempotency records, alike on both engines."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from enfilade.contract.marks import Key
from enfilade.contract.message import Message
from enfilade.errors import Conflict, KeyReused
from enfilade.store import Entry, LeaseLost, Row, Store, atomic
from enfilade.store.holder import gone

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = datetime(2999, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class NoteRow(Row):
    id: Key[str]


class Note(Message):
    id: str
    count: int


def entry(id: str, key: str = "", **more: Any) -> Entry:
    options = {
        "topic": "shop.Said",
        "source": "shop",
        "at": NOON,
        "body": b'{"n":1}',
        "headers": {"tenant": "t1"},
    } | more
    return Entry(id=id, key=key, **options)


@pytest.fixture
async def store(place: Any) -> Store:
    return await place.store(NoteRow)


async def say(store: Store, *entries: Entry) -> None:
    async with store.unit():
        for one in entries:
            await store.outbox.add(one)


async def test_what_is_said_waits_until_it_is_sent(store: Store) -> None:
    told: list[int] = []
    store.on_commit(lambda: told.append(1))

    await say(store, entry("b", key="k"), entry("a"), entry("a"))

    due = await store.outbox.due(NOON)
    assert [(one.id, one.key, one.body, dict(one.headers)) for one in due] == [
        ("b", "k", b'{"n":1}', {"tenant": "t1"}), ("a", "", b'{"n":1}', {"tenant": "t1"}),
    ]  # fmt: skip
    assert due[0].seq < due[1].seq
    assert await store.outbox.pending() == 2
    assert told == [1]
    await store.outbox.sent([one.id for one in due])
    assert await store.outbox.due(NOON) == ()
    assert await store.outbox.next_due() is None


async def test_what_is_said_is_stored_with_its_rows_or_not_at_all(store: Store) -> None:
    notes = store.table(NoteRow)
    told: list[int] = []
    store.on_commit(lambda: told.append(1))

    with pytest.raises(ZeroDivisionError):
        async with store.unit():
            await store.outbox.add(entry("a"))
            await notes.add(NoteRow(id="a"))
            raise ZeroDivisionError

    assert await store.outbox.pending() == 0
    assert await notes.count() == 0
    assert told == []


async def test_a_timer_is_due_at_its_time_and_before_what_was_said(store: Store) -> None:
    await say(
        store, entry("said"), entry("late", timer=True, at=NOON + 2 * HOUR), entry("soon", timer=True, at=NOON + HOUR)
    )

    assert [one.id for one in await store.outbox.due(NOON)] == ["said"]
    assert [one.id for one in await store.outbox.due(NOON + 2 * HOUR)] == ["soon", "late", "said"]
    await store.outbox.sent(["said"])
    assert await store.outbox.next_due() == NOON + HOUR
    assert await store.outbox.pending() == 0


async def test_an_entry_is_taken_once_for_each_consumer(store: Store) -> None:
    assert await store.inbox.accept("mail", [entry("a"), entry("b")]) == 2
    assert await store.inbox.accept("mail", [entry("b"), entry("c")]) == 1
    assert await store.inbox.accept("stock", [entry("a")]) == 1

    assert await store.inbox.pending() == 4


async def test_only_the_first_of_each_key_can_be_claimed(store: Store) -> None:
    entries = [
        entry("1", "x"),
        entry("2", "x"),
        entry("3", "y"),
        entry("4"),
        entry("5"),
        entry("6", "x", source="other"),
    ]
    await store.inbox.accept("mail", entries)

    first = await store.inbox.claim(LATER, consumers=["mail"])
    second = await store.inbox.claim(LATER, consumers=["mail"])

    assert sorted(one.entry.id for one in first) == ["1", "3", "4", "5", "6"]
    assert second == ()
    await store.inbox.done(first[0])
    assert [one.entry.id for one in await store.inbox.claim(LATER, consumers=["mail"])] == ["2"]


async def test_a_delivery_that_failed_comes_again_before_what_follows_it(store: Store) -> None:
    await store.inbox.accept("mail", [entry("1", "x"), entry("2", "x")])
    (first,) = await store.inbox.claim(LATER, consumers=["mail"])

    await store.inbox.retry(first, LATER + HOUR, "no route")

    assert await store.inbox.claim(LATER, consumers=["mail"]) == ()
    assert await store.inbox.next_due() == LATER + HOUR
    (again,) = await store.inbox.claim(LATER + HOUR, consumers=["mail"])
    assert (again.entry.id, first.tries, again.tries) == ("1", 0, 1)


async def test_a_delivery_whose_lease_ended_is_claimed_by_another(store: Store) -> None:
    await store.inbox.accept("mail", [entry("1", "x")])
    (first,) = await store.inbox.claim(LATER, consumers=["mail"], lease=60)
    assert await store.inbox.claim(LATER + timedelta(seconds=59), consumers=["mail"]) == ()
    (second,) = await store.inbox.claim(LATER + timedelta(seconds=60), consumers=["mail"])

    with pytest.raises(LeaseLost):
        await store.inbox.done(first)
    with pytest.raises(LeaseLost):
        async with store.unit():
            await store.table(NoteRow).add(NoteRow(id="a"))
            await store.inbox.done(first)
    await store.inbox.retry(first, LATER, "too late")
    await store.inbox.bury(first, "too late")

    assert await store.table(NoteRow).count() == 0
    await store.inbox.done(second)
    assert await store.inbox.pending() == 0


async def test_claims_at_the_same_time_take_nothing_twice(store: Store) -> None:
    await store.inbox.accept("mail", [entry(str(at), str(at % 7)) for at in range(100)])

    claims = await asyncio.gather(*(store.inbox.claim(LATER, consumers=["mail"], limit=3) for _ in range(6)))

    taken = [one.entry.id for claim in claims for one in claim]
    assert len(taken) == len(set(taken)) == 7


async def test_a_dead_letter_is_listed_revived_and_dropped(store: Store) -> None:
    await store.inbox.accept("shop.mail", [entry("1", "x"), entry("2", "x")])
    (first,) = await store.inbox.claim(LATER, consumers=["shop.mail"])
    await store.inbox.bury(first, "cannot be read")

    (dead,) = await store.inbox.dead()
    assert (dead.id, dead.error, dead.tries, dead.entry.body) == ("shop.mail/1", "cannot be read", 1, b'{"n":1}')
    assert [one.entry.id for one in await store.inbox.claim(LATER, consumers=["shop.mail"])] == ["2"]
    assert await store.inbox.revive("shop.mail/2") is False
    assert await store.inbox.revive("shop.mail/1") is True
    (again,) = await store.inbox.claim(LATER, consumers=["shop.mail"])
    assert again.tries == 0
    await store.inbox.bury(again, "still not")
    assert await store.inbox.drop("shop.mail/1") is True
    assert await store.inbox.dead() == ()
    assert await store.inbox.accept("shop.mail", [entry("1", "x")]) == 0


async def test_what_was_heard_is_forgotten_when_it_is_swept(store: Store) -> None:
    await store.inbox.accept("mail", [entry("1"), entry("2")])
    (first, _) = await store.inbox.claim(LATER, consumers=["mail"])
    await store.inbox.done(first)

    assert await store.inbox.sweep(NOON, consumers=["mail"]) == 0
    assert await store.inbox.sweep(LATER, consumers=["mail"]) == 1
    assert await store.inbox.pending() == 1


class Notes:
    """A service with one command."""

    def __init__(self, store: Store) -> None:
        self.notes = store.table(NoteRow)
        self.runs = 0

    @atomic
    async def write(self, id: str) -> Note:
        self.runs += 1
        await self.notes.add(NoteRow(id=id))
        return Note(id=id, count=self.runs)

    @atomic
    async def unpackable(self, id: str) -> Any:
        await self.notes.add(NoteRow(id=id))
        return object()


async def begin(store: Store, **more: Any) -> Any:
    options = {"key": "k", "operation": "shop.do", "principal": "ann", "fingerprint": "f", "lease": 30.0} | more
    return await store.records.begin(**options)


async def test_a_repeat_takes_the_stored_reply(store: Store, calling: Any) -> None:
    notes = Notes(store)
    record = await begin(store)
    with calling(store) as call:
        call.record = record
        await notes.write("a")
        await store.records.finish(call.record, b"reply")

    again = await begin(store)

    assert (record.state, again.state, again.reply) == ("running", "done", b"reply")
    found = await store.records.find("k", "shop.do", "ann")
    assert found == again
    for other in ({"principal": "bob"}, {"operation": "shop.other"}, {"key": "k2"}):
        assert (await begin(store, **other)).state == "running"


async def test_a_repeat_after_a_crash_takes_the_result_of_the_unit(store: Store, calling: Any) -> None:
    notes = Notes(store)
    with calling(store) as call:
        call.record = await begin(store, lease=0.0)
        first = await notes.write("a")

    with calling(store) as call:
        call.record = await begin(store)
        assert call.record.state == "committed"
        second = await notes.write("a")
        await store.records.finish(call.record, b"reply")

    assert second == first
    assert notes.runs == 1
    assert await notes.notes.count() == 1
    assert (await begin(store)).reply == b"reply"


async def test_a_result_that_cannot_be_kept_is_not_made_again(store: Store, calling: Any) -> None:
    notes = Notes(store)
    with calling(store) as call:
        call.record = await begin(store, lease=0.0)
        await notes.unpackable("a")

    with calling(store) as call:
        call.record = await begin(store)
        with pytest.raises(Conflict, match="carried out before"):
            await notes.unpackable("a")


async def test_the_same_key_cannot_run_twice_at_once(store: Store, calling: Any) -> None:
    notes = Notes(store)
    ends = await asyncio.gather(*(begin(store) for _ in range(8)), return_exceptions=True)

    running = [end for end in ends if not isinstance(end, Exception)]
    assert len(running) == 1
    assert sum(isinstance(end, Conflict) for end in ends) == 7
    with pytest.raises(KeyReused):
        await begin(store, fingerprint="another")
    await store.records.release(running[0])
    taken_over = await begin(store, lease=0.0)
    third = await begin(store)
    with calling(store) as call:
        call.record = taken_over
        with pytest.raises(Conflict, match="another run"):
            await notes.write("a")
    assert await notes.notes.count() == 0
    await store.records.finish(taken_over, b"too late")
    with calling(store) as call:
        call.record = third
        await notes.write("a")
    assert await notes.notes.count() == 1


def elsewhere() -> str:
    """What a process names its claims, that has ended."""
    script = "from enfilade.store.holder import named; print(named('0123'))"
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.strip()


async def test_what_a_process_had_begun_is_taken_over_when_it_has_ended(store: Store) -> None:
    first = await begin(store)
    with pytest.raises(Conflict, match="still running"):
        await begin(store)
    ended = elsewhere()
    sql = "UPDATE enfilade_record SET lease = :lease"
    await store.home.engine.write((store.home.statement(sql, "count", {"lease": ended}, quick=True),))

    assert gone(ended) == (sys.platform == "linux")
    assert not gone(first.lease)
    assert not gone(ended.replace("@", "@another-machine"))
    if gone(ended):
        assert (await begin(store)).state == "running"


async def test_a_run_that_is_released_after_its_commit_keeps_the_result(store: Store, calling: Any) -> None:
    notes = Notes(store)
    with calling(store) as call:
        call.record = await begin(store)
        await notes.write("a")
        await store.records.release(call.record)

    assert (await begin(store)).state == "committed"


async def test_an_event_is_heard_in_the_unit_of_its_handler(store: Store, calling: Any) -> None:
    notes = Notes(store)
    await store.inbox.accept("mail", [entry("1")])
    (delivery,) = await store.inbox.claim(LATER, consumers=["mail"])

    with calling(store) as call:
        call.delivery = delivery
        await notes.write("a")

        assert call.delivery is None
    assert await store.inbox.pending() == 0


async def test_a_handler_whose_lease_is_lost_stores_nothing(store: Store, calling: Any) -> None:
    notes = Notes(store)
    await store.inbox.accept("mail", [entry("1")])
    (late,) = await store.inbox.claim(LATER, consumers=["mail"], lease=0)
    (_,) = await store.inbox.claim(LATER, consumers=["mail"])

    with calling(store) as call:
        call.delivery = late
        with pytest.raises(Conflict):
            await notes.write("a")

    assert await notes.notes.count() == 0


async def test_records_are_forgotten_when_they_are_swept(store: Store) -> None:
    await begin(store)

    assert await store.records.sweep(NOON) == 0
    assert await store.records.sweep(LATER) == 1


async def test_what_is_heard_at_once_is_stored_once_and_never_taken_again(store: Store, calling: Any) -> None:
    notes = Notes(store)
    (delivery,) = await store.inbox.begin([("mail", entry("1", "x"))])
    assert delivery.new
    assert await store.inbox.pending() == 0

    with calling(store) as call:
        call.delivery = delivery
        await notes.write("a")

    assert await store.inbox.begin([("mail", entry("1", "x")), ("stock", entry("1", "x"))]) != []
    assert await store.inbox.begin([("mail", entry("1", "x"))]) == []
    assert await store.inbox.accept("mail", [entry("1", "x")]) == 0
    assert await store.inbox.claim(LATER, consumers=["mail"]) == ()
    assert await store.inbox.sweep(LATER, consumers=["mail"]) == 1


async def test_of_two_who_hear_the_same_at_once_only_one_stores_it(store: Store, calling: Any) -> None:
    notes = Notes(store)
    both = [(await store.inbox.begin([("mail", entry("1"))]))[0] for _ in range(2)]
    await store.inbox.done(both[0])

    with pytest.raises(LeaseLost):
        await store.inbox.done(both[1])
    with calling(store) as call:
        call.delivery = both[1]
        with pytest.raises(Conflict):
            await notes.write("a")
    await store.inbox.retry(both[1], NOON, "too late")
    await store.inbox.bury(both[1], "too late")
    await store.inbox.hold([both[1]], lease=60)

    assert await notes.notes.count() == 0
    assert await store.inbox.pending() == 0
    assert await store.inbox.dead() == ()


async def test_nothing_is_heard_at_once_before_what_has_its_key(store: Store) -> None:
    await store.inbox.accept("mail", [entry("1", "x")])
    wanted = [entry("2", "x"), entry("3", "y"), entry("4"), entry("5", "x", source="other")]

    begun = await store.inbox.begin([("mail", one) for one in wanted])

    assert [one.entry.id for one in begun] == ["3", "4", "5"]


async def test_what_fails_at_once_waits_or_is_a_dead_letter(store: Store) -> None:
    first, second = await store.inbox.begin([("mail", entry("1", "x")), ("mail", entry("2", "y"))])

    await store.inbox.retry(first, LATER, "no route")
    await store.inbox.bury(second, "cannot be read")

    (again,) = await store.inbox.claim(LATER, consumers=["mail"])
    assert (again.entry.id, again.tries, again.new, again.entry.body) == ("1", 1, False, b'{"n":1}')
    (dead,) = await store.inbox.dead()
    assert (dead.id, dead.tries, dead.error, dead.entry.body) == ("mail/2", 1, "cannot be read", b'{"n":1}')


async def test_what_is_held_is_leased_until_it_is_heard_or_the_lease_ends(store: Store) -> None:
    first, second = await store.inbox.begin([("mail", entry("1", "x")), ("mail", entry("2", "y"))])
    await store.inbox.hold([first, second], lease=60)
    assert await store.inbox.claim(store.home.clock.now(), consumers=["mail"]) == ()

    await store.inbox.done(first)
    (taken,) = await store.inbox.claim(LATER, consumers=["mail"])

    assert (taken.entry.id, taken.tries) == ("2", 1)
    with pytest.raises(LeaseLost):
        await store.inbox.done(second)
    await store.inbox.done(taken)
    assert await store.inbox.pending() == 0

"""Handing on: in order for each key, the refused key alone waits; in the background, and at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from enfilade.contract.message import Event
from enfilade.store import Entry, Store, atomic
from enfilade.topic import Local, Relay, Topic, on


class Said(Event, key="who"):
    who: str
    what: int


class Speaker:
    def __init__(self, store: Store) -> None:
        self.said = Topic(Said, "speaker")

    @atomic
    async def say(self, who: str, *what: int, at: datetime | None = None) -> None:
        for one in what:
            await self.said.publish(Said(who=who, what=one), at=at)


class Hearer:
    def __init__(self, store: Store) -> None:
        self.heard: list[tuple[str, int]] = []
        self.waits: asyncio.Event | None = None

    @on(Said)
    async def hear(self, event: Said) -> None:
        if self.waits is not None:
            await self.waits.wait()
        self.heard.append((event.who, event.what))


class Line:
    """A transport that refuses what it is told to, or everything."""

    def __init__(self, *topics: str) -> None:
        self.topics = frozenset(topics)
        self.refused: set[str] = set()
        self.down = False
        self.taken: list[str] = []
        self.asked = 0

    async def accept(self, entries: Sequence[Entry]) -> None:
        self.asked += 1
        bodies = [entry.body.decode() for entry in entries]
        if self.down or any(refused in body for refused in self.refused for body in bodies):
            raise ConnectionError("refused")
        self.taken.extend(bodies)


class Unsteady:
    """An outbox that cannot be read the first times."""

    def __init__(self, outbox: Any) -> None:
        self.outbox = outbox
        self.fails = 3

    async def due(self, *args: Any, **kwargs: Any) -> Any:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("no database")
        return await self.outbox.due(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.outbox, name)


def body(who: str, what: int) -> str:
    return f'{{"who":"{who}","what":{what}}}'


@pytest.fixture
async def speaker(world: Any) -> Speaker:
    return await world.join("speaker", Speaker)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def relay(world: Any, speaker: Speaker, line: Line) -> Relay:
    return Relay(world.stores["speaker"], line, clock=world.clock, recorder=world.recorder)


async def pending(world: Any) -> int:
    return await world.stores["speaker"].outbox.pending()


async def test_a_batch_is_handed_on_in_one(world: Any, speaker: Speaker, relay: Relay, line: Line) -> None:
    await world.call("speaker", speaker.say, "a", 1, 2)
    await world.call("speaker", speaker.say, "b", 1)

    assert await relay.turn() == 3
    assert line.asked == 1
    assert line.taken == [body("a", 1), body("a", 2), body("b", 1)]
    assert await pending(world) == 0


async def test_a_key_whose_entry_is_refused_waits_alone_and_keeps_its_order(
    world: Any, speaker: Speaker, relay: Relay, line: Line
) -> None:
    line.refused.add(body("a", 2))
    await world.call("speaker", speaker.say, "a", 1, 2, 3)
    await world.call("speaker", speaker.say, "b", 1, 2)
    assert await relay.turn() == 3
    assert sorted(line.taken) == [body("a", 1), body("b", 1), body("b", 2)]

    await world.call("speaker", speaker.say, "a", 4)
    await world.call("speaker", speaker.say, "b", 3)
    while await relay.turn():
        pass
    assert line.taken[-1] == body("b", 3)

    line.refused.clear()
    await world.clock.advance(600)
    assert await relay.turn() == 3
    assert line.taken[-3:] == [body("a", 2), body("a", 3), body("a", 4)]


async def test_more_refused_keys_than_a_batch_has_room_for_do_not_hold_up_the_rest(
    world: Any, speaker: Speaker, relay: Relay, line: Line
) -> None:
    line.refused.add("bad")
    for count in range(250):
        await world.call("speaker", speaker.say, f"bad{count}", 1)
    await world.call("speaker", speaker.say, "good", 1)
    for _ in range(3):
        await relay.turn()

    assert line.taken == [body("good", 1)]


async def test_a_transport_that_is_down_is_asked_again_and_nothing_is_lost(
    world: Any, speaker: Speaker, relay: Relay, line: Line
) -> None:
    line.down = True
    await world.call("speaker", speaker.say, "a", 1, 2)
    for _ in range(5):
        await relay.turn()
        await world.clock.advance(600)
    line.down = False
    await relay.turn()

    assert line.taken == [body("a", 1), body("a", 2)]


async def test_a_hearer_that_is_down_does_not_keep_an_event_from_the_others(world: Any, speaker: Speaker) -> None:
    down, up, other = Line("test_relay.Said"), Line("test_relay.Said"), Line("test_relay.Other")
    relay = Relay(world.stores["speaker"], Local([down, up, other]), clock=world.clock, recorder=world.recorder)
    down.down = True
    await world.call("speaker", speaker.say, "a", 1)
    await relay.turn()

    assert set(up.taken) == {body("a", 1)}
    assert other.asked == 0
    assert await pending(world) == 1


async def test_the_outbox_is_measured(world: Any, speaker: Speaker, relay: Relay, line: Line) -> None:
    line.down = True
    await world.call("speaker", speaker.say, "a", 1, 2)
    await relay.turn()
    await world.clock.advance(90)
    await relay.measure()
    assert world.metric("enfilade_outbox_pending", service="speaker") == 2
    assert world.metric("enfilade_outbox_oldest_seconds", service="speaker") == 90

    line.down = False
    await relay.drain(10)
    assert world.metric("enfilade_outbox_pending", service="speaker") == 0
    assert world.metric("enfilade_outbox_oldest_seconds", service="speaker") == 0


async def test_draining_says_whether_something_is_left(world: Any, speaker: Speaker, relay: Relay, line: Line) -> None:
    await world.call("speaker", speaker.say, "a", *range(500))
    assert await relay.drain(10)
    assert len(line.taken) == 500

    line.down = True
    await world.call("speaker", speaker.say, "a", 1)
    assert not await relay.drain(10)
    assert await pending(world) == 1


# -- in the background


async def test_in_the_background_a_commit_wakes_the_relay_and_the_hearer(world: Any, speaker: Speaker) -> None:
    hearer = await world.join("hearer", Hearer)
    await world.messaging.start()
    await world.call("speaker", speaker.say, "a", 1, 2, 3)
    await world.till(lambda: len(hearer.heard) == 3)
    await world.messaging.stop(10)

    assert hearer.heard == [("a", 1), ("a", 2), ("a", 3)]


async def test_in_the_background_a_timer_comes_when_its_time_has_come(world: Any, speaker: Speaker) -> None:
    hearer = await world.join("hearer", Hearer)
    await world.messaging.start()
    due = world.clock.now().replace(minute=10)
    await world.call("speaker", speaker.say, "a", 1, at=due)
    while not hearer.heard:
        await world.clock.advance(1)
        await asyncio.sleep(0.001)
    await world.messaging.stop()

    assert world.clock.now() >= due


async def test_stopping_lets_handlers_end_and_hands_on_what_they_said(world: Any, speaker: Speaker) -> None:
    hearer = await world.join("hearer", Hearer)
    hearer.waits = asyncio.Event()
    await world.messaging.start()
    await world.call("speaker", speaker.say, "a", 1)
    await world.till(lambda: world.messaging.dispatchers[-1]._running)
    await world.call("speaker", speaker.say, "b", 1)
    stopping = asyncio.create_task(world.messaging.stop(30))
    await asyncio.sleep(0.01)
    assert not stopping.done()
    hearer.waits.set()
    await stopping

    assert hearer.heard == [("a", 1)]
    assert await pending(world) == 0
    assert await world.stores["hearer"].inbox.pending() == 1


async def test_what_runs_too_long_at_the_end_is_cut_off_and_runs_at_the_next_start(
    world: Any, speaker: Speaker
) -> None:
    hearer = await world.join("hearer", Hearer)
    hearer.waits = asyncio.Event()
    await world.messaging.start()
    await world.call("speaker", speaker.say, "a", 1)
    await world.till(lambda: world.messaging.dispatchers[-1]._running)
    await world.messaging.stop(0)
    assert hearer.heard == []
    _, after = await world.restart(("speaker", Speaker), ("hearer", Hearer))
    await world.settle()

    assert after.heard == [("a", 1)]


async def test_a_store_that_cannot_be_read_for_a_while_does_not_end_the_work(world: Any, speaker: Speaker) -> None:
    hearer = await world.join("hearer", Hearer)
    store = world.stores["speaker"]
    store.outbox = Unsteady(store.outbox)
    await world.messaging.start()
    await world.call("speaker", speaker.say, "a", 1)
    while not hearer.heard:
        await world.clock.advance(1)
        await asyncio.sleep(0.001)
    await world.messaging.stop()

    assert hearer.heard == [("a", 1)]

"""Events between processes by a real nats-server: what is lost, doubled or turned around by whatever dies. Nothing."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nats
import pytest

from enfilade.call import current
from enfilade.clock import SystemClock
from enfilade.contract.message import Event
from enfilade.errors import StartError
from enfilade.store import Entry, Store, atomic
from enfilade.topic import Topic, every, on
from enfilade.topic.nats import Nats
from enfilade.topic.nats.wire import entry_of, headers_of, subject_of

KEYS = "abcdefghij"


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
        self.calls: list[Any] = []
        self.fails = 0

    @on(Said)
    async def hear(self, event: Said) -> None:
        call = current()
        self.calls.append((call.peer, call.tenant, call.trace_id))
        if self.fails:
            self.fails -= 1
            raise RuntimeError("not yet")
        self.heard.append((event.who, event.what))


class Clockwork:
    def __init__(self, store: Store) -> None:
        self.ticks = 0

    @every("1s")
    async def tick(self) -> None:
        self.ticks += 1


def by_key(heard: Sequence[tuple[str, int]]) -> dict[str, list[int]]:
    return {key: [what for who, what in heard if who == key] for key in sorted({who for who, _ in heard})}


async def pair(process: Callable[..., Any]) -> tuple[Any, Speaker, Any, Hearer]:
    """A process that speaks and one that hears, both at work."""
    there, here = process(), process()
    hearer, speaker = await there.join("hearer", Hearer), await here.join("speaker", Speaker)
    await there.messaging.start()
    await here.messaging.start()
    return here, speaker, there, hearer


# -- what dies


async def test_a_thousand_events_keep_the_order_of_their_keys_over_a_restart_of_the_broker(
    process: Any, broker: Any
) -> None:
    here, speaker, there, hearer = await pair(process)
    for start in range(0, 100, 20):
        for key in KEYS:
            await here.call("speaker", speaker.say, key, *range(start, start + 20))
        if start == 40:
            await there.till(lambda: len(hearer.heard) > 200)
            broker.kill()
            broker.start()
    await there.till(lambda: len(hearer.heard) >= 1000)
    await there.messaging.stop(1)

    assert by_key(hearer.heard) == {key: list(range(100)) for key in KEYS}
    assert await here.stores["speaker"].outbox.pending() == 0


async def test_while_the_broker_is_away_events_stay_in_the_outbox_and_that_is_said_once(
    process: Any, broker: Any, caplog: pytest.LogCaptureFixture
) -> None:
    here, speaker, there, hearer = await pair(process)
    assert here.messaging.waiting == ()
    broker.kill()
    with caplog.at_level(logging.WARNING):
        await here.till(lambda: here.messaging.waiting)
        for what in range(5):
            await here.call("speaker", speaker.say, "a", what)
        await asyncio.sleep(0.5)  # time for several tries

        assert here.messaging.waiting == ("broker",)
        assert await here.stores["speaker"].outbox.pending() == 5
        assert [one.getMessage() for one in caplog.records if "stay in the outbox:" in one.getMessage()] == [
            f"speaker: events stay in the outbox: the broker at 127.0.0.1:{broker.port} is gone"
        ]
    broker.start()
    await there.till(lambda: len(hearer.heard) >= 5)

    assert hearer.heard == [("a", what) for what in range(5)]
    assert here.messaging.waiting == ()


async def test_a_relay_that_dies_before_it_forgets_what_it_published_doubles_nothing(process: Any) -> None:
    here, speaker, there, hearer = await pair(process)
    await here.messaging.stop()
    await here.call("speaker", speaker.say, "a", 1, 2)
    transport = Nats(here._broker, clock=here.clock)
    await transport.start()
    await transport.accept(await here.stores["speaker"].outbox.due(here.clock.now()))  # and it dies here
    await transport.stop()
    await there.till(lambda: len(hearer.heard) == 2)
    await here.restart(("speaker", Speaker))
    await here.messaging.settle()
    await here.messaging.stop()
    await asyncio.sleep(0.3)

    assert hearer.heard == [("a", 1), ("a", 2)]
    assert await here.stores["speaker"].outbox.pending() == 0


DEADLY = """
import asyncio, os, signal, sys
from enfilade.clock import SystemClock
from enfilade.store import open_store
from enfilade.topic import Heard
from enfilade.topic.nats import Nats
from enfilade.trace.recorder import Recorder

url, folder = sys.argv[1:]

class Deadly:
    service, topics, turns = "hearer", frozenset({"test_nats.Said"}), frozenset()

    def __init__(self, store):
        self.store = store

    async def accept(self, entries):
        await self.store.inbox.accept("hearer.hear", entries)
        os.kill(os.getpid(), signal.SIGKILL)  # it is stored, and not acknowledged

async def main():
    clock = SystemClock()
    place, recorder = f"sqlite:{folder}/{{service}}.db", Recorder(clock)
    store = open_store(place, "hearer", clock=clock, recorder=recorder, secret=b"s" * 32)
    await store.open()
    await store.migrate(apply=True)
    watch = store.watch(lambda: None)
    await watch.start()
    transport = Nats(url, clock=clock)
    transport.hear(Deadly(store), watch)
    await transport.start()
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_process_that_is_killed_between_its_commit_and_the_acknowledgement_hears_nothing_twice(
    process: Any, broker: Any, tmp_path: Path
) -> None:
    here = process()
    speaker = await here.join("speaker", Speaker)
    await here.messaging.start()
    script = tmp_path / "deadly.py"
    script.write_text(DEADLY)
    dying = await asyncio.create_subprocess_exec(sys.executable, str(script), broker.url, str(tmp_path))
    for what in range(50):
        await here.call("speaker", speaker.say, KEYS[what % 3], what)
    assert await asyncio.wait_for(dying.wait(), 30) == -signal.SIGKILL

    there = process()
    hearer = await there.join("hearer", Hearer)
    await there.messaging.start()
    await there.till(lambda: len(hearer.heard) >= 50)
    await asyncio.sleep(0.2)

    assert by_key(hearer.heard) == {key: list(range(at, 50, 3)) for at, key in enumerate("abc")}


# -- what comes twice, or is nothing


async def test_an_event_that_the_broker_has_twice_is_heard_once(process: Any, broker: Any) -> None:
    here, speaker, there, hearer = await pair(process)
    entry = Entry(
        id="e1", topic="test_nats.Said", source="speaker", key="a", at=datetime.now(UTC), body=b'{"who":"a","what":1}'
    )
    client = await nats.connect(broker.url)
    for number in range(3):  # as long after one another as the broker does not know them again
        headers = headers_of(entry) | {"Nats-Msg-Id": f"other {number}"}
        await client.jetstream().publish(subject_of(entry), entry.body, headers=headers)
    await client.close()
    await here.call("speaker", speaker.say, "a", 2)
    await there.till(lambda: len(hearer.heard) == 2)

    assert hearer.heard == [("a", 1), ("a", 2)]


async def test_a_body_that_nobody_can_read_is_a_dead_letter_and_holds_up_nobody(process: Any, broker: Any) -> None:
    here, speaker, there, hearer = await pair(process)
    client = await nats.connect(broker.url)
    await client.jetstream().publish("events.test_nats.Said.a", b"\xff")  # of a stranger: no headers at all
    await client.close()
    await here.call("speaker", speaker.say, "a", 1)
    await there.till(lambda: hearer.heard)

    assert hearer.heard == [("a", 1)]
    (dead,) = await there.stores["hearer"].inbox.dead()
    assert dead.entry.body == b"\xff"


async def test_a_handler_that_fails_is_run_again_and_its_key_waits(process: Any) -> None:
    here, speaker, there, hearer = await pair(process)
    hearer.fails = 2
    await here.call("speaker", speaker.say, "a", 1, 2)
    await there.till(lambda: len(hearer.heard) == 2)

    assert hearer.heard == [("a", 1), ("a", 2)]


# -- several instances


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_two_instances_share_the_work_and_keep_the_order_when_one_ends(
    process: Any, engine: str, request: pytest.FixtureRequest
) -> None:
    where = (request.getfixturevalue("postgres_url"),) if engine == "postgres" else ()
    here, one, two = process(*where), process(*where), process(*where)
    first, second = await one.join("hearer", Hearer), await two.join("hearer", Hearer)
    heard = first.heard = second.heard
    speaker = await here.join("speaker", Speaker)
    for world in (one, two, here):
        await world.messaging.start()
    for start in range(0, 30, 10):
        for key in KEYS:
            await here.call("speaker", speaker.say, key, *range(start, start + 10))
    await here.till(lambda: len(heard) >= 100)
    await one.messaging.stop(1)  # the one that led
    await here.till(lambda: len(heard) >= 300)
    await two.messaging.stop(1)

    assert by_key(heard) == {key: list(range(30)) for key in KEYS}
    assert first.calls
    assert second.calls


async def test_nothing_is_lost_doubled_or_turned_around_while_brokers_and_leaders_come_and_go(
    process: Any, broker: Any
) -> None:
    heard: list[tuple[str, int]] = []

    async def instance() -> Any:
        world = process()
        (await world.join("hearer", Hearer)).heard = heard
        await world.messaging.start()
        return world

    instances = [await instance(), await instance()]
    here = process()
    speaker = await here.join("speaker", Speaker)
    await here.messaging.start()
    for start in range(0, 120, 10):
        for key in KEYS:
            await here.call("speaker", speaker.say, key, *range(start, start + 10))
        if start % 30 == 0:
            broker.kill()
            broker.start()
        elif start % 20 == 0:
            await instances.pop(0).messaging.stop(1)  # the one that leads
            instances.append(await instance())
    await here.till(lambda: len(heard) >= 1200)
    for world in instances:
        await world.messaging.stop(1)

    assert by_key(heard) == {key: list(range(120)) for key in KEYS}


# -- what travels


async def test_who_said_it_for_whom_and_in_which_trace_travels(process: Any) -> None:
    here, speaker, there, hearer = await pair(process)
    await here.call("speaker", speaker.say, "ann@example.com: Zürich 100 %\n", 1, tenant="acme")
    await there.till(lambda: hearer.heard)

    ((peer, tenant, trace),) = hearer.calls
    assert (peer, tenant) == ("speaker", "acme")
    assert trace in {span.trace_id for span in here.recorder.recent()}
    assert hearer.heard == [("ann@example.com: Zürich 100 %\n", 1)]


async def test_a_timer_stays_in_the_outbox_until_it_is_due(process: Any) -> None:
    here, speaker, there, hearer = await pair(process)
    due = here.clock.now() + timedelta(seconds=0.4)
    await here.call("speaker", speaker.say, "a", 1, at=due)
    await there.till(lambda: hearer.heard)

    assert here.clock.now() >= due


async def test_schedules_need_no_broker(process: Any, broker: Any) -> None:
    here = process()
    clockwork = await here.join("clockwork", Clockwork)
    await here.messaging.start()
    broker.kill()
    await here.till(lambda: clockwork.ticks)

    assert here.messaging.waiting == ("broker",)


@pytest.mark.parametrize("key", ["", "ord_1", "a.b*>c d", "_", "ключ", "x" * 1000])
def test_an_event_comes_out_of_its_message_as_it_went_in(key: str) -> None:
    entry = Entry(
        id="e1", topic="orders.OrderPlaced", source="orders", key=key, at=datetime.now(UTC), timer=True, body=b"{}",
        headers={"cause": "orders.place", "tenant": "ä\r\nb", "traceparent": "00-1-2-01"},
    )  # fmt: skip

    class Message:
        headers, data, reply = headers_of(entry), entry.body, "$JS.ACK.s.c.1.2.3.1700000000000000000.0"

    assert entry_of(Message, entry.topic) == entry
    assert subject_of(entry).startswith("events.orders.OrderPlaced.")
    assert len(subject_of(entry).split(".")) == 4
    assert not set(" *>\r\n") & set(subject_of(entry))
    assert len(subject_of(entry)) < 300
    assert all(part.isascii() and part.isprintable() for part in Message.headers.values())


async def test_settling_goes_through_the_broker(process: Any) -> None:
    here, there = process(), process()
    hearer, speaker = await there.join("hearer", Hearer), await here.join("speaker", Speaker)
    await there.messaging.start(background=False)
    await here.messaging.start(background=False)
    for key in KEYS:
        await here.call("speaker", speaker.say, key, *range(25))
    await here.messaging.settle()
    await there.messaging.settle()

    assert by_key(hearer.heard) == {key: list(range(25)) for key in KEYS}


# -- what is said at start


async def test_a_broker_that_is_not_there_at_start_is_said_with_the_remedy_and_without_the_password(
    broker: Any,
) -> None:
    broker.kill()
    with pytest.raises(StartError, match=r"(?s)does not answer .*nats-server -js") as refused:
        await Nats(broker.url.replace("//", "//user:geheim@"), clock=SystemClock()).start()

    assert "geheim" not in str(refused.value)


async def test_a_broker_that_keeps_nothing_is_refused_at_start(mute_server: Any) -> None:
    with pytest.raises(StartError, match="JetStream"):
        await Nats(mute_server.url, clock=SystemClock()).start()

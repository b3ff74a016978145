"""A canary in a secret, in a Sensitive field and in an Encrypted one: searched for in all that a process writes."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import traceback
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from enfilade import Event, Message, Problem, Sensitive, anyone, command, contract, peers, query
from enfilade.config import Config
from enfilade.hidden import conceal, hide
from enfilade.service import Encrypted, Key, Row, Secret, Table, Topic, atomic, on
from enfilade.testing import Bench
from enfilade.topic.dead import readable
from enfilade.trace import log
from enfilade.trace.file import TraceFile
from enfilade.trace.span import current_span, phase

SECRET = 'hush/"finch"\\of the secret'
CARD = "finch-4111-1111-1111"
PLAIN = "what may be seen"
logger = logging.getLogger("shop")


class Refused(Problem, status=409):
    """Not today."""

    why: str
    card: Sensitive[str] = ""


class Card(Message):
    number: Sensitive[str]
    name: str = ""


class Paid(Event):
    card: Card
    note: str = ""


class CardRow(Row):
    id: Key[str]
    number: Encrypted[str]


@contract(needs=anyone)
class Till(Protocol):
    @command("POST /payments", raises=[Refused])
    async def pay(self, card: Card, how: str, pin: Sensitive[str] = "") -> None: ...

    @query("GET /cards/{number}")
    async def card(self, number: Sensitive[str]) -> Card: ...

    @command(needs=peers)
    async def say(self, card: Card) -> None: ...


@dataclass
class TillService(Till):
    cards: Table[CardRow]
    paid: Topic[Paid]
    key: Secret = Secret("till/key")

    async def pay(self, card: Card, how: str, pin: Sensitive[str] = "") -> None:
        key = await self.key.reveal()
        with phase(f"pay with {key}"):
            logger.warning("paying %s by %s with %s, %s", card, how, key, PLAIN, extra={"sent": f"Bearer {key}"})
        span = current_span()
        if span is not None:
            span.set("key", f"with {key}")
        match how:
            case "refused":
                raise Refused(detail=f"the key was {key}", why=f"by {key}", card=card.number)
            case "bug":
                raise ValueError(f"{key} and {card!r} and {self!r}")
            case "chained":
                try:
                    raise KeyError(key)
                except KeyError as lost:
                    raise RuntimeError("lost") from lost
            case _:
                await self._keep(card)

    @atomic
    async def _keep(self, card: Card) -> None:
        await self.cards.put(CardRow(id="1", number=card.number))

    async def card(self, number: str) -> Card:
        return Card(number=number)

    @atomic
    async def say(self, card: Card) -> None:
        await self.paid.publish(Paid(card=card))

    @on(Paid)
    async def hear(self, event: Paid) -> None:
        raise ValueError(f"{await self.key.reveal()} {event!r}")


@pytest.fixture(params=[True, False], ids=["json", "console"])
def written(request: pytest.FixtureRequest) -> Generator[io.StringIO]:
    stream, root = io.StringIO(), logging.getLogger()
    before, level = list(root.handlers), root.level
    log.configure(json=request.param, level="DEBUG", stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


@asynccontextmanager
async def till(folder: Path) -> AsyncGenerator[Bench]:
    config = Config(data=f"sqlite:{folder}/{{service}}.db")
    async with Bench(TillService, config=config).secret("till/key", SECRET) as bench:
        yield bench


def seen(*texts: Any) -> list[str]:
    """What is found of the canaries, in whatever spelling."""
    text = "\n".join(one if isinstance(one, str) else repr(one) for one in texts)
    return [one for one in ("finch", "hush/", "4111", "of the secret") if one in text]


async def test_no_canary_is_found_in_what_the_process_writes(tmp_path: Path, written: io.StringIO) -> None:
    said = [{"card": {"number": CARD}, "how": how, "pin": CARD} for how in ("refused", "bug", "chained", "kept")]
    said += [
        {"card": wrong, "how": "kept"} for wrong in ({"number": [CARD]}, {"number": CARD, "name": {CARD: 1}}, CARD)
    ]
    async with till(tmp_path) as bench:
        answers = [(await bench.http.post("/payments", json=one)).text for one in said]
        await bench.of(Till).say(Card(number=CARD))
        await bench.advance(7 * 24 * 3600)
        store = bench.running.stores["till"]
        (dead,) = await store.inbox.dead()
        spans = bench.running.recorder.recent()
        TraceFile(tmp_path / "traces").write(spans, lambda _: True)

    refused = json.loads(answers[0])
    assert PLAIN in written.getvalue()
    assert "ValueError" in written.getvalue()
    assert "***" in written.getvalue()
    assert seen(written.getvalue()) == []
    assert refused.pop("card") == CARD  # a declared member is said on purpose
    assert seen(refused, *answers[1:]) == []
    assert seen(dead.error, readable(dead, Paid)) == []
    assert seen(*spans) == []
    assert seen((tmp_path / "traces" / "spans.jsonl").read_text()) == []
    assert any(span.facts.get("key") == "with ***" for span in spans)
    assert refused["why"] == "by ***"


async def test_a_sensitive_parameter_of_a_path_is_in_no_log_and_no_trace(tmp_path: Path, written: io.StringIO) -> None:
    async with till(tmp_path) as bench:
        answer = await bench.http.get(f"/cards/{CARD}")
        spans = bench.running.recorder.recent()

    assert answer.json()["number"] == CARD
    assert seen(written.getvalue(), *spans) == []


async def test_a_value_of_many_lines_is_masked_line_by_line() -> None:
    conceal("-----BEGIN KEY-----\nMIIBVgIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n")

    assert hide("got MIIBVgIBADANBgkq!") == "got ***!"
    assert hide(repr("MIIBVgIBADANBgkq\nhkiG9w0BAQEFAASC")) == "'***\\n***'"


async def test_what_is_short_or_unknown_is_left_as_it_is() -> None:
    conceal("abc")

    assert hide("abc") == "abc"


async def test_searching_for_secrets_is_cheap() -> None:
    for number in range(50):
        conceal(f"a secret value, number {number}")
    line = "an ordinary line of a log, of the usual length, " * 4
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for _ in range(1000):
        hide(line)

    assert (loop.time() - begun) / 1000 < 0.0005  # seconds; it takes some ten microseconds


def test_a_traceback_shows_no_revealed_value_that_a_repr_wrote() -> None:
    from enfilade.secrets import Revealed

    error = KeyError(Revealed("a value that was revealed"))

    assert "revealed" not in "".join(traceback.format_exception_only(error))

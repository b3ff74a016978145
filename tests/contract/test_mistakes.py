"""Every mistake in a contract is found, with its place and what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import pytest

from enfilade import (
    UNSET,
    Blob,
    Body,
    Deprecated,
    Event,
    Flow,
    Header,
    Level,
    Maybe,
    Message,
    Meta,
    Named,
    Page,
    Problem,
    Rate,
    Role,
    Scope,
    Stream,
    anyone,
    command,
    contract,
    query,
    signed_in,
)  # fmt: skip
from enfilade.contract.event import read_event
from enfilade.contract.read import read
from enfilade.errors import StartError

if TYPE_CHECKING:
    from decimal import Decimal


class Thing(Message):
    id: str


class Basket(Message):
    things: list[Thing]


class Edit(Message):
    note: Maybe[str] = UNSET


@dataclass
class Loose:
    id: str


class Broken(Problem, status=409):
    """It is broken."""

    parts: list[str]


class Missing(Problem, status=404, type="/problems/one"):
    """It is missing."""


class Absent(Problem, status=404, type="/problems/one"):
    """It is absent."""


class NoProtocol:
    @query("GET /a", needs=anyone)
    async def a(self) -> Thing: ...


@contract(needs=anyone)
class Nothing(Protocol):
    def _hidden(self) -> None: ...


@contract(needs=anyone, name="Not A Name", version=0, timeout=-1, body="1 house", rate=Rate("many"))
class Declared(Protocol):
    @query("GET /a")
    async def a(self) -> Thing: ...


class Careless(Declared, Protocol): ...


@contract(needs=anyone)
class Methods(Protocol):
    async def undecorated(self) -> Thing: ...

    @query("GET /b")
    def sync(self) -> Thing: ...

    @query("GET /c")
    async def stream(self) -> Stream[Thing]: ...

    @query("GET /d")
    async def generator(self) -> AsyncIterator[Thing]: ...

    @query("GET /e")
    async def yields(self) -> AsyncIterator[Thing]:
        yield Thing(id="a")

    data: str

    @property
    def member(self) -> str: ...

    @query("GET /f")
    async def unsaid(self, id): ...  # type: ignore[no-untyped-def]

    @query("GET /g")
    async def varied(self, *ids: str, **more: str) -> Thing: ...

    @query("GET /h")
    async def positional(self, id: str, /) -> Thing: ...

    @query("GET /i")
    async def unresolved(self, amount: Decimal) -> Thing: ...


@contract(needs=anyone)
class Types(Protocol):
    @command("POST /a")
    async def lists(self, ids: list[str]) -> Sequence[Thing]: ...

    @command("POST /b")
    async def deep(self, basket: Basket) -> Page[Basket]: ...

    @command("POST /c")
    async def dicts(self, labels: dict[str, str], more: Mapping[str, set[int]]) -> None: ...

    @command("POST /d")
    async def anything(self, what: Any, more: tuple[object, ...]) -> Any: ...

    @command("POST /e")
    async def loose(self, loose: Loose) -> tuple: ...  # type: ignore[type-arg]

    @command("POST /f")
    async def untagged(self, what: Thing | Edit) -> None: ...

    @command("POST /g")
    async def bounded(self, what: Annotated[str, Meta(ge=1)]) -> None: ...

    @query("GET /h")
    async def maybe(self) -> Edit: ...

    @command("POST /i")
    async def defaults(
        self,
        number: int = "one",  # type: ignore[assignment]
        text: str = UNSET,
        low: Annotated[int, Meta(ge=1)] = 0,
        notes: Mapping[str, str] = {"a": "b"},
    ) -> None: ...

    @query("GET /j")
    async def unfilled(self) -> Page: ...  # type: ignore[type-arg]

    @command("POST /k")
    async def keyed(self, by: Mapping[bytes, str]) -> None: ...

    @command("POST /l")
    async def streamed(self, items: Stream[Thing]) -> None: ...


@contract(needs=anyone)
class Routes(Protocol):
    @query("GET orders")
    async def no_slash(self) -> Thing: ...

    @query("FETCH /a")
    async def no_method(self) -> Thing: ...

    @query("GET /a/")
    async def slash(self) -> Thing: ...

    @query("GET /a/{id}.json")
    async def part(self, id: str) -> Thing: ...

    @query("GET /a b")
    async def space(self) -> Thing: ...

    @query("GET /{id}/{id}")
    async def twice(self, id: str) -> Thing: ...

    @query("GET /c/{id}")
    async def unknown(self, key: str) -> Thing: ...

    @query("GET /d/{id}")
    async def default(self, id: str = "a") -> Thing: ...

    @query("GET /e/{thing}")
    async def message(self, thing: Thing) -> Thing: ...

    @query("GET /f/{id}")
    async def optional(self, id: str | None) -> Thing: ...

    @query("PUT /g")
    async def unsafe(self) -> Thing: ...

    @command("GET /h")
    async def safe(self) -> Thing: ...

    @query("GET /i")
    async def body(self, thing: Body[Thing]) -> Thing: ...

    @command("POST /j")
    async def bodies(self, thing: Body[Thing], file: Blob) -> Thing: ...

    @query("GET /k")
    async def nested(self, thing: Thing, header: Header[Thing]) -> Thing: ...

    @query("GET /l")
    async def same(self, a: Annotated[str, Named("x")], b: Annotated[str, Named("x")]) -> Thing: ...


@contract(needs=anyone)
class Alike(Protocol):
    @query("GET /a/{id}")
    async def one(self, id: str) -> Thing: ...

    @query("GET /a/{name}")
    async def two(self, name: str) -> Thing: ...

    @query("GET /b", name="one")
    async def three(self) -> list[Thing]: ...


class Promises(Protocol):
    @query("GET /a")
    async def access(self) -> Thing: ...

    @query("GET /b", needs=Scope("two words"))
    async def scope(self) -> Thing: ...

    @query("GET /c", needs=Role(""))
    async def role(self) -> Thing: ...

    @query("GET /d", needs=anyone & Scope("a"))
    async def nobody(self) -> Thing: ...

    @query("GET /e", needs="signed_in")  # type: ignore[arg-type]
    async def text(self) -> Thing: ...

    @query("GET /f", needs=signed_in, rate=Rate("20 per minute"))
    async def rate(self) -> Thing: ...

    @query("GET /f1", needs=signed_in, rate=Rate("20 calls/hour", burst=5))
    async def burst(self) -> Thing: ...

    @query("GET /f2", needs=signed_in, rate=Rate("20 EUR/month", cost="2 USD"))
    async def currency(self) -> Thing: ...

    @query("GET /f3", needs=signed_in, rate=Rate("20 EUR/month", plan=True))
    async def unnamed(self) -> Thing: ...

    @query("GET /f4", needs=signed_in, flow=Flow(items=5))
    async def no_stream(self) -> Thing: ...

    @query("GET /f5", needs=signed_in, flow=Flow(size="a lot"))
    def flow(self) -> Stream[Thing]: ...

    @query("GET /g", needs=signed_in, rate=Rate("20/minute", burst=5, cost=6))
    async def cost(self) -> Thing: ...

    @query("GET /h", needs=signed_in, timeout=0, idle=float("nan"))
    async def times(self) -> Thing: ...

    @query("GET /i", needs=signed_in, body="much")
    async def size(self) -> Thing: ...

    @query("GET /j", needs=signed_in, level=Level(p99=-1, availability=99.9))
    async def level(self) -> Thing: ...

    @query("GET /k", needs=signed_in, deprecated=Deprecated(since=date(2026, 2, 1), sunset=date(2026, 1, 1)))
    async def sunset(self) -> Thing: ...

    @command("POST /l", needs=signed_in, returns="thing")
    async def named_nothing(self) -> None: ...

    @query("GET /m", needs=signed_in, returns="things")
    def named_stream(self) -> Stream[Thing]: ...

    @query("GET /n", needs=signed_in, status=404)
    async def status(self) -> Thing: ...

    @query("GET /o", needs=signed_in, status=204)
    async def empty(self) -> Thing: ...

    @query("GET /p", needs=signed_in, raises=[ValueError])  # type: ignore[list-item]
    async def no_problem(self) -> Thing: ...

    @query("GET /q", needs=signed_in, raises=[Broken])
    async def mutable_problem(self) -> Thing: ...

    @query("GET /r", needs=signed_in, raises=[Missing, Absent])
    async def same_problem(self) -> Thing: ...

    @query("GET /s", needs=signed_in, name="no name")
    async def name(self) -> Thing: ...


def mistakes(of: type) -> dict[str, list[tuple[str, str]]]:
    """[(rule, what)] by the name that stands in the line of the finding."""
    with pytest.raises(StartError) as refused:
        read(of)
    found: dict[str, list[tuple[str, str]]] = {}
    lines = Path(__file__).read_text("utf-8").splitlines()
    for one in refused.value.findings:
        assert one.remedy
        assert one.rule
        file, _, line = one.where.rpartition(":")
        assert Path(file).name == "test_mistakes.py"
        name = lines[int(line) - 1].strip().removeprefix("async ").split("(")[0].split()[1].strip(":")
        found.setdefault(name, []).append((one.rule, one.what))
    return found


def rules(of: type) -> dict[str, list[str]]:
    return {name: [rule for rule, _ in found] for name, found in mistakes(of).items()}


def test_a_contract_is_a_protocol_with_operations() -> None:
    assert rules(NoProtocol) == {"NoProtocol": ["protocol"]}
    assert rules(Nothing) == {"Nothing": ["empty"]}


def test_mistakes_of_the_class_are_found_at_the_class() -> None:
    assert rules(Declared) == {"Declared": ["name", "version", "rate", "time", "size"]}
    assert rules(Careless) == {"Declared": ["rate", "time", "size"]}


def test_mistakes_of_methods_are_found() -> None:
    assert rules(Methods) == {
        "undecorated": ["undecorated"],
        "sync": ["async"],
        "stream": ["stream"],
        "generator": ["stream"],
        "yields": ["stream"],
        "Methods": ["member", "member"],
        "unsaid": ["annotation", "annotation"],
        "varied": ["signature", "signature"],
        "positional": ["signature"],
        "unresolved": ["annotation"],
    }


def test_types_that_no_wire_has_or_that_may_be_changed_are_found_at_any_depth() -> None:
    found = mistakes(Types)

    assert [what for _, what in found["lists"]] == ["ids: list can be changed.", "the result: Sequence can be changed."]
    assert [what for _, what in found["Basket"]] == ["Basket.things: list can be changed."]
    assert "deep" not in found
    assert [what for _, what in found["dicts"]] == ["labels: dict can be changed.", "more[]: set can be changed."]
    assert {
        name: [rule for rule, _ in one] for name, one in found.items() if name not in ("lists", "Basket", "dicts")
    } == {
        "anything": ["type", "type", "type"],
        "loose": ["type", "type"],
        "untagged": ["type"],
        "bounded": ["type"],
        "maybe": ["maybe"],
        "defaults": ["default", "default", "default", "default"],
        "unfilled": ["type"],
        "keyed": ["type"],
        "streamed": ["type"],
    }


def test_mistakes_of_routes_are_found() -> None:
    assert rules(Routes) == {
        "no_slash": ["route"],
        "no_method": ["route"],
        "slash": ["route"],
        "part": ["route"],
        "space": ["route"],
        "twice": ["route"],
        "unknown": ["path"],
        "default": ["path"],
        "message": ["path"],
        "optional": ["path"],
        "unsafe": ["method"],
        "safe": ["method"],
        "body": ["body"],
        "bodies": ["body"],
        "nested": ["query", "query"],
        "same": ["name"],
    }


def test_operations_that_cannot_be_told_apart_are_found() -> None:
    assert rules(Alike) == {"two": ["route"], "three": ["type", "duplicate"]}


def test_promises_that_cannot_be_kept_are_found() -> None:
    assert rules(Promises) == {
        "access": ["access"],
        "scope": ["access"],
        "role": ["access"],
        "nobody": ["access"],
        "text": ["access"],
        "rate": ["rate"],
        "burst": ["rate"],
        "currency": ["rate"],
        "unnamed": ["rate"],
        "no_stream": ["flow"],
        "flow": ["flow"],
        "cost": ["rate"],
        "times": ["time", "time"],
        "size": ["size"],
        "level": ["level", "level"],
        "sunset": ["deprecated"],
        "named_nothing": ["returns"],
        "named_stream": ["returns"],
        "status": ["status"],
        "empty": ["status"],
        "no_problem": ["raises"],
        "Broken": ["type"],
        "same_problem": ["raises"],
        "name": ["name"],
    }


def test_a_finding_reads_as_place_mistake_and_remedy() -> None:
    with pytest.raises(StartError) as refused:
        read(Promises)

    first = str(refused.value).splitlines()[:2]
    assert first[0].endswith(": access does not say who may call it.")
    assert first[1].startswith("    Add needs= to the operation or to @contract: anyone,")


class Placed(Event, key="thing.id", keep="forever", public=True):
    """A thing was placed.

    It stays.
    """

    thing: Thing


class Plain(Event):
    id: str


class BadKey(Event, key="thing.name"):
    thing: Thing


class BadKind(Event, key="thing", keep="a while"):
    thing: Thing | None
    more: list[str]
    edit: Maybe[str] = UNSET


class BadKeep(Event, keep="0s"):
    id: str


def test_an_event_is_read_with_its_key_and_how_long_it_is_kept() -> None:
    placed, plain = read_event(Placed), read_event(Plain)

    assert (placed.name, placed.key, placed.keep, placed.public) == (
        "test_mistakes.Placed",
        "thing.id",
        float("inf"),
        True,
    )
    assert (placed.summary, placed.description) == ("A thing was placed.", "It stays.")
    assert (plain.key, plain.keep, plain.public) == ("", 7 * 86400, False)
    assert read_event(Placed) is placed


def test_mistakes_of_events_are_found() -> None:
    def found(event: type[Event]) -> list[str]:
        with pytest.raises(StartError) as refused:
            read_event(event)
        return [one.rule for one in refused.value.findings]

    assert found(BadKey) == ["key"]
    assert found(BadKind) == ["type", "maybe", "keep"]
    assert found(BadKeep) == ["keep"]

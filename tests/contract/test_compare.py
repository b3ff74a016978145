"""What one reading of a contract writes, another must be able to read."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Protocol

import pytest

from enfilade import Event, Header, Message, Meta, Problem, anyone, contract, query
from enfilade.contract.compare import asked, breaks, differences, talk, told, unheard
from enfilade.contract.read import read


class Tree(Message):
    name: str
    below: tuple[Tree, ...] = ()


class Cat(Message, tag="cat"):
    lives: int


class Dog(Message, tag="dog"):
    name: str


class Gone(Problem, status=410):
    """It is gone."""

    since: int


class GoneAway(Problem, status=410, type=Gone.type):
    """It is gone, and says nothing."""


def of(method: Any) -> Any:
    """An operation as it is told over a wire."""
    bases: Any = (Protocol,)
    kind = type("Some", bases, {"ask": query(raises=getattr(method, "raises", ()))(method), "_is_protocol": True})
    kind.__module__ = __name__
    return json.loads(json.dumps(told(read(contract(needs=anyone)(kind)).operations[0])))


async def plain(self: Any, a: int) -> str: ...
async def optional(self: Any, a: int, b: str = "") -> str: ...
async def required(self: Any, a: int, b: str) -> str: ...
async def wide(self: Any, a: float) -> str: ...
async def nullable(self: Any, a: int | None) -> str: ...
async def maybe(self: Any, a: int) -> str | None: ...
async def choice(self: Any, a: Literal["x", "y"]) -> Literal["x", "y"]: ...
async def more_choice(self: Any, a: Literal["x", "y", "z"]) -> Literal["x", "y", "z"]: ...
async def tree(self: Any, a: Tree) -> Tree: ...
async def pets(self: Any, a: Cat | Dog) -> Cat | Dog: ...
async def cat(self: Any, a: Cat) -> Cat: ...
async def gone(self: Any, a: int) -> str: ...
async def gone_away(self: Any, a: int) -> str: ...


gone.raises, gone_away.raises = [Gone], [GoneAway]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("caller", "callee", "found"),
    [
        (plain, plain, ""),
        (tree, tree, ""),
        (plain, optional, ""),
        (optional, plain, ""),
        (plain, required, "the parameter b is needed by its reader and is not written"),
        (required, plain, "the parameter b does not exist there"),
        (plain, wide, ""),
        (wide, plain, "the parameter a is written as float and read as int"),
        (plain, nullable, ""),
        (nullable, plain, "the parameter a is written as none and read as int"),
        (maybe, plain, ""),
        (plain, maybe, "the result's value is written as none and read as str"),
        (choice, more_choice, "the result's value may be 'z', which its reader does not know"),
        (more_choice, choice, "the parameter a may be 'z', which its reader does not know"),
        (cat, pets, "the result's value is written as struct and read as struct"),
        (pets, cat, "the parameter a is written as struct and read as struct"),
        (gone_away, gone, ""),
        (gone, gone_away, "the member since of /problems/test_compare/gone is not there"),
        (gone, plain, ""),
    ],
)
def test_what_gets_on(caller: Any, callee: Any, found: str) -> None:
    assert differences(of(caller), of(callee)) == ((found,) if found else ())


@contract(name="some", needs=anyone)
class Before(Protocol):
    @query("GET /trees/{name}")
    async def tree(self, name: str, depth: int = 1) -> Tree: ...
    @query()
    async def inner(self, a: int) -> str: ...


@contract(name="some", needs=anyone)
class Moved(Protocol):
    @query("GET /woods/{name}")
    async def tree(self, name: str, depth: int = 1) -> Tree: ...


@contract(name="some", needs=anyone)
class Headed(Protocol):
    @query("GET /trees/{name}")
    async def tree(self, name: str, depth: Header[int] = 1) -> Tree: ...


def test_who_asks_by_routes_needs_the_routes_and_nothing_else() -> None:
    before, moved, headed = (asked(read(kind)) for kind in (Before, Moved, Headed))

    assert breaks(before, before) == breaks(before, before, outside=True) == ()
    assert breaks(before, moved) == ("inner is not there",)
    assert breaks(before, moved, outside=True) == ("tree: GET /trees/{name} is GET /woods/{name} there",)
    assert breaks(moved, before) == ()
    assert breaks(before, headed, outside=True) == ("tree: depth in the query is Depth in the header there",)


def event(**fields: Any) -> Any:
    """What a process says of an event with these fields; one with a value has it as its default."""
    types = {name: type(said) if isinstance(said, int | str) else said for name, said in fields.items()}
    defaults = {name: said for name, said in fields.items() if isinstance(said, int | str)}
    made: Any = type(Event)("Said", (Event,), {"__module__": __name__, "__annotations__": types, **defaults})
    return json.loads(json.dumps(talk((made,), ())))["says"]["test_compare.Said"]


@pytest.mark.parametrize(
    ("writer", "reader", "found"),
    [
        ({"a": int}, {"a": int}, ""),
        ({"a": int, "b": str}, {"a": int}, ""),
        ({"a": int}, {"a": int, "b": "x"}, ""),
        ({"a": int}, {"a": float}, ""),
        ({"a": int}, {"b": int}, "b is needed by its reader and is not written"),
        ({"a": int}, {"a": str}, "a is written as int and read as str"),
        ({"a": Tree}, {"a": Cat | Dog}, "a is written as struct and read as struct"),
        ({"a": Literal["x", "y"]}, {"a": Literal["x"]}, "a may be 'y', which its reader does not know"),
        ({"a": Annotated[int, Meta(ge=2)]}, {"a": Annotated[int, Meta(ge=1)]}, ""),
        ({"a": Annotated[str, Meta(max_length=2)]}, {"a": str}, ""),
        ({"a": Annotated[int, Meta(ge=1)]}, {"a": Annotated[int, Meta(ge=2)]}, "a has ge=2 for its reader, and ge=1"),
        ({"a": str}, {"a": Annotated[str, Meta(max_length=2)]}, "a has max_length=2 for its reader, and not as"),
        ({"a": tuple[str, ...]}, {"a": tuple[Annotated[str, Meta(pattern="x")], ...]}, "a[] has pattern=x for"),
    ],
)
def test_who_hears_an_event_can_read_it_as_it_is_said(writer: Any, reader: Any, found: str) -> None:
    why = unheard(event(**writer), event(**reader))

    assert bool(why) == bool(found)
    assert all(one.startswith(found) for one in why)

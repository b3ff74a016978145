"""What one reading of a contract writes, another must be able to read."""

from __future__ import annotations

import json
from typing import Any, Literal, Protocol

import pytest

from enfilade import Header, Message, Problem, anyone, contract, query
from enfilade.contract.compare import asked, breaks, differences, told
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

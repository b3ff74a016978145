"""Fingerprints: equal where the wire is, in every process; another one where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SHOP = '''
from __future__ import annotations
import enum
from typing import *
from collections.abc import Mapping
from enfilade import (
    Event, Header, Maybe, Message, Meta, Named, Page, Paging, FIRST, Problem, Stream, UNSET, Rate, Scope, anyone,
    command, contract, query, signed_in,
)

class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"

class Line(Message):
    """A line."""
    sku: str
    quantity: Annotated[int, Meta(ge=1, le=9)] = 1
    sizes: frozenset[Size] = frozenset({Size.SMALL, Size.LARGE})
    of: tuple[Line, ...] = ()

class Cash(Message, tag="cash"):
    handed: int

class Card(Message, tag="card"):
    number: str

class Order(Message):
    """An order."""
    lines: tuple[Line, ...]
    paid_by: Cash | Card | None = None
    notes: Mapping[str, str] = {}
    labels: frozenset[str] = frozenset({"b", "a"})

class Placed(Event, key="order"):
    """It was placed."""
    order: str

class Unsellable(Problem, status=422, type="/problems/unsellable"):
    """Nobody sells it."""
    sku: str

@contract(needs=signed_in, owner="me")
class Orders(Protocol):
    """Orders."""
    @command("POST /orders", raises=[Unsellable])
    async def place(self, sku: str, quantity: int = 1, note: Maybe[str] = UNSET) -> Order:
        """Place one."""
    @query("GET /orders")
    async def orders(self, state: str = "open", page: Paging = FIRST) -> Page[Order]: ...
    @query("GET /orders/watch")
    def watch(self) -> Stream[Order]: ...
'''
PRINT = """
from enfilade.contract.read import read
from enfilade.contract.fingerprint import event_fingerprint, fingerprint
PRINTS = [fingerprint(Order), fingerprint(Page[Order]), event_fingerprint(Placed), read(Orders).fingerprint]
PRINTS += [one.fingerprint for one in sorted(read(Orders).operations, key=lambda one: one.id)]
"""
NAMES = ("order", "page", "event", "contract", "orders", "place", "watch")


def prints(*changes: tuple[str, str], name: str = "shop.orders.contract") -> dict[str, str]:
    """The fingerprints of a module of this text."""
    text = SHOP
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    module = ModuleType(name)
    with pytest.MonkeyPatch.context() as patch:  # the example of that name may be loaded
        patch.setitem(sys.modules, name, module)  # annotations that are text are looked up there
        exec(text + PRINT, vars(module))
    return dict(zip(NAMES, module.PRINTS, strict=True))


def printed(place: Path, seed: str) -> dict[str, str]:
    """The fingerprints in a process of its own."""
    place.parent.mkdir(parents=True)
    place.write_text(SHOP + PRINT + "print(*PRINTS)", "utf-8")
    said = subprocess.run(
        [sys.executable, "-m", "shop.orders.contract"],
        cwd=place.parents[2],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )
    return dict(zip(NAMES, said.stdout.split(), strict=True))


def differing(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in NAMES if before[name] != after[name]}


def test_a_fingerprint_is_the_same_in_every_process(tmp_path: Path) -> None:
    here = prints()

    for seed in ("1", "4711"):
        there = printed(tmp_path / seed / "shop" / "orders" / "contract.py", seed)
        assert differing(here, there) <= {"event"}  # whose name has the folder's, and a main module has none
    assert all(len(one) == 16 for one in here.values())


def test_a_fingerprint_does_not_depend_on_the_file() -> None:
    assert prints(name="store.orders.contract") == prints()


def test_words_orders_and_promises_do_not_change_a_fingerprint() -> None:
    after = prints(
        ('"""An order."""', ""),
        ('"""Place one."""', '"""Place an order."""'),
        ("Cash | Card | None = None", "None | Card | Cash = None"),
        ('{"b", "a"}', '{"a", "b"}'),
        (
            '    sku: str\n    quantity: Annotated[int, Meta(ge=1, le=9)] = 1\n',
            '    quantity: Annotated[int, Meta(le=9), Meta(ge=1, description="How many")] = 1\n    sku: str\n',
        ),
        ("needs=signed_in, owner=\"me\"", 'needs=Scope("orders"), owner="you", rate=Rate("5/s"), timeout=3'),
        ("self, sku: str, quantity: int = 1", "self, *, quantity: int = 1, sku: str"),
    )  # fmt: skip

    assert differing(prints(), after) == set()


def test_what_a_peer_relies_on_changes_the_fingerprint_of_what_it_is_in() -> None:
    before = prints()
    whole = {"order", "page", "contract", "orders", "place", "watch"}

    def changed(old: str, new: str) -> set[str]:
        return differing(before, prints((old, new)))

    assert changed("handed: int", "handed: str") == whole
    assert changed("le=9", "le=8") == whole
    assert changed("quantity: Annotated[int, Meta(ge=1, le=9)] = 1", "quantity: int") == whole
    assert changed("note: Maybe[str]", "note: Maybe[str | None]") == {"contract", "place"}
    assert changed('tag="card"', 'tag="plastic"') == whole
    assert changed('LARGE = "l"', 'LARGE = "xl"') == whole
    assert changed('frozenset({"b"', 'frozenset({"c"') == whole
    assert changed('key="order"', 'key="order", keep="1d"') == {"event"}
    assert changed("status=422", "status=409") == {"contract", "place"}
    assert changed('Nobody sells it."""\n    sku: str', 'Nobody sells it."""\n    code: str') == {"contract", "place"}
    assert changed("quantity: int = 1, note", "quantity: int = 2, note") == {"contract", "place"}
    assert changed("POST /orders", "PUT /orders") == {"contract", "place"}
    assert changed("sku: str, quantity: int = 1", "sku: Header[str], quantity: int = 1") == {"contract", "place"}
    assert changed('needs=signed_in, owner="me"', "needs=signed_in, version=2") == {"contract"}
    assert changed('needs=signed_in, owner="me"', 'needs=signed_in, names="camel"') == {
        "contract",
        "orders",
        "place",
        "watch",
    }

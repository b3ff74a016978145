"""Stores of both engines, and calls to be at home in them."""

from __future__ import annotations

import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from enfilade.call import Call, Principal, enter, leave
from enfilade.clock import SystemClock
from enfilade.contract.need import Need, anyone
from enfilade.contract.operation import Operation
from enfilade.store import Row, Store, open_store
from enfilade.trace.recorder import Recorder

SECRET = b"a secret of thirty-two characters"


class Place:
    """Somewhere to keep rows, on one engine; opened as often as a test likes."""

    def __init__(self, url: str, engine: str, exits: AsyncExitStack) -> None:
        self.url = url
        self.engine = engine
        self._exits = exits

    async def store(self, *rows: type[Row], service: str = "shop", migrate: bool = True, **options: Any) -> Store:
        """Another connection to it, with the tables of these rows."""
        clock = SystemClock()
        made = open_store(self.url, service, clock=clock, recorder=Recorder(clock), secret=SECRET, **options)
        await made.open()
        self._exits.push_async_callback(made.close)
        for one in rows:
            made.table(one)
        if migrate:
            await made.migrate(apply=True)
        return made


@pytest.fixture(params=["file", "memory", "postgres"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Place]:
    urls = {"file": f"sqlite:{tmp_path}/{{service}}.db", "memory": "sqlite::memory:"}
    url = urls.get(request.param) or request.getfixturevalue("postgres_url")
    async with AsyncExitStack() as exits:
        yield Place(url, request.param, exits)


@contextmanager
def calling(
    store: Store | None,
    kind: Literal["query", "command"] = "command",
    *,
    me: str = "ann",
    needs: Need = anyone,
    name: str = "do",
    within: float = 30.0,
    roles: frozenset[str] = frozenset(),
    tenant: str = "",
    wide: bool = False,
) -> Generator[Call]:
    """What runs inside is served as a call of an operation, at home in the store."""
    request = msgspec.defstruct("request", [])
    operation = Operation(
        id=f"shop.{name}", service="shop", name=name, kind=kind, summary="", description="", method="", path="",
        parameters=(), defaults={}, request=request, result=types.NoneType, style="nothing", returns="", status=204,
        raises=(), needs=needs, rates=(), timeout=within, idle=within, body_limit=0, idempotent=True, deprecated=None,
        level=None, names="snake", where="",
    )  # fmt: skip
    clock = store.home.clock if store is not None else SystemClock()
    caller = Principal(subject=me, tenant=tenant, roles=roles) if me else None
    call = Call(operation, {}, clock, clock.monotonic() + within, caller=caller, tenant=tenant)
    call.wide = wide
    call.home = store
    token = enter(call)
    try:
        yield call
    finally:
        leave(token)


@pytest.fixture(name="calling")
def calling_fixture() -> Any:
    return calling


@pytest.fixture
def run() -> Callable[[Store, Callable[[], Awaitable[Any]]], Awaitable[Any]]:
    """Runs something inside one unit of work of a call of its own."""

    async def run(store: Store, work: Callable[[], Awaitable[Any]], **options: Any) -> Any:
        from enfilade.store import atomic

        @atomic
        async def unit() -> Any:
            return await work()

        with calling(store, **options):
            return await unit()

    return run

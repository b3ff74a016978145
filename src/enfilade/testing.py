"""Tests of services and of whole apps, through the real row, on SQLite in memory and on time that you move.

    async with Bench(OrdersService).given(Catalog).by(OneProduct()) as bench:
        ann = bench.acting("ann", scopes=["orders:write"])

        order = await ann.of(Orders).place("tea", 2)

        assert bench.said(OrderPlaced) == (OrderPlaced(order=order),)

`Bench` is one service with fakes for its neighbours, `Stage` a whole app. Both pass every call through identity, needs,
meters, the codec and the unit of work, as in production. Background work stands still until `settle()` or `advance()`.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

import httpx2
import msgspec
from typing_extensions import TypeForm

from enfilade.app import App, stations
from enfilade.call import Call, Principal, current
from enfilade.clock import VirtualClock
from enfilade.config import Config
from enfilade.contract.codec import codec
from enfilade.contract.message import Event, event_key, event_name
from enfilade.errors import Misuse
from enfilade.running import Running
from enfilade.secrets.plain import Told
from enfilade.service.inject import is_contract
from enfilade.store import Entry, Row
from enfilade.topic import Topic
from enfilade.topic.topic import uuid7

C = TypeVar("C")
E = TypeVar("E", bound=Event)
R = TypeVar("R", bound=Row)
S = TypeVar("S", bound="Stage")

_TESTS = "tests"


class Given(Generic[S, C]):
    """The place of a fake: `given(Catalog).by(fake)`, where the fake must be of the contract's shape."""

    def __init__(self, stage: S, contract: Any) -> None:
        self._stage = stage
        self._contract = contract

    def by(self, fake: C) -> S:
        self._stage._replace(self._contract, fake)
        return self._stage


class Caller:
    """Someone who calls: `ann.of(Orders).place("tea")`, or over HTTP with `headers=ann.headers`."""

    def __init__(self, stage: Stage, principal: Principal | None, peer: str = "") -> None:
        self._stage = stage
        self._peer = peer
        self.principal = principal

    def of(self, contract: TypeForm[C]) -> C:
        """A handle that calls as this caller."""
        return self._stage.running.get(contract, acting=self.principal, peer=self._peer)

    @property
    def headers(self) -> dict[str, str]:
        """`Authorization`, with a token of the development issuer."""
        tokens = self._stage.running.supplies.tokens
        if self.principal is None or tokens is None:
            return {}
        who = self.principal
        token = tokens.issue(
            who.subject, scopes=sorted(who.scopes), roles=sorted(who.roles), tenant=who.tenant, kind=who.kind
        )
        return {"authorization": f"Bearer {token}"}


class Stage:
    """A whole app under test: `async with Stage(app) as stage`.

    `data` is where the services keep their rows, as in `enfilade.toml`; `codec="never"` leaves out the copying.
    The app itself is not changed: two stages of one app never meet.
    """

    running: Running

    def __init__(
        self,
        app: App,
        *,
        start: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC),
        seed: int = 0,
        config: Config | None = None,
    ) -> None:
        self.clock = VirtualClock(start, seed)
        self.app = copy.copy(app)
        self.app.builders = dict(app.builders)
        self.app.clock = self.clock
        self._config = config or app.config or Config(data="sqlite::memory:", codec="always")
        self._exit = AsyncExitStack()
        self._http: httpx2.AsyncClient | None = None
        self._book = _Book()
        self._secrets = Told()

    def secret(self, name: str, value: str) -> Self:
        """The value of a secret: `.secret("payments/psp-key", "hush")`. Said again while it runs, it has changed."""
        self._secrets.values[name] = value
        return self

    def given(self, contract: TypeForm[C]) -> Given[Self, C]:
        """A fake in the place of a contract's implementation."""
        return Given(self, contract)

    def _replace(self, contract: Any, fake: object) -> None:
        self.app.builders[contract] = lambda: fake

    async def __aenter__(self) -> Self:
        folder = self._exit.enter_context(tempfile.TemporaryDirectory(prefix="enfilade-"))
        self.app.config = _with_folder(self._config, folder)
        try:
            self.running = Running(
                self.app,
                self.app.config,
                stations,
                background=False,
                topic=self._book.topic,
                outsiders=[_TESTS],
                sources=[self._secrets],
            )
            await self.running.start()
            self._exit.push_async_callback(self.running.stop)
            self.app.running_now = self.running
        except BaseException:
            await self._exit.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exit.aclose()

    # -- callers

    def acting(
        self, subject: str, *, scopes: Sequence[str] = (), roles: Sequence[str] = (), tenant: str = ""
    ) -> Caller:
        """A person, with a verified token of these scopes and roles."""
        return Caller(self, Principal(subject=subject, scopes=frozenset(scopes), roles=frozenset(roles), tenant=tenant))

    @property
    def nobody(self) -> Caller:
        """A caller without a token."""
        return Caller(self, None)

    def of(self, contract: TypeForm[C]) -> C:
        """A handle that calls as another service would: for operations that need `peers`."""
        return Caller(self, None, _TESTS).of(contract)

    @property
    def http(self) -> httpx2.AsyncClient:
        """A client of the app's HTTP endpoints, without a network between."""
        if self._http is None:
            transport = httpx2.ASGITransport(app=self.app, client=("192.0.2.1", 40000))
            self._http = httpx2.AsyncClient(transport=transport, base_url="http://app.test")
            self._exit.push_async_callback(self._http.aclose)
        return self._http

    # -- events and time

    def said(self, event: type[E]) -> tuple[E, ...]:
        """The events of a type that were committed so far, in order."""
        return tuple(one for one in self._book.said() if isinstance(one, event))

    async def hear(self, event: Event, *, source: str = _TESTS) -> None:
        """Deliver an event as if another service had said it, and let everything that follows happen."""
        entry = Entry(
            id=uuid7(self.clock), topic=event_name(type(event)), source=source, key=event_key(event),
            at=self.clock.now(), body=codec(type(event)).encode(event), headers={},
        )  # fmt: skip
        for dispatcher in self.running.messaging.dispatchers:
            await dispatcher.accept([entry])
        await self.settle()

    async def settle(self) -> None:
        """Deliver what was published and is due, until nothing is left. Time does not move."""
        await self.running.messaging.settle()

    async def advance(self, by: timedelta | float) -> None:
        """Move time, and let happen what becomes due on the way."""
        end = self.clock.monotonic() + (by.total_seconds() if isinstance(by, timedelta) else by)
        await self.settle()
        while (due := await self.running.messaging.next_due()) is not None:
            wait = (due - self.clock.now()).total_seconds()
            if self.clock.monotonic() + wait > end:
                break
            await self.clock.advance(max(wait, 0.000001))
            await self.settle()
        await self.clock.advance(max(end - self.clock.monotonic(), 0.0))
        await self.settle()

    async def rows(self, row: type[R]) -> tuple[R, ...]:
        """All rows of a type, of whichever service keeps it."""
        for store in self.running.stores.values():
            if row in store.rows:
                return await store.table(row).find()
        raise Misuse(f"no service of {self.app.name} has a Table[{row.__name__}].")


class Bench(Stage):
    """One service under test, with fakes for the contracts that its constructor names.

    `config` may carry its settings: `Config(data="sqlite::memory:", service={"orders": {"limit": 3}})`.
    """

    def __init__(
        self,
        service: type,
        *,
        start: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC),
        seed: int = 0,
        config: Config | None = None,
    ) -> None:
        contracts = [one for one in service.__bases__ if is_contract(one)]
        if len(contracts) != 1:
            raise Misuse(
                f"{service.__name__} inherits {len(contracts)} contracts: a bench is for a class that inherits one."
            )
        super().__init__(App("bench", services=contracts, endpoints=None), start=start, seed=seed, config=config)
        self.app.builders[contracts[0]] = service

    def _replace(self, contract: Any, fake: object) -> None:
        super()._replace(contract, fake)
        if contract not in self.app.services:
            self.app.services = (*self.app.services, contract)


class _Book:
    """Notes what is said, and tells what of it was committed."""

    def __init__(self) -> None:
        self._notes: list[tuple[Call, object, Event]] = []

    def topic(self, event: type[Event], service: str) -> Topic[Any]:
        return _Noted(event, service, self)

    def note(self, call: Call, event: Event) -> None:
        # A unit of work that runs again says its events again: what the run before it said does not count.
        self._notes = [one for one in self._notes if one[0] is not call or one[1] is call.unit]
        self._notes.append((call, call.unit, event))

    def said(self) -> tuple[Event, ...]:
        return tuple(event for call, _, event in self._notes if call.commits)


class _Noted(Topic[Event]):
    def __init__(self, event: type[Event], service: str, book: _Book) -> None:
        super().__init__(event, service)
        self._book = book

    async def publish(self, event: Event, *, at: datetime | None = None) -> None:
        await super().publish(event, at=at)
        self._book.note(current(), event)


def _with_folder(config: Config, folder: str) -> Config:
    return msgspec.structs.replace(cast("Any", config), folder=folder)

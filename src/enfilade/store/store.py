"""The store of one service: its tables, its database, and the platform's own tables beside them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Literal, TypeVar

from enfilade.call import current_or_none
from enfilade.clock import Clock
from enfilade.errors import Finding, StartError
from enfilade.store.counts import Counts
from enfilade.store.database import Database
from enfilade.store.engine import Engine, Missed
from enfilade.store.home import Home
from enfilade.store.inbox import Inbox, LeaseLost
from enfilade.store.migrate import Change, migrate
from enfilade.store.outbox import Outbox
from enfilade.store.records import Records
from enfilade.store.row import Row
from enfilade.store.sealed import Sealed
from enfilade.store.spec import Spec, spec_of
from enfilade.store.sqlite import SqliteEngine
from enfilade.store.table import Table
from enfilade.store.unit import Unit, platform
from enfilade.store.watch import Watch
from enfilade.trace.recorder import Recorder

R = TypeVar("R", bound=Row)


class Store:
    """What one service keeps: `store.table(OrderRow)`, `store.database`, and what the platform keeps for it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.service = home.service
        self.database = Database(home)
        self.outbox = Outbox(home)
        self.inbox = Inbox(home)
        self.records = Records(home)
        self.counts = Counts(home)
        self._specs: dict[str, Spec] = {}

    @property
    def rows(self) -> tuple[type[Row], ...]:
        """The types of rows that it keeps."""
        return tuple(spec.row for spec in self._specs.values())

    @property
    def seals(self) -> bool:
        """Whether any of its tables has encrypted columns, so that it needs `home.keys`."""
        return any(column.sealed for spec in self._specs.values() for column in spec.columns)

    async def rewrap(self) -> int:
        """Wrap all encrypted values by the newest data key of `home.keys`; how many were not so yet."""
        tables = [Sealed(self.home, spec) for spec in self._specs.values()]
        return sum([await table.rewrap(column.name) for table in tables for column in table.columns])

    async def open(self) -> None:
        """Connect. Raises StartError, with the remedy, where the place cannot be used."""
        await self.home.engine.open()

    async def close(self) -> None:
        """Finish what was begun, and disconnect."""
        await self.home.engine.close()

    def table(self, kind: type[R]) -> Table[R]:
        """The table of a type of rows. Raises StartError where the type cannot be stored."""
        spec = spec_of(kind)
        other = self._specs.setdefault(spec.name, spec)
        self.home.kept.know(other)
        if other.row is not kind:
            what = f"{kind.__name__} and {other.row.__name__} both want the table {spec.name}."
            raise StartError([Finding(self.service, what, "Rename one of them.", "row")])
        return Table(self.home, spec)

    async def migrate(self, apply: bool, *, destructive: bool = False) -> list[Change]:
        """What the database lacks or has too much, as against the tables that were asked for.

        With `apply`, additive changes are made; with `destructive` too, those that lose something. What is impossible
        says why and what to do.
        """
        return await migrate(self.home, tuple(self._specs.values()), apply=apply, destructive=destructive)

    @asynccontextmanager
    async def unit(self) -> AsyncGenerator[None]:
        """A unit of work of the platform's own, or of a test: `async with store.unit(): ...`.

        It is not run again where it meets another one: Overloaded then. Events and rows are stored at its end.
        """
        call = current_or_none()
        unit = Unit(self.home, self.home.engine.session(write=True), writes=True)
        before = call.unit if call is not None else None
        token = platform.set(unit)
        if call is not None:
            call.unit = unit
        try:
            yield
            if unit.ended is not None:
                unit.refuse_ended()
            await unit.session.commit()
        except BaseException as error:
            await unit.session.rollback()
            if isinstance(error, Missed):
                raise LeaseLost from None
            raise
        finally:
            platform.reset(token)
            if call is not None:
                call.unit = before
        if unit.said:
            self.home.tell()

    def watch(self, ring: Callable[[], None]) -> Watch:
        """One process's part in what only one of the service's processes does, not taken yet.

        It rings when this process begins or ceases to lead, and on PostgreSQL when another one published something.
        """
        return self.home.engine.watch(ring, self.home.clock)

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call back after each unit of work that said something: the relay wakes up by it."""
        self.home.listeners.append(callback)


def open_store(
    url: str,
    service: str,
    *,
    clock: Clock,
    recorder: Recorder,
    secret: bytes,
    synchronous: Literal["full", "normal"] = "full",
) -> Store:
    """The store of a service, not connected yet.

    `url` is `sqlite:.enfilade/{service}.db`, `sqlite::memory:` or `postgresql://user@host/database`; `{service}` is
    filled in. `secret` seals cursors. `synchronous="normal"` lets SQLite answer before the disk has it: a power cut may
    then take the last moments with it, a crash of the process may not.
    """
    place = url.replace("{service}", service)
    return Store(Home(service, _engine(place, service, synchronous), clock, secret, recorder))


def _engine(url: str, service: str, synchronous: Literal["full", "normal"]) -> Engine:
    kind, _, rest = url.partition(":")
    if kind == "sqlite" and rest:
        return SqliteEngine(rest.removeprefix("//"), synchronous)
    if kind in ("postgresql", "postgres"):
        from enfilade.store.postgres import PostgresEngine  # asyncpg is an extra

        return PostgresEngine(url, service)
    remedy = "Write `sqlite:PATH`, with {service} in it, `sqlite::memory:` or `postgresql://user@host/database`."
    raise StartError([Finding(service, f"{url!r} is no place for data.", remedy, "store")])

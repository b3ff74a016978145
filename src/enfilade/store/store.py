"""The store of one service: its tables, its database, and the platform's own tables beside them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal, TypeVar

from enfilade.clock import Clock
from enfilade.contract.message import Message
from enfilade.store.database import Database
from enfilade.store.inbox import Inbox
from enfilade.store.outbox import Outbox
from enfilade.store.records import Records
from enfilade.store.row import Row
from enfilade.store.table import Table
from enfilade.trace.recorder import Recorder

R = TypeVar("R", bound=Row)


class Change(Message):
    """One difference between what the rows say and what the database has."""

    table: str
    what: str
    """`add column order.note`."""
    kind: Literal["additive", "destructive", "impossible"]
    remedy: str = ""
    applied: bool = False

    def __str__(self) -> str:
        done = "done" if self.applied else self.kind
        return f"{self.what} ({done}){': ' + self.remedy if self.remedy and not self.applied else ''}"


class Store:
    """What one service keeps."""

    service: str
    database: Database
    outbox: Outbox
    inbox: Inbox
    records: Records

    @property
    def rows(self) -> tuple[type[Row], ...]:
        """The types of rows that it keeps."""
        raise NotImplementedError

    async def open(self) -> None:
        """Connect. Raises StartError where the place cannot be used."""
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    def table(self, kind: type[R]) -> Table[R]:
        """The table of a type of rows. Raises StartError where the type cannot be stored."""
        raise NotImplementedError

    async def migrate(self, apply: bool, *, destructive: bool = False) -> list[Change]:
        """What the database lacks; with `apply`, additive changes are made, with `destructive`, the others too."""
        raise NotImplementedError

    def unit(self) -> AbstractAsyncContextManager[None]:
        """A unit of work of the platform's own: `async with store.unit(): ...`. Not run again on a conflict."""
        raise NotImplementedError

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call back after each unit of work that said something: the relay wakes up by it."""
        raise NotImplementedError


def open_store(
    url: str,
    service: str,
    *,
    clock: Clock,
    recorder: Recorder,
    secret: bytes,
    synchronous: Literal["full", "normal"] = "full",
) -> Store:
    """The store of a service, not open yet: `sqlite:.enfilade/{service}.db`, `sqlite::memory:` or `postgresql://...`.

    `secret` seals cursors. `synchronous="normal"` lets SQLite answer before the disk has it: a power cut may then take
    the last moments, a crash of the process may not.
    """
    raise NotImplementedError

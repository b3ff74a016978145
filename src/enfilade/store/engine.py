"""What the store asks of an engine. sqlite.py and postgres.py answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from enfilade.clock import Clock
from enfilade.errors import Overloaded
from enfilade.store.dialect import Dialect
from enfilade.store.own import Own
from enfilade.store.scope import Scope
from enfilade.store.spec import Kept, Spec
from enfilade.store.watch import Watch

KeyName: TypeAlias = tuple[str, str]
"""A row as locks know it: its table, and the text of its key."""


Want: TypeAlias = Literal["rows", "count", "change"]
"""What to answer: the rows; how many were changed; or the rows of `RETURNING`, and Missed when there are none."""


class Statement(NamedTuple):
    """SQL in the engine's own form."""

    sql: str
    values: Sequence[Any] = ()
    want: Want = "rows"
    quick: bool = False
    """It finds its rows by a key, and takes microseconds."""
    scope: Scope | None = None
    """Whose rows it is about; None for what is the platform's."""
    own: Own | None = None
    """None where all of its words are the platform's. Else the engine keeps it to its scope."""


class Answer(NamedTuple):
    """Rows with the names of their columns."""

    names: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Missed(Exception):
    """A statement that had to change a row changed none."""


class Rerun(Overloaded):
    """The unit of work met another one; nothing of it is stored, and it may run again."""


class Broken(Exception):
    """The engine refused a statement. `rule` says which kind of rule it would have broken."""

    def __init__(self, rule: Literal["unique", "check", "null", "type", "write", "sql"], text: str) -> None:
        self.rule = rule
        super().__init__(text)


class Session(Protocol):
    """The statements of one unit of work. It begins with the first one."""

    async def run(self, statements: Sequence[Statement], *, guarded: bool = False) -> list[Any]:
        """An Answer or a count for each. Raises Missed, Broken or Rerun.

        `guarded`: all or none of them, and after Missed or Broken the unit of work can go on.
        """
        ...

    def later(self, statement: Statement) -> None:
        """A statement whose answer nobody needs now: it goes with the next one, or with the commit."""
        ...

    async def hold(self, keys: Iterable[KeyName]) -> None:
        """These rows are going to be locked: wait for one's turn, where that can be done before the unit begins."""
        ...

    async def commit(self) -> None:
        """Raises Missed, Broken or Rerun; then nothing is stored."""
        ...

    async def rollback(self) -> None:
        """Undo everything. Never fails; a second time it does nothing."""
        ...


class Live(NamedTuple):
    """A table as the database has it."""

    columns: dict[str, tuple[str, bool]]
    """Type and whether it may be NULL, by name."""
    indexes: frozenset[str]
    checks: tuple[str, ...] = ()
    """Names of its CHECK constraints, where they have names."""
    guarded: bool = True
    """The database itself keeps SQL of the service's own to one tenant; see `Engine.guards`."""


class Engine(Protocol):
    """One service's database."""

    dialect: Dialect
    where: str
    """What it is called in messages: a file's path, or host and database; never a password."""
    kept: Kept
    """The tables that it keeps rows in."""
    foundation: Sequence[str]
    """The statements that come before the first table."""

    async def open(self) -> None:
        """Raises StartError with the remedy."""
        ...

    async def close(self) -> None: ...

    async def read(self, statement: Statement) -> Answer:
        """One statement outside of any unit of work, on what is committed. Raises Broken."""
        ...

    async def write(self, statements: Sequence[Statement]) -> list[Any]:
        """A short unit of work of the platform's own, in one trip; run again by itself where it met another one."""
        ...

    def guards(self, spec: Spec) -> list[str]:
        """The statements, if there are any, that have the database keep a table's tenants apart."""
        ...

    async def change(self, statements: Sequence[Statement]) -> None:
        """Change the tables themselves; like `write`."""
        ...

    def session(self, *, write: bool, attempt: int = 0, keys: Iterable[KeyName] = ()) -> Session:
        """A new unit of work, or with `write=False` a snapshot.

        `attempt` counts from 0, and `keys` are the rows that earlier attempts locked: what an engine may use to keep
        out of the way of others.
        """
        ...

    def watch(self, ring: Callable[[], None], clock: Clock) -> Watch:
        """What tells the service's processes which of them leads, and wakes that one; not started yet."""
        ...

    async def live(self) -> dict[str, Live]:
        """The tables that there are."""
        ...

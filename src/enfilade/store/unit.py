"""The open unit of work, and what may not be done while it is open."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, NoReturn

from enfilade.call import Call, current_or_none
from enfilade.errors import CheckFailed, Misuse, Taken
from enfilade.store.engine import Broken, KeyName, Missed, Rerun, Session, Statement


class Unit:
    """What one unit of work has done so far. Made by `@atomic`, and by the platform for its own work."""

    __slots__ = ("call", "depth", "ended", "keys", "said", "session", "store", "writes", "wrote")

    def __init__(self, store: object, session: Session, *, writes: bool, call: Call | None = None) -> None:
        self.store = store
        self.session = session
        self.writes = writes
        """False for the snapshot of a query."""
        self.call = call
        self.wrote = False
        self.said = False
        """It published something."""
        self.depth = 0
        """Atomic methods that have joined it and not returned."""
        self.keys: set[KeyName] = set()
        """Rows that it locked."""
        self.ended: Exception | None = None
        """The error after which it can only be left."""

    async def run(self, statements: Sequence[Statement], *, guarded: bool = False) -> list[Any]:
        """Raises what a user may see, and Missed."""
        if self.ended is not None:
            self.refuse_ended()
        try:
            return await self.session.run(statements, guarded=guarded)
        except Rerun as error:
            self.ended = error
            raise
        except Broken as error:
            if not (guarded and error.rule == "unique"):
                self.ended = self.ended or error  # what follows a conflict in a branch tells less than the conflict
            raise

    async def hold(self, keys: set[KeyName]) -> None:
        """These rows are going to be locked."""
        self.keys |= keys
        await self.session.hold(keys)

    def later(self, statement: Statement) -> None:
        self.session.later(statement)

    def write(self, what: str) -> None:
        """Say that a change comes; raises Misuse where none may."""
        if not self.writes:
            raise Misuse(f"{self._name}: {what} in a query. A query only reads: declare the operation a @command.")
        if not self.wrote and self.call is not None and self.call.commits:
            raise Misuse(
                f"{self._name}: {what} in a second unit of work. A call, an event or a timer commits once: let one "
                f"@atomic method do all changes, or publish an event and do the rest where it is heard."
            )
        self.wrote = True

    def refuse_ended(self) -> NoReturn:
        """Raise because the unit can only be left."""
        if isinstance(self.ended, Rerun):
            raise self.ended
        raise Misuse(
            f"{self._name}: a statement failed in this unit of work, and the error was caught ({self.ended}). "
            f"Only Taken and Stale of a Table can be caught inside @atomic; catch others around it."
        )

    @property
    def _name(self) -> str:
        return self.call.operation.id if self.call is not None else "A unit of work"


platform: ContextVar[Unit | None] = ContextVar("enfilade_unit", default=None)
"""The unit of work that the platform opened where no call is served."""


def open_unit(store: object) -> Unit | None:
    """The open unit of work, if it is this store's."""
    call = current_or_none()
    unit: Unit | None = call.unit if call is not None else None
    if unit is None:
        unit = platform.get()
    return unit if unit is not None and unit.store is store else None


def writing(store: object, what: str) -> Unit:
    """The open unit of work, for a change: `writing(store, "orders.add")`. Raises Misuse where none may be made."""
    unit = open_unit(store)
    if unit is None:
        raise Misuse(
            f"{what} outside of @atomic. Put the change into an `@atomic` method of the service and call that: "
            f"what it changes and publishes is then stored together, or not at all."
        )
    unit.write(what)
    return unit


def refuse_in_unit(what: str) -> None:
    """Raises Misuse where a unit of work is open: `refuse_in_unit("a contract call")`."""
    call = current_or_none()
    if call is not None and call.unit is not None:
        raise Misuse(
            f"{call.operation.id}: {what} inside @atomic. A unit of work may run again, and others wait for it: "
            f"do it before the @atomic method and pass the result in, or after it."
        )


def told(error: Broken | Missed, what: str) -> Exception:
    """The engine's error in the words of the store's users."""
    if isinstance(error, Missed):
        return Misuse(f"{what}: nothing was changed ({error})")
    if error.rule == "unique":
        return Taken(on=())
    if error.rule == "check":
        failed = CheckFailed()
        failed.add_note(f"{what}: {error}")
        return failed
    if error.rule == "write":
        return Misuse(f"{what}: this changes rows. Use `run`, inside an `@atomic` method of a command.")
    return Misuse(f"{what}: {error}")

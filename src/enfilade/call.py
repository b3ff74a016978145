"""One call on its way, the two function types it passes through, and the ambient facts of it.

    Handler   takes a Call and answers with the operation's result, or raises a Problem
    Station   is given an operation and the next handler and returns a handler: the next one itself where it has nothing
              to do for this operation, so that what is not declared costs nothing

Every way in (an HTTP request, an in-process call, a delivered event, a timer) makes a `Call` and passes the same row.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

import msgspec

from enfilade.clock import Clock, make_id
from enfilade.contract.money import Money
from enfilade.contract.operation import Operation
from enfilade.contract.principal import Principal as Principal
from enfilade.errors import InRehearsal, Misuse, Unauthenticated


class Call(msgspec.Struct, eq=False):
    """One call on its way. `current()` gives the one that is being served."""

    operation: Operation
    arguments: dict[str, Any]
    """The parameters by their Python names, defaults filled in."""
    clock: Clock
    deadline: float
    """When the time is over, on `clock.monotonic()`."""
    caller: Principal | None = None
    """The person, unchanged across services; None where nobody is known."""
    tenant: str = ""
    peer: str = ""
    """The service that calls; `""` from outside."""
    trace_id: int = 0
    """W3C trace id as a number; 0 where the trace starts here."""
    span_id: int = 0
    """The span that encloses this moment; before the trace station, the caller's."""
    trace_state: str = ""
    watched: bool = False
    """Somebody who waits for it ends it when its time is over."""
    tab: Any = None
    """What it takes of meters that count more than calls; see `spend`."""
    key: str = ""
    """Idempotency key; `""` where the call may not be repeated."""
    keyed: int = 0
    """How many keyed calls this one made: a key, the operation and the number make the key of the next."""
    address: str = ""
    """The client's network address; `""` for calls from within."""
    credentials: str = ""
    """The `Authorization` field as it came; the identity station turns it into `caller`."""
    span: Any = None
    """The open span, of the trace station's own type."""
    home: Any = None
    """The store of the service that serves this call; set by the service host."""
    unit: Any = None
    """The open unit of work; contract calls and other foreign awaits are refused while it is."""
    commits: int = 0
    """Units of work that this call has committed; one is allowed."""
    record: Any = None
    """The idempotency record that commits with this call's unit of work; set by the guard."""
    delivery: Any = None
    """The delivered event that is marked as heard by this call's unit of work, which sets it to None."""
    wide: bool = False
    """It sees the rows of all tenants: set by the guard where the operation says `any_tenant`."""
    acted: tuple[str, ...] = ()
    """The tenants that it narrowed itself to, by `acting`."""
    policies: tuple[str, ...] = ()
    """The central policies that decided about it, by their names."""
    fields: Mapping[bytes, bytes] | None = None
    """The fields of its request, for those who know callers by something else than a bearer token."""
    read: Callable[[], Awaitable[dict[str, Any]]] | None = None
    """Reads the arguments of a call that came over a wire, once it may be served; see `endpoint/reading.py`."""
    sent: bool = False
    """It went on to another process of the app, which writes down what became of it."""
    reply_fields: dict[str, str] | None = None
    """Fields that stations add to the answer, by their HTTP names (`RateLimit`, `Idempotency-Replayed`)."""
    rehearsal: bool = False
    """It is only tried: what its units of work change is undone, its events are not said, nothing is sent out that
    would change something elsewhere, and nothing is kept of it. So are the calls that it makes."""

    def __repr__(self) -> str:
        return f"<call of {self.operation.id}>"  # never what it came with

    @property
    def me(self) -> str:
        """The caller's subject. Raises Unauthenticated (401) where there is no caller."""
        if self.caller is None:
            raise Unauthenticated(detail=f"{self.operation.id} asks who calls, and nobody is signed in.")
        return self.caller.subject

    @property
    def now(self) -> datetime:
        """The time of day, in UTC."""
        return self.clock.now()

    @property
    def remaining(self) -> float:
        """Seconds that are left; negative when the time is over."""
        return self.deadline - self.clock.monotonic()

    def child(self, operation: Operation, arguments: dict[str, Any]) -> Call:
        """The call that this one makes to another service: same person, tenant and trace, and no more time."""
        key = ""
        if self.key and operation.kind == "command":
            self.keyed += 1
            key = f"{self.key}:{self.operation.name}.{self.keyed}"
        made = Call(
            operation, arguments, self.clock, self.deadline, self.caller, self.tenant, self.operation.service,
            self.trace_id, self.span_id, self.trace_state, self.watched, self.tab, key,
        )  # fmt: skip
        if self.rehearsal:
            made.rehearsal = True
        return made

    def spend(self, amount: int | Money, unit: str = "") -> None:
        """Say what the call really took of a budget: `current().spend(1234, "tokens")`, `current().spend(price)`.

        Several times add up; whatever was set aside beyond it is given back. What no meter counts is not counted.
        """
        tab = self.tab
        if tab is None:
            return
        if isinstance(amount, Money):
            amount, unit = amount.minor, amount.currency
        if not unit or amount < 0:
            raise Misuse(f"spend({amount!r}, {unit!r}): say how much of what was spent, zero or more.")
        if (
            unit.isupper()
            and unit not in tab.units
            and (other := next((one for one in tab.units if one.isupper()), ""))
        ):
            raise Misuse(f"spend({amount}, {unit!r}): the budget is in {other}: convert it first.")
        tab.spend(amount, unit)

    def say(self, field: str, value: str) -> None:
        """Add a field to the answer."""
        if self.reply_fields is None:
            self.reply_fields = {}
        self.reply_fields[field] = value


Handler: TypeAlias = Callable[[Call], Awaitable[Any]]
Station: TypeAlias = Callable[[Operation, Handler], Handler]

_current: ContextVar[Call | None] = ContextVar("enfilade_call", default=None)
enter = _current.set
leave = _current.reset


def current() -> Call:
    """The call that is being served. Raises Misuse outside of one."""
    call = _current.get()
    if call is None:
        raise Misuse("current() is for code that serves a call; in tests, enter one with `async with Bench(...)`.")
    return call


current_or_none = _current.get
"""The call that is being served, or None outside of one."""


def refuse_in_rehearsal(what: str) -> None:
    """Raises InRehearsal where the call is only tried: `refuse_in_rehearsal("POST psp.example")`."""
    call = _current.get()
    if call is not None and call.rehearsal:
        raise InRehearsal(detail=f"{call.operation.id} is only rehearsed: {what} could not be undone.")


def new_id(prefix: str) -> str:
    """A new id that sorts by its time: `new_id("ord")` is `ord_01j9x...`."""
    return make_id(current().clock, prefix)


@contextmanager
def deadline(within: timedelta | float) -> Generator[None]:
    """Less time for the calls inside: `with deadline(2.0): await self.carrier.quote(...)`. Never more than there is."""
    call = current()
    before = call.deadline, call.watched
    seconds = within.total_seconds() if isinstance(within, timedelta) else within
    until = call.clock.monotonic() + seconds
    if until < call.deadline:
        call.deadline, call.watched = until, False  # the calls inside are watched for themselves
    try:
        yield
    finally:
        call.deadline, call.watched = before


@contextmanager
def acting(*, tenant: str) -> Generator[None]:
    """One tenant's rows inside an operation that needs `any_tenant`: `with acting(tenant="acme"): ...`.

    The calls and events inside belong to that tenant. Raises Misuse where the operation is of one tenant.
    """
    call = current()
    before = call.tenant, call.wide
    if not call.wide:
        raise Misuse(f"{call.operation.id} is of one tenant: say needs=... & any_tenant where it is to act for others.")
    call.tenant, call.wide, call.acted = tenant, False, (*call.acted, tenant)
    try:
        yield
    finally:
        call.tenant, call.wide = before


class Outside(NamedTuple):
    """A station that only calls from outside pass; between services of one process it would find nothing to do."""

    station: Station


def row(operation: Operation, stations: Sequence[Station | Outside], last: Handler, *, inside: bool = False) -> Handler:
    """The stations in their order, the first outermost, around the last handler; `inside` leaves out some of them."""
    handler = last
    for station in reversed(stations):
        if not isinstance(station, Outside):
            handler = station(operation, handler)
        elif not inside:
            handler = station.station(operation, handler)
    return handler


class Rows(dict[str, Handler]):
    """Rows by operation id, made at once or, what is `later`, when they are first asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._later: dict[str, Callable[[], Handler]] = {}

    def later(self, id: str, make: Callable[[], Handler]) -> None:
        """Make it so when somebody asks for it."""
        self._later[id] = make

    def __missing__(self, id: str) -> Handler:
        made = self[id] = self._later.pop(id)()
        return made


def ambient(operation: Operation, handler: Handler) -> Handler:
    """A station: the call is `current()` while it passes."""

    async def unary(call: Call) -> Any:
        token = enter(call)
        try:
            return await handler(call)
        finally:
            leave(token)

    async def stream(call: Call) -> Any:
        token = enter(call)
        try:
            items = await handler(call)
        finally:
            leave(token)
        return _ambient_items(call, items)

    return stream if operation.style in ("stream", "bytes") else unary


async def _ambient_items(call: Call, items: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    """A generator runs in the context of whoever asks for its next item; for that moment it is the call's own."""
    try:
        while True:
            token = enter(call)
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            finally:
                leave(token)
            yield item
    finally:
        token = enter(call)
        try:
            await items.aclose()
        finally:
            leave(token)


def when_done(operation: Operation, reply: Any, done: Callable[[BaseException | None], None]) -> Any:
    """Calls `done` once the reply is complete: at once, or at the end of a stream, with the error that ended it."""
    if operation.style not in ("stream", "bytes"):
        done(None)
        return reply
    return _watched(reply, done)


async def _watched(
    items: AsyncGenerator[Any, None], done: Callable[[BaseException | None], None]
) -> AsyncGenerator[Any, None]:
    failed: BaseException | None = None
    try:
        async for item in items:
            yield item
    except BaseException as error:
        failed = error
        raise
    finally:
        await items.aclose()
        done(failed)

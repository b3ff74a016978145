"""The unit of work: what a method changes and publishes is stored together, or not at all."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import cached_property, wraps
from typing import Any, TypeVar, cast, get_type_hints

from enfilade.call import Call, current, current_or_none
from enfilade.contract.codec import Codec, codec
from enfilade.contract.shape import walk
from enfilade.errors import Conflict, Misuse, Overloaded
from enfilade.store.engine import Broken, Missed, Rerun
from enfilade.store.home import Home
from enfilade.store.inbox import Inbox
from enfilade.store.records import Record, Records, replaced
from enfilade.store.unit import Unit, platform, told
from enfilade.trace.span import phase

F = TypeVar("F", bound=Callable[..., Awaitable[object]])

FIRST_WAIT = 0.002
"""Seconds before the second attempt, on average; each further one waits twice as long."""
LONGEST_WAIT = 0.1
"""Seconds between two attempts at most, on average."""


def atomic(method: F) -> F:
    """One unit of work.

        @atomic
        async def _record(self, row: OrderRow) -> Order:
            await self.orders.add(row)
            order = row.into(Order)
            await self.placed.publish(OrderPlaced(order=order))
            return order

    It is serializable from its first read: what others do meanwhile happens before it or after it. Where that cannot be
    kept, the method is run again, until the call's deadline; so nothing foreign is awaited inside (a contract call,
    HTTP, a file, sleep), and what it changes besides rows is its own affair. An error undoes all of it, a Problem too.
    An atomic method that calls another one makes one unit with it. In a query it is one read snapshot.

    A call, an event or a timer commits once. Under an idempotency key the result is recorded in the same commit, and a
    repeated command is answered with it; under a delivery the event is marked as heard in it. In rehearsal all is
    undone where it would be stored.
    """
    if not inspect.iscoroutinefunction(method):
        raise TypeError(f"{method.__qualname__}: @atomic is for `async def` methods that return; a stream calls some")
    work = _Work(method)

    @wraps(method)
    async def run(*args: Any, **kwargs: Any) -> Any:
        call = current_or_none()
        unit: Unit | None = call.unit if call is not None else platform.get()
        if unit is not None:
            unit.depth += 1
            try:
                return await method(*args, **kwargs)
            finally:
                unit.depth -= 1
        call = current()
        home = _home(call)
        if call.record is not None and call.record.state == "committed":
            return work.recall(call.record)
        attempt = 0
        keys: set[Any] = set()
        with phase("atomic"):
            while True:
                unit = begin(home, call, attempt, keys)
                try:
                    result = await method(*args, **kwargs)
                    await work.commit(home, call, unit, result)
                except BaseException as error:
                    await unit.session.rollback()
                    if not isinstance(unit.ended, Rerun) or isinstance(error, asyncio.CancelledError):
                        raise
                else:
                    return result
                finally:
                    call.unit = None
                keys |= unit.keys
                await _wait(call, home, attempt)
                attempt += 1

    return cast("F", run)


def begin(home: Home, call: Call, attempt: int, keys: set[Any]) -> Unit:
    """Open a unit of work for a call."""
    writes = call.operation.kind == "command"
    unit = Unit(home, home.engine.session(write=writes, attempt=attempt, keys=keys), writes=writes, call=call)
    call.unit = unit
    return unit


class _Work:
    """An atomic method, and how its result is recorded."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        self.name = method.__qualname__

    async def commit(self, home: Home, call: Call, unit: Unit, result: Any) -> None:
        """Store what the unit did, and with it that it is done."""
        if unit.depth:
            raise Misuse(
                f"{self.name}: another @atomic method of the same call is still running. Await one before the other; "
                f"reads can be gathered inside one."
            )
        if unit.ended is not None:
            unit.refuse_ended()
        record: Record | None = call.record if unit.wrote else None
        delivery = call.delivery if unit.wrote else None
        if record is not None:
            packed = self._pack(result)
            unit.later(Records(home).committed(record, self.name, packed))
            record = replaced(record, state="committed", method=self.name, result=packed)
        if delivery is not None:
            unit.later(Inbox(home).heard(delivery))
        await self._end(call, unit)
        if unit.wrote:
            call.commits += 1
            call.record, call.delivery = record, None
        if unit.said and not call.rehearsal:
            home.tell()

    async def _end(self, call: Call, unit: Unit) -> None:
        """Store what it did, or undo it where it is only tried."""
        try:
            if not call.rehearsal:
                return await unit.session.commit()
            if unit.wrote:
                await unit.session.run(())  # what was left for the commit may fail as well
        except Rerun as error:
            unit.ended = error
            raise
        except Missed:
            raise Conflict(
                detail="Meanwhile this was done, or is being done, by another run of the same request."
            ) from None
        except Broken as error:
            raise told(error, self.name) from error
        return await unit.session.rollback()

    def recall(self, record: Record) -> Any:
        """The result of the run before."""
        if record.method != self.name or record.result is None or self._codec is None:
            raise Conflict(detail="This request was carried out before, and its answer was not kept.")
        return self._codec.unpack(record.result)

    def _pack(self, result: Any) -> bytes | None:
        return None if self._codec is None else self._codec.pack(result)

    @cached_property
    def _codec(self) -> Codec[Any] | None:
        """For the type that the method returns; None where it is not one that can be stored."""
        try:
            made: Codec[Any] = codec(get_type_hints(self._method, include_extras=True)["return"])
        except (KeyError, NameError, TypeError):
            return None
        return None if any(found.wrong for _, found in walk(made.shape)) else made


def _home(call: Call) -> Home:
    if call.home is None:
        raise Misuse(f"{call.operation.id}: @atomic is for services that keep something, and this one has no store")
    return call.home.home


async def _wait(call: Call, home: Home, attempt: int) -> None:
    """Keep out of the way for a moment: real time, because the others are other connections and processes."""
    if call.remaining <= 0:
        raise Overloaded(f"{call.operation.id}: others changed the same rows all the time, and the time is over")
    home.reruns.add(1)
    mean = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt)
    await asyncio.sleep(mean * 2 * home.clock.random.random())

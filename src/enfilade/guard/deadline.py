"""How long: a call has until its deadline, which only ever moves nearer.

A deadline is watched by one timer of the loop, that of the call which set it: the one that came in, and one between
services whose operation has less time than its caller. All others run under the timer of their caller, so that a call
within the process makes no timer and no task. When the timer rings the task is cancelled, and that cancellation becomes
`DeadlineExceeded`; one that comes from elsewhere stays what it is.
"""

from __future__ import annotations

from asyncio import CancelledError, current_task
from collections.abc import AsyncGenerator, Awaitable
from typing import Any

from enfilade.call import Call, Handler, Station
from enfilade.contract.operation import Operation
from enfilade.errors import DeadlineExceeded


def deadline() -> Station:
    """Ends calls whose time is over, and does not begin them.

    A stream has its operation's `timeout` till the first item, then `idle` from when the next one is asked for.
    """

    def station(operation: Operation, handler: Handler) -> Handler:
        timeout, idle = operation.timeout, operation.idle

        async def stream(call: Call) -> Any:
            _nearer(call, timeout)
            return _paced(call, await handler(call), idle)

        def limited(call: Call) -> Awaitable[Any]:
            return _watched(call, handler) if _nearer(call, timeout) or not call.watched else handler(call)

        return stream if operation.style in ("stream", "bytes") else limited

    return station


def _nearer(call: Call, timeout: float) -> bool:
    """Move the deadline to where the operation has it; whether that was nearer than it was."""
    now = call.clock.monotonic()
    if call.deadline <= now:
        raise DeadlineExceeded(f"{call.operation.id} was not begun: its time was over before.")
    if now + timeout < call.deadline:
        call.deadline = now + timeout
        return True
    return False


async def _watched(call: Call, handler: Handler) -> Any:
    alarm = _Alarm(call)
    try:
        return await handler(call)
    except CancelledError as cancelled:
        if alarm.off():
            raise _late(call) from cancelled
        raise
    finally:
        alarm.off()


async def _paced(call: Call, items: AsyncGenerator[Any, None], idle: float) -> AsyncGenerator[Any, None]:
    try:
        while True:
            alarm = _Alarm(call)
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            except CancelledError as cancelled:
                if alarm.off():
                    raise _late(call) from cancelled
                raise
            finally:
                alarm.off()
            yield item
            call.deadline = call.clock.monotonic() + idle
    finally:
        await items.aclose()


def _late(call: Call) -> DeadlineExceeded:
    return DeadlineExceeded(f"{call.operation.id} took longer than it may.")


class _Alarm:
    """Cancels the present task at the call's deadline, as `asyncio.timeout` would, without its cost on each call."""

    __slots__ = ("_before", "_rang", "_task", "_timer")

    def __init__(self, call: Call) -> None:
        task = current_task()
        assert task is not None  # a coroutine runs in one
        call.watched = True
        self._task = task
        self._before = task.cancelling()
        self._rang = False
        self._timer = call.clock.later(call.deadline - call.clock.monotonic(), self._ring)

    def _ring(self) -> None:
        self._rang = True
        self._task.cancel()

    def off(self) -> bool:
        """No more ringing; whether it was the alarm, and nobody else, that cancelled the task."""
        self._timer.cancel()
        if not self._rang:
            return False
        self._rang = False
        return self._task.uncancel() <= self._before

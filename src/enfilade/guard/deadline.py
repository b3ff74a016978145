"""How long: a call has until its deadline, which only ever moves nearer.

A deadline is watched for the call that set it: the one that came in, and one between services whose operation has less
time than its caller. All others run under the watch of their caller, so that a call within the process makes no task
and no timer; those that are watched share one timer, at the earliest of their deadlines. When it rings the task is
cancelled, and that cancellation becomes `DeadlineExceeded`; one that comes from elsewhere stays what it is.
"""

from __future__ import annotations

from asyncio import CancelledError, Task, current_task
from collections.abc import AsyncGenerator, Awaitable
from typing import Any, Final

from enfilade.call import Call, Handler, Station
from enfilade.clock import Clock
from enfilade.contract.operation import Operation
from enfilade.errors import DeadlineExceeded

_NEVER: Final = float("inf")
_EARLY: Final = 0.001
"""Seconds: a deadline that is so near has come; timers do not keep shorter times."""


def deadline() -> Station:
    """Ends calls whose time is over, and does not begin them.

    A stream has its operation's `timeout` till the first item, then `idle` from when the next one is asked for.
    """
    watch = _Watch()

    def station(operation: Operation, handler: Handler) -> Handler:
        timeout, idle = operation.timeout, operation.idle
        streams = operation.style in ("stream", "bytes")

        async def timed(call: Call) -> Any:
            alarm = watch.begin(call)
            try:
                return await handler(call)
            except CancelledError as cancelled:
                if watch.end(alarm):
                    raise _late(call) from cancelled
                raise
            finally:
                watch.end(alarm)

        async def paced(call: Call) -> Any:
            return _paced(watch, call, await handler(call), idle)

        watched = paced if streams else timed

        def limited(call: Call) -> Awaitable[Any]:
            now = call.clock.monotonic()
            left = call.deadline - now
            if left <= 0:
                raise DeadlineExceeded(f"{operation.id} was not begun: its time was over before.")
            if timeout < left:
                call.deadline = now + timeout
            elif call.watched and not streams:
                return handler(call)
            return watched(call)

        return limited

    return station


async def _paced(watch: _Watch, call: Call, items: AsyncGenerator[Any, None], idle: float) -> AsyncGenerator[Any, None]:
    try:
        while True:
            alarm = watch.begin(call)
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            except CancelledError as cancelled:
                if watch.end(alarm):
                    raise _late(call) from cancelled
                raise
            finally:
                watch.end(alarm)
            yield item
            call.deadline = call.clock.monotonic() + idle
    finally:
        await items.aclose()


def _late(call: Call) -> DeadlineExceeded:
    return DeadlineExceeded(f"{call.operation.id} took longer than it may.")


class _Alarm:
    """A task, and when it is to be cancelled."""

    __slots__ = ("before", "rang", "task", "until")

    def __init__(self, task: Task[Any], until: float) -> None:
        self.task = task
        self.until = until
        self.before = task.cancelling()
        self.rang = False


class _Watch:
    """The deadlines that are watched now. One timer for all of them: setting one for each call costs more than the rest
    of this station."""

    def __init__(self) -> None:
        self._alarms: set[_Alarm] = set()
        self._at = _NEVER
        """When the timer rings."""

    def begin(self, call: Call) -> _Alarm:
        """Cancel the present task at the call's deadline."""
        task = current_task()
        assert task is not None  # a coroutine runs in one
        until = call.deadline
        alarm = _Alarm(task, until)
        self._alarms.add(alarm)
        call.watched = True
        if until < self._at:
            self._set(call.clock, until)
        return alarm

    def end(self, alarm: _Alarm) -> bool:
        """No more of it; whether it was the alarm, and nobody else, that cancelled the task."""
        if not alarm.rang:
            self._alarms.discard(alarm)
            return False
        alarm.rang = False
        return alarm.task.uncancel() <= alarm.before

    def _set(self, clock: Clock, at: float) -> None:
        self._at = at
        clock.later(at - clock.monotonic(), lambda: self._ring(clock, at))

    def _ring(self, clock: Clock, at: float) -> None:
        """Cancel what is due. The alarms of most calls are long gone by then; one that was overtaken finds nothing."""
        come = clock.monotonic() + _EARLY
        for alarm in [one for one in self._alarms if one.until <= come]:
            self._alarms.discard(alarm)
            alarm.rang = True
            alarm.task.cancel()
        if at == self._at:
            self._at = _NEVER
            if self._alarms:
                self._set(clock, min(alarm.until for alarm in self._alarms))

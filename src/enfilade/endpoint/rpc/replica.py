"""One address of a peer: its connections, how many at once, and whether it is well."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from typing import Final

from enfilade.clock import Clock, Timer
from enfilade.endpoint.rpc.connection import Answer, Connection, Lost
from enfilade.endpoint.rpc.dial import Dial, Tls, Unreached
from enfilade.endpoint.rpc.pulse import Pulse
from enfilade.errors import DeadlineExceeded, Overloaded, Unavailable

_IDLE: Final = 50.0
"""Seconds after which an unused connection is not used again: fewer than the 65 for which our servers keep them."""
_FAILURES: Final = 5
"""Failures in a row after which an address has a rest."""
_REST: Final = 0.05
"""Seconds of the first rest; each is twice as long as the one before."""
_LONGEST: Final = 1.0
"""Seconds of the longest rest."""
_QUIET: Final = 1.0
"""Seconds without an answer after which a peer is asked whether it is alive: by then it may be slow, or dead."""
_NEVER: Final = float("inf")
_ALIVE: Final = b"GET /.alive HTTP/1.1\r\nhost: peer\r\n\r\n"
"""Whatever is answered, somebody does."""


class Silent(DeadlineExceeded):
    """It did not answer in time."""


class Dead(Lost):
    """It takes what it is asked and says nothing, not even that it is alive."""


class Tally:
    """What was counted of all replicas of a link."""

    __slots__ = ("asked", "rests")

    def __init__(self) -> None:
        self.asked = 0
        self.rests = 0


class Replica:
    """One address."""

    def __init__(
        self,
        address: str,
        clock: Clock,
        pace: Clock,
        *,
        connections: int,
        waiting: int,
        limit: int,
        tls: Tls,
        services: Collection[str],
        tally: Tally,
    ) -> None:
        self.address = address
        self.tally = tally
        self.busy = 0
        """Calls that are under way, those that wait for a connection included."""
        self.fingerprints: dict[str, bytes] = {}
        """By operation id, of those that differ there and are agreed upon."""
        self.refused: dict[str, str] = {}
        """By operation id, why it cannot be used there."""
        self.refused_until = 0.0
        """When that is looked at again."""
        self._clock = clock
        self._pace = pace
        """What a rest is told in."""
        self._most = connections
        self._line = waiting
        self._limit = limit
        self._dial = Dial(address, tls, services)
        self._open = 0
        self._leaves = False
        self._idle: list[Connection] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        # how it is
        self._failures = 0
        self._rest = 0.0
        self._rests_until = 0.0
        self._probing = False
        # what is under way
        self._asked: set[Connection] = set()
        self._timer: Timer | None = None
        self._at = _NEVER
        self._seen: set[tuple[Connection, float]] = set()
        """What was under way when this was last looked at."""
        self._pulse = Pulse()

    # -- how it is

    @property
    def well(self) -> bool:
        return not self._rest

    def admits(self) -> bool:
        """Whether it may be asked: it is well, or its rest is over and nobody else tries it yet."""
        return not self._rest or (not self._probing and self._pace.monotonic() >= self._rests_until)

    def answered(self) -> None:
        """It did what it should."""
        if self._failures or self._rest:
            self._failures = 0
            self._rest = 0.0

    def failed(self, *, at_once: bool = False, tried: bool = False) -> None:
        """It did not; several times in a row, or where it cannot be reached, it has a rest.

        `tried` is for the one call that was to find out whether the rest was long enough.
        """
        if self._rest and not tried:
            return  # what was asked before the rest began
        self._failures += 1
        if self._rest or at_once or self._failures >= _FAILURES:
            self.tally.rests += not self._rest
            self._rest = min(self._rest * 2, _LONGEST) or _REST
            self._rests_until = self._pace.monotonic() + self._rest * (0.5 + self._clock.random.random() / 2)

    def tried(self, *, begins: bool) -> None:
        """Somebody tries whether it is well again, or has done so."""
        self._probing = begins

    # -- asking

    async def ask(self, request: bytes, until: float) -> Answer:
        """An answer, whole. `until` is a time of the clock. Raises Unreached, Lost, Overloaded, Silent."""
        self.busy += 1
        self.tally.asked += 1
        try:
            connection = self._ready(until) or await self.take(until)
            try:
                answer = await connection.ask(request)
            except BaseException as error:
                # Whoever waits no longer hangs up, and so the peer ends what it does.
                connection.fail(error if isinstance(error, Unavailable) else Lost("nobody waits for the answer"))
                raise
            finally:
                self._asked.discard(connection)
        finally:
            self.busy -= 1
        self._idle_again(connection)
        return answer

    def _ready(self, until: float) -> Connection | None:
        """The connection that was used last, where it can be used at once."""
        if not self._idle or until <= (now := self._clock.monotonic()):
            return None
        connection = self._idle[-1]
        if not connection.usable or now >= connection.fresh:
            return None
        self._idle.pop()
        self.watch(connection, until)
        return connection

    async def take(self, until: float) -> Connection:
        """A connection of one's own, given up at `until` where it is not given `back` before."""
        while True:
            now = self._clock.monotonic()
            if until <= now:
                raise Overloaded("there was no time left to ask")
            while self._idle:
                connection = self._idle.pop()
                if connection.usable and now < connection.fresh:
                    self.watch(connection, until)
                    return connection
                connection.fail(Lost("it was not used for long"))
            if self._open < self._most:
                connection = await self._connect(until - now)
                self.watch(connection, until)
                return connection
            await self._turn(until - now)
            if not self.well:
                raise Unreached(f"{self.address} did not answer others, and has a rest")

    def back(self, connection: Connection) -> None:
        """Give a connection back that was taken; one whose answer is not complete is cut."""
        self._asked.discard(connection)
        if connection.usable:
            self._idle_again(connection)
        else:
            connection.fail(Lost("nobody waits for the answer"))

    def _idle_again(self, connection: Connection) -> None:
        if self._leaves or not connection.usable:
            connection.fail(Lost("the connection ends with its last answer"))
            return
        connection.fresh = min(self._clock.monotonic() + _IDLE, connection.leave)
        self._idle.append(connection)
        if self._waiting:
            self._next_in_line()

    async def _turn(self, seconds: float) -> None:
        if len(self._waiting) >= self._line:
            raise Overloaded(f"{len(self._waiting)} calls wait for {self.address} already")
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(min(seconds, 3600.0)):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._next_in_line()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise Overloaded(f"no connection to {self.address} became free in time") from None
            raise

    def _next_in_line(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _connect(self, seconds: float) -> Connection:
        connection = Connection(self._lost, self._limit)
        self._open += 1
        try:
            leave = await self._dial(lambda: connection, seconds)
        except BaseException:
            connection.gone()
            raise
        if leave < _NEVER:
            connection.leave = self._clock.monotonic() + leave - self._clock.now().timestamp()
        return connection

    def _lost(self, connection: Connection) -> None:
        self._asked.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._open -= 1
        self._next_in_line()

    # -- time: one timer for all that is under way

    def watch(self, connection: Connection, until: float) -> None:
        """What is asked on a connection is given up at `until`."""
        connection.until = until
        self._asked.add(connection)
        if until < self._at:
            self._set(until)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        now = self._clock.monotonic()
        self._at = min(at, now + _QUIET)
        self._timer = self._clock.later(self._at - now, self._ring)

    def _ring(self) -> None:
        self._at, self._timer = _NEVER, None
        now = self._clock.monotonic() + 0.001
        silent = self._pulse.weak
        for connection in [one for one in self._asked if one.until <= now]:
            connection.fail(self._dead() if silent else Silent(f"{self.address} did not answer in time"))
        seen, self._seen = self._seen, {(one, one.until) for one in self._asked if one.until < _NEVER}
        if seen & self._seen:
            self._pulse.feel(self._ask_pulse, self._died)
        if self._seen:
            self._set(min(until for _, until in self._seen))

    # -- whether it is alive: who is slow says so, who hangs says nothing

    async def _ask_pulse(self) -> None:
        """Returns when it answered, or hung up. Raises Unreached. Beyond `connections`, which may all be waited for."""
        connection = self._idle.pop() if self._idle and self._idle[-1].usable else await self._connect(2 * _QUIET)
        with suppress(Lost):
            try:
                await connection.ask(_ALIVE)
            finally:
                self.back(connection)

    def _died(self) -> None:
        """It is alive no more: nobody waits for it any longer."""
        for connection in tuple(self._asked):
            if connection.until < _NEVER:
                connection.fail(self._dead())
        self.failed(at_once=True)

    def _dead(self) -> Dead:
        return Dead(f"{self.address} takes what it is asked, and says nothing")

    def leave(self) -> None:
        """It is asked no more: connections are closed, each with its last answer."""
        self._leaves = True
        for connection in tuple(self._idle):
            connection.fail(Lost("it is asked no more"))

    def close(self) -> None:
        """Hang up at once."""
        self._pulse.stop()
        if self._timer is not None:
            self._timer.cancel()
        for connection in (*self._idle, *self._asked):
            connection.fail(Lost("the link was closed"))
        self._line = 0
        self._next_in_line()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return self._open

    @property
    def waiting(self) -> int:
        """How many calls wait for one."""
        return len(self._waiting)

    def statistics(self) -> dict[str, int | bool]:
        """How it is."""
        return {"open": self._open, "busy": self.busy, "waiting": self.waiting, "well": self.well}

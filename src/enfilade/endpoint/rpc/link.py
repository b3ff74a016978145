"""A link to a peer process: its replicas, what is asked again, and when nobody is asked.

What did not run is asked elsewhere, or again. What may have run is asked again only where that does no harm: queries,
commands under a key, and those that are the same when done twice; and only as a share of all calls, so that a peer in
trouble does not get more of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from random import Random
from types import TracebackType
from typing import Final, NoReturn, Self, TypeVar

from enfilade.call import Call
from enfilade.clock import Clock, SystemClock
from enfilade.endpoint.rpc.agree import Incompatible
from enfilade.endpoint.rpc.connection import Lost
from enfilade.endpoint.rpc.dial import Tls, Unreached
from enfilade.endpoint.rpc.messages import Format
from enfilade.endpoint.rpc.replica import Dead, Replica, Silent, Tally
from enfilade.errors import Overloaded, Unavailable
from enfilade.trace.metrics import Metrics

R = TypeVar("R")

_SHARE: Final = 0.2
"""Second tries for each call, in the long run."""
_TRIES: Final = 3
_PAUSE: Final = 0.01
"""Seconds before the second try; each pause is twice as long as the one before."""
_LONGEST: Final = 0.25
"""Seconds of the longest pause."""


class Link:
    """The way to a process, by one address or several of its replicas.

        async with Link("unix:/run/shop/catalog.sock") as link:
            handlers = connect(read(Catalog), link)

    `connections` calls are under way at an address, `waiting` more wait for that, others are Overloaded at once.
    `patience` is how long, in seconds, calls wait for a peer that cannot be reached, from when it was first found so:
    long enough for a restart. `limit` is the size of an answer, or of one item of a stream, in bytes. Deadlines are of
    `clock`; `pace` is the time that passes between tries, where that is another one. With a workload as `tls`,
    `https://` addresses have to show that they hold `services`, and are shown what we hold.
    """

    def __init__(
        self,
        *addresses: str,
        format: Format = "msgpack",
        connections: int = 128,
        waiting: int = 128,
        patience: float = 2.0,
        limit: int = 16 * 1024 * 1024,
        tls: Tls = None,
        services: Collection[str] = (),
        clock: Clock | None = None,
        pace: Clock | None = None,
    ) -> None:
        self.format: Format = format
        self.limit = limit
        self._clock = clock or SystemClock()
        self._pace = pace or self._clock
        self._random = Random(self._clock.random.random())  # noqa: S311  (spreads load, keeps no secret)
        self.patience = patience
        self._tally = Tally()
        self._new: Callable[[str], Replica] = lambda address: Replica(
            address,
            self._clock,
            self._pace,
            connections=connections,
            waiting=waiting,
            limit=limit,
            tls=tls,
            services=services,
            tally=self._tally,
        )
        self._replicas: list[Replica] = []
        self._leaving: list[Replica] = []
        """Those that finish what is under way."""
        self._only: Replica | None = None
        self._most = self._saved = float(connections)
        """Second tries that are saved up: as many as there are calls under way when a replica is killed."""
        self._down: float | None = None
        """Since when none of them can be reached."""
        self._again = 0
        self.change(*addresses)

    @property
    def sole(self) -> Replica | None:
        """The one replica there is, where it is well and nothing has to be made good."""
        only = self._only
        return only if only is not None and only.well and self._saved == self._most and self._down is None else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def change(self, *addresses: str) -> None:
        """From now on the replicas are these. What is under way at others is finished there."""
        there = {one.address: one for one in self._replicas}
        wanted = dict.fromkeys(addresses)
        if wanted.keys() - there.keys():
            self._down = None  # what is new has not failed yet
        self._leaving = [one for one in self._leaving if one.busy]
        for replica in self._replicas:
            if replica.address not in wanted:
                replica.leave()
                self._leaving.append(replica)
        self._replicas = [there.get(one) or self._new(one) for one in wanted]
        self._only = self._replicas[0] if len(self._replicas) == 1 else None

    def close(self) -> None:
        """Hang up; what is under way is lost."""
        for replica in (*self._replicas, *self._leaving):
            replica.close()

    def measure(self, metrics: Metrics, process: str) -> None:
        """Let metrics tell of it, by the name of the process that it leads to."""

        read, to = metrics.read, {"process": process}
        asked = metrics.counter("enfilade_link_requests_total", "Calls asked of a process, each try by itself.", **to)
        again = metrics.counter("enfilade_link_retries_total", "Calls that a process was asked once more.", **to)
        rests = metrics.counter("enfilade_link_rests_total", "Times that an address was not asked for a while.", **to)
        there = metrics.gauge("enfilade_link_connections", "Open connections to a process.", **to)
        waits = metrics.gauge("enfilade_link_waiting", "Calls that wait for a connection to a process.", **to)
        read(asked, lambda: self._tally.asked)
        read(again, lambda: self._again)
        read(rests, lambda: self._tally.rests)
        read(there, lambda: sum(one.open for one in (*self._replicas, *self._leaving)))
        read(waits, lambda: sum(one.waiting for one in (*self._replicas, *self._leaving)))

    def statistics(self) -> dict[str, object]:
        """How it is: each replica by its address, and how many calls were tried again."""
        return {**{one.address: one.statistics() for one in self._replicas}, "tried again": self._again}

    async def through(
        self,
        call: Call,
        work: Callable[[Replica], Awaitable[R]],
        *,
        again: bool = True,
        failed: tuple[Replica, Unavailable] | None = None,
    ) -> R:
        """Let a replica do the work of a call, and others where it does not and they may. Raises what the last did.

        `again` is False for work that cannot be begun anew; `failed` is what became of a first try.
        """
        self._saved = min(self._saved + _SHARE, self._most)
        tries, pause = 1, _PAUSE
        begun = self._failed(*failed) if failed is not None else self._ask(self._choose(call), work)
        while True:
            try:
                made = await begun
            except Incompatible:
                if self._other(call) is None:
                    raise
            except Unreached:
                if call.remaining <= pause or not self._waits():
                    raise
            except Unavailable as error:
                if not (again and tries < _TRIES and call.remaining > pause and self._may_again(call, error)):
                    raise
                tries += 1
            else:
                self._down = None
                return made
            replica = self._other(call) if tries == 1 else None
            if replica is None:
                await self._pace.sleep(pause * (0.5 + self._random.random() / 2))
                pause = min(pause * 2, _LONGEST)
                replica = self._choose(call)
            begun = self._ask(replica, work)

    async def _ask(self, replica: Replica | None, work: Callable[[Replica], Awaitable[R]]) -> R:
        if replica is None:
            names = ", ".join(one.address for one in self._replicas)
            raise Unreached(f"{names} did not answer, and has a rest" if names else "there is no replica of it")
        tries = not replica.well
        if tries:
            replica.tried(begins=True)
        try:
            made = await work(replica)
        except Exception as error:
            _note(replica, error, tries)
            raise
        finally:
            if tries:
                replica.tried(begins=False)
        replica.answered()
        return made

    async def _failed(self, replica: Replica, error: Unavailable) -> NoReturn:
        _note(replica, error, tried=False)
        raise error

    def _choose(self, call: Call) -> Replica | None:
        """The one with less to do of two that may be asked; None where none may."""
        if self._only is not None:
            return self._only if self._only.admits() else None
        fit = [one for one in self._replicas if one.admits() and call.operation.id not in one.refused]
        if not fit:
            fit = [one for one in self._replicas if one.admits()]
        if len(fit) < 2:
            return fit[0] if fit else None
        one, other = self._random.sample(fit, 2)
        return one if one.busy <= other.busy else other

    def _other(self, call: Call) -> Replica | None:
        """One that is well and can be used."""
        fit = [one for one in self._replicas if one.well and call.operation.id not in one.refused]
        return self._random.choice(fit) if fit else None

    def _waits(self) -> bool:
        """Whether it is still worth waiting for a peer that cannot be reached."""
        now = self._pace.monotonic()
        if self._down is None:
            self._down = now
        return now - self._down < self.patience

    def _may_again(self, call: Call, error: Unavailable) -> bool:
        """Whether a call may be made once more: it did not run, or that does no harm; and there are tries to spend."""
        # What a peer tells of others that did not answer it has tried again itself.
        harmless = call.operation.kind == "query" or call.operation.idempotent or bool(call.key)
        if self._saved < 1 or not (isinstance(error, Overloaded) or (isinstance(error, Lost) and harmless)):
            return False
        if isinstance(error, Dead) and self._other(call) is None:
            return False  # it has waited long enough
        self._saved -= 1
        self._again += 1
        return True


def _note(replica: Replica, error: Exception, tried: bool) -> None:
    """What an error says of a replica."""
    if isinstance(error, Unreached):
        replica.failed(at_once=True, tried=tried)
    elif isinstance(error, (Lost, Silent)):
        replica.failed(tried=tried)
    elif not isinstance(error, Overloaded):  # an answer all the same
        replica.answered()

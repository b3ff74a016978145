"""Events between processes, where no broker carries them: by the same way as calls.

The process of the service that says an event hands it to each process that hears it, and has it again until all of them
took it. So nothing is lost while one of them is down; what comes twice, its inbox knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from enfilade.call import Call, Handler
from enfilade.clock import Clock
from enfilade.contract.declare import command, contract
from enfilade.contract.need import peers
from enfilade.contract.read import read
from enfilade.endpoint.rpc import Link, connect
from enfilade.errors import Forbidden
from enfilade.store.outbox import Entry
from enfilade.store.watch import Watch
from enfilade.topic import Hearer, Local

_PIECE: Final = 512 * 1024
"""Bytes of events that are sent in one message, or one event that is larger."""


@contract(name="enfilade", needs=peers)
class Letters(Protocol):
    @command(body="64MB", timeout=10.0)
    async def take(self, entries: tuple[Entry, ...]) -> None:
        """Take what services of another process have said."""
        ...


LETTERS: Final = read(Letters)
(_TAKE,) = LETTERS.operations


class _Everybody:
    def __contains__(self, _: object) -> bool:
        return True


EVERYBODY: Final = _Everybody()
"""Who may hand events over: any service, and for itself."""


class Between:
    """A transport: to those who hear in this process, and to the others by their links."""

    def __init__(self, others: Mapping[Link, frozenset[str]], clock: Clock) -> None:
        """`others` are the topics that are heard at the end of each link."""
        self.waiting: tuple[str, ...] = ()
        self._here = Local()
        self._clock = clock
        self.change(others)

    def change(self, others: Mapping[Link, frozenset[str]]) -> None:
        """From now on the others are these."""
        self._others = [(connect(LETTERS, link)[_TAKE.id], topics) for link, topics in others.items()]

    def hear(self, hearer: Hearer, watch: Watch) -> None:
        self._here.hear(hearer, watch)

    async def accept(self, entries: Sequence[Entry]) -> None:
        outcomes = await asyncio.gather(
            self._here.accept(entries),
            *(self._send(handler, [one for one in entries if one.topic in topics]) for handler, topics in self._others),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def take(self, call: Call) -> None:
        """The other end: a handler for `LETTERS`. Raises Forbidden where a peer tells what another service said."""
        if any(one.source != call.peer for one in call.arguments["entries"]):
            raise Forbidden(detail=f"{call.peer or 'nobody'} does not tell what others have said.")
        await self._here.accept(call.arguments["entries"])

    async def start(self, *, background: bool = True) -> None: ...

    async def turn(self) -> int:
        return 0

    async def stop(self) -> None: ...

    async def _send(self, handler: Handler, entries: Sequence[Entry]) -> None:
        while entries:
            size, count = 0, 0
            for one in entries:
                size += len(one.body)
                if count and size > _PIECE:
                    break
                count += 1
            arguments: dict[str, Any] = {"entries": tuple(entries[:count])}
            deadline = self._clock.monotonic() + _TAKE.timeout
            await handler(Call(_TAKE, arguments, self._clock, deadline, peer=entries[0].source))
            entries = entries[count:]

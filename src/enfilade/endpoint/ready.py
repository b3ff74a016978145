"""Whether the app is ready that several processes serve: each says what it waits for when another one asks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

from enfilade.call import Call, Handler
from enfilade.clock import Clock
from enfilade.contract.declare import contract, query
from enfilade.contract.need import peers
from enfilade.contract.read import read


@contract(name="enfilade-ready", needs=peers)
class Readiness(Protocol):
    @query(timeout=1.0)
    async def unready(self) -> tuple[str, ...]:
        """What this process waits for."""
        ...


READINESS: Final = read(Readiness)
(UNREADY,) = READINESS.operations


async def unready(others: Mapping[str, Handler], clock: Clock) -> tuple[str, ...]:
    """What other processes wait for, behind their names; of one that does not answer within a second, its name."""

    async def ask(process: str, handler: Handler) -> tuple[str, ...]:
        try:
            found = await handler(Call(UNREADY, {}, clock, clock.monotonic() + UNREADY.timeout))
        except Exception:
            return (process,)
        return tuple(f"{process}: {one}" for one in found)

    answers = await asyncio.gather(*(ask(process, handler) for process, handler in others.items()))
    return tuple(one for answer in answers for one in answer)

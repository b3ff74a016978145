"""Runs the processes of a plan: in their order, until it is told to stop, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Final

from enfilade.clock import Clock, SystemClock
from enfilade.errors import Finding, StartError
from enfilade.plan.child import Child, Patience, Program
from enfilade.plan.nursery import Nursery
from enfilade.plan.output import Output

_AT_ONCE: Final = 4
"""Processes that start at the same time: more only wait for one another's processor."""


class Stopped(Exception):
    """It was told to stop before all was ready."""


class Supervisor:
    """Children, by stages: each stage is started when the one before it is ready, and stopped before it.

    async with Supervisor(output).running([[database], services, [front]]) as children:
        await stop.wait()
    """

    def __init__(
        self,
        output: Output,
        *,
        clock: Clock | None = None,
        patience: Patience | None = None,
        nursery: Nursery | None = None,
    ) -> None:
        self._stages: list[list[Child]] = []
        self._output = output
        self._clock = clock or SystemClock()
        self._patience = patience or Patience()
        self._nursery = nursery

    @asynccontextmanager
    async def running(
        self, stages: Sequence[Sequence[Program]], stop: asyncio.Event | None = None
    ) -> AsyncGenerator[list[Child]]:
        """Start all, and stop all at the end. Raises StartError where one does not get ready, and
        Stopped where `stop` is set before all are."""
        try:
            for stage in stages:
                children = [self._child(one) for one in stage]
                self._stages.append(children)
                await _unless(stop, self._start(children))
            yield self.children
        finally:
            for children in reversed(self._stages):
                await asyncio.gather(*(one.stop() for one in children))

    @property
    def children(self) -> list[Child]:
        """All that are there now."""
        return [one for stage in self._stages for one in stage]

    async def add(self, programs: Sequence[Program], beside: str) -> None:
        """Start more of them, in the stage of the child of that name. Raises StartError where one does not get ready,
        and leaves none of them then."""
        stage = next(stage for stage in self._stages if any(one.name == beside for one in stage))
        children = [self._child(one) for one in programs]
        stage += children
        try:
            await self._start(children)
        except BaseException:
            await asyncio.gather(*(self._gone(one, one.stop()) for one in children))
            raise

    async def tell(self, revision: int) -> list[str]:
        """Have all go by this revision of the plan in force; the names of those that did not say that they do."""
        children = self.children
        took = await asyncio.gather(*(one.take(revision) for one in children))
        return [one.name for one, does in zip(children, took, strict=True) if not does]

    async def leave(self, names: Collection[str]) -> None:
        """Let these finish what they do, and end: nobody asks them any more."""
        await asyncio.gather(*(self._gone(one, one.leave()) for one in self.children if one.name in names))

    def kill(self) -> None:
        """End all at once: for those who do not want to wait any more."""
        for child in self.children:
            child.kill()

    def _child(self, program: Program) -> Child:
        return Child(program, self._output, self._clock, self._patience, self._nursery)

    async def _gone(self, child: Child, ending: Coroutine[None, None, None]) -> None:
        await ending
        for stage in self._stages:
            if child in stage:
                stage.remove(child)

    async def _start(self, children: Sequence[Child]) -> None:
        room = asyncio.Semaphore(_AT_ONCE)
        failed: list[Finding] = []

        async def start(child: Child) -> None:
            async with room:
                if failed:
                    return
                began = self._clock.monotonic()
                if said := await child.start():
                    remedy = "What it wrote before says why." if child.said else "Try its command by itself."
                    failed.append(Finding(f"process {child.name}", f"it {said}.", remedy, "plan"))
                else:
                    self._output.tell(f"{child.name} is ready after {self._clock.monotonic() - began:.1f} s")

        await asyncio.gather(*(start(one) for one in children))
        if failed:
            raise StartError(failed)


async def _unless(stop: asyncio.Event | None, work: Coroutine[None, None, None]) -> None:
    """Do it, unless it is told to stop before it is done: then Stopped is raised."""
    task = asyncio.create_task(work)
    told = asyncio.create_task(asyncio.Event().wait() if stop is None else stop.wait())
    try:
        await asyncio.wait([task, told], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Stopped
        await task
    finally:
        for one in (task, told):
            one.cancel()
        await asyncio.wait([task, told])

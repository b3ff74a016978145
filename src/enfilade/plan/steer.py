"""Brings changes of the plan in force about, one at a time, and tells how each goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import msgspec

from enfilade.contract.blob import Stream
from enfilade.errors import StartError
from enfilade.plan.change import scaled, unit
from enfilade.plan.child import Program
from enfilade.plan.control import Control, Difference, Progress, Unchanged
from enfilade.plan.force import Changes, Force
from enfilade.plan.output import Output
from enfilade.plan.shown import facts_of
from enfilade.plan.supervisor import Supervisor
from enfilade.plan.survey import Plan

Programs: TypeAlias = Callable[[Plan, str], Sequence[Program]]
"""The replicas of a process of a plan."""
Tell: TypeAlias = Callable[[Progress], None]


class Steering(Control):
    """The control of one supervisor."""

    def __init__(self, force: Force, supervisor: Supervisor, programs: Programs, output: Output) -> None:
        self._force = force
        self._supervisor = supervisor
        self._programs = programs
        self._output = output
        self._changing: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        """At the end a change that is under way is given up, for all ends."""
        try:
            yield
        finally:
            if self._changing is not None:
                self._changing.cancel()
                await asyncio.wait([self._changing])

    async def plan(self) -> str:
        return msgspec.json.encode(self._force.plan).decode()

    async def scale(self, replicas: Mapping[str, int], dry_run: bool = False) -> Stream[Progress]:
        plan, counts = self._force.plan, dict[str, int]()
        for said, count in replicas.items():
            name = self._unit(said)
            if count < 1:
                raise Unchanged(detail=f"{name} needs one replica at least.")
            if count > 1 and (kept := self._in_memory(name)):
                raise Unchanged(detail=f"{kept} keeps its rows in the memory of one process.")
            plan = scaled(plan, name, count)
            counts[self._force.first(name)] = count

        async def work(tell: Tell, _: asyncio.Event) -> None:
            await self._bring(plan)
            changes = self._force.changes
            self._force.keep(Changes(replicas={**changes.replicas, **counts}, versions=changes.versions))
            for name, count in counts.items():
                tell(Progress(text=f"{name} has {count} replica{'s' if count > 1 else ''}."))

        async for one in self._change(plan, work, dry_run):
            yield one

    # -- one change

    async def _change(
        self, plan: Plan, work: Callable[[Tell, asyncio.Event], Coroutine[None, None, None]], dry_run: bool
    ) -> AsyncGenerator[Progress]:
        """Tell what changes; then do it, and tell what it tells. Its event is set when nobody listens any more."""
        if self._changing is not None and not self._changing.done():
            raise Unchanged(detail="another change is under way: try again when it is done.")
        differences = _differences(self._force.plan, plan)
        if dry_run or not differences:
            yield Progress(differences=differences, text="" if differences else "Nothing changes.")
            return
        told: asyncio.Queue[Progress | None] = asyncio.Queue()
        given_up = asyncio.Event()

        def tell(one: Progress) -> None:
            self._output.tell(one.text, wrong=one.wrong)
            told.put_nowait(one)

        async def change() -> None:
            try:
                await work(tell, given_up)
            except StartError as wrong:
                self._output.tell(str(wrong), wrong=True)
                raise Unchanged(detail=str(wrong)) from wrong
            finally:
                told.put_nowait(None)

        changing = self._changing = asyncio.create_task(change(), name="change")
        try:
            yield Progress(differences=differences)
            while (one := await told.get()) is not None:
                yield one
        finally:
            given_up.set()
        await changing

    async def _bring(self, plan: Plan) -> None:
        await self._force.bring(plan, self._supervisor, self._programs)

    def _unit(self, said: str) -> str:
        plan = self._force.plan
        name = unit(plan, said)
        if not name or plan.layout.processes[name].command:
            known = ", ".join(one for one, process in plan.layout.processes.items() if not process.command)
            raise Unchanged(detail=f"{said} is no process of services, and no service of one. There are: {known}.")
        return name

    def _in_memory(self, process: str) -> str:
        """A service of a process that keeps rows where no other process finds them; or `""`."""
        plan = self._force.plan
        mine = plan.layout.processes[process].services
        return next((one for one in mine if plan.data.get(one) == "sqlite::memory:"), "")


def _differences(before: Plan, after: Plan) -> tuple[Difference, ...]:
    old, new = facts_of(before), facts_of(after)
    return tuple(
        Difference(what=name, before=was, after=will)
        for name in dict.fromkeys((*old, *new))
        if (was := old.get(name, ("", ""))[0]) != (will := new.get(name, ("", ""))[0])
    )

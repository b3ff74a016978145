"""Brings changes of the plan in force about, one at a time, and tells how each goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import msgspec

from enfilade.contract.blob import Stream
from enfilade.errors import StartError
from enfilade.plan import checkout, hosts
from enfilade.plan.build import ask
from enfilade.plan.change import scaled, unit
from enfilade.plan.child import Program
from enfilade.plan.control import Control, Difference, Progress, Trial, Unchanged
from enfilade.plan.force import Force, Version
from enfilade.plan.output import Output
from enfilade.plan.release import Release, Tell
from enfilade.plan.shown import facts_of
from enfilade.plan.supervisor import Supervisor
from enfilade.plan.survey import Plan

Programs: TypeAlias = Callable[[Plan, str], Sequence[Program]]
"""The replicas of a process of a plan."""


class Steering(Control):
    """The control of one supervisor."""

    def __init__(
        self, force: Force, supervisor: Supervisor, programs: Programs, output: Output, said: str | None = None
    ) -> None:
        """`said` is the app, where it was named."""
        self._force = force
        self._supervisor = supervisor
        self._programs = programs
        self._output = output
        self._said = said
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
            changes: Any = self._force.changes
            self._force.keep(msgspec.structs.replace(changes, replicas={**changes.replicas, **counts}))
            for name, count in counts.items():
                tell(Progress(text=f"{name} has {count} replica{'s' if count > 1 else ''}."))

        async for one in self._change(plan, work, dry_run):
            yield one

    async def release(
        self, name: str, code: str, said: str, trial: Trial, dry_run: bool = False, without: tuple[str, ...] = ()
    ) -> Stream[Progress]:
        process = self._unit(name)
        async for one in self._exchange(process, Version(process="", code=code, said=said), trial, dry_run, without):
            yield one

    async def rollback(self, name: str, dry_run: bool = False, without: tuple[str, ...] = ()) -> Stream[Progress]:
        process = self._unit(name)
        versions = self._force.changes.versions.get(self._force.first(process), ())
        if len(versions) < 2:
            raise Unchanged(detail=f"{process} has no version before.")
        async for one in self._exchange(
            process, versions[-2], Trial(steps=(100.0,), watch=0.0), dry_run, without, True
        ):
            yield one

    async def _exchange(
        self,
        process: str,
        version: Version,
        trial: Trial,
        dry_run: bool,
        without: Collection[str],
        back: bool = False,
    ) -> AsyncGenerator[Progress]:
        """Another version in the place of a process; `back` where it is the one before."""
        if kept := self._in_memory(process):
            raise Unchanged(detail=f"{kept} keeps its rows in the memory of one process, where no other finds them.")
        release = Release(self._force, self._supervisor, process, version, back=back)
        try:
            build = await ask(version.code, self._said, self._force.plan)
            await release.check(build, without)
            release.begun = release.begun or await self._begun(process)
        except StartError as wrong:
            raise Unchanged(detail=str(wrong)) from wrong

        async def work(tell: Tell, given_up: asyncio.Event) -> None:
            await release.run(trial, self._bring, tell, given_up)

        async for one in self._change(release.after, work, dry_run, release.title(trial)):
            yield one

    async def _begun(self, process: str) -> str:
        """Where the code of the working folder is for good, as it was at the start; `""` where it is only there."""
        force, folder = self._force, self._force.plan.folder
        if not force.commit or force.first(process) in force.changes.versions:
            return ""
        try:
            code = str(await asyncio.to_thread(checkout.code, force.commit, folder, "HEAD"))
            await ask(code, self._said, force.plan)
        except StartError as wrong:
            what = f"the version before will be the working folder: without what is there beside {force.commit},"
            self._output.tell(f"{what} {wrong.findings[0].what}", wrong=True)
            return ""
        return code

    # -- one change

    async def _change(
        self,
        plan: Plan,
        work: Callable[[Tell, asyncio.Event], Coroutine[None, None, None]],
        dry_run: bool,
        title: str = "",
    ) -> AsyncGenerator[Progress]:
        """Tell what changes; then do it, and tell what it tells. Its event is set when nobody listens any more."""
        if self._changing is not None and not self._changing.done():
            raise Unchanged(detail="another change is under way: try again when it is done.")
        differences = _differences(self._force.plan, plan)
        if dry_run or not differences:
            yield Progress(differences=differences, text=title if differences else "Nothing changes.")
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
            yield Progress(differences=differences, text=title)
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
        ours = [one for one, process in plan.layout.processes.items() if process.services or process.front]
        if name not in ours:
            known = ", ".join(ours)
            raise Unchanged(detail=f"{said} is no process of services, and no service of one. There are: {known}.")
        if not hosts.here(plan, name):
            raise Unchanged(detail=f"{name} runs on another host, and is changed there.")
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

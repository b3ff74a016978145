"""A new version beside the old one: checked, started, given more and more of the calls, and watched meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, TypeAlias, cast

import msgspec

from enfilade.clock import SystemClock
from enfilade.contract.compare import Talk
from enfilade.errors import Finding, StartError
from enfilade.plan import gate
from enfilade.plan.build import Build
from enfilade.plan.change import following, joined, shared, succeeded
from enfilade.plan.control import Progress, Trial, Unchanged
from enfilade.plan.force import Changes, Force, Version
from enfilade.plan.sockets import address_of
from enfilade.plan.supervisor import Supervisor
from enfilade.plan.survey import Plan
from enfilade.plan.watch import Watch, failing, slower

_LOOK: Final = 0.5
"""Seconds between two looks at what was counted."""
_ALONE: Final = 4.0
"""Times as long as calls may take where there are none of the old version in the same time, but only before."""

Tell: TypeAlias = Callable[[Progress], None]


class Release:
    """One version of a process in the place of another."""

    def __init__(
        self, force: Force, supervisor: Supervisor, process: str, version: Version, *, back: bool = False
    ) -> None:
        """`back` says that it is the version before."""
        self._force = force
        self._supervisor = supervisor
        self._old = process
        self._new = following(process)
        self._version = version
        self._back = back
        self._before = force.plan
        self._clock = SystemClock()
        self._services = self._before.layout.processes[process].services
        self.begun = self._before.layout.processes[process].from_
        """Where the code of the version is that was there first."""
        self.after = self._before
        """The plan in force when all went well; known when the build is."""

    async def check(self, build: Build, without: Collection[str]) -> None:
        """Whether the build gets on with all that runs, but for those `without` whom it goes where they do not answer.

        Raises StartError with who would break, and why.
        """
        plan = self._before
        running = await gate.running(plan, self._old, without, self._clock)
        remedy = "Let it serve and say what they know as well, or release them first."
        where = self._version.code or "the working folder"
        found = gate.broken(plan, self._old, build, running, self._force.changes.said)
        if wrong := [Finding(where, f"{one}.", remedy, "release") for one in found]:
            raise StartError(wrong)
        self._talk = running.get(self._old, gate.Running()).talk, build.talk
        services = {name: build.plan.services[name] for name in self._services}
        self._version = cast(
            "Version", msgspec.structs.replace(cast("Any", self._version), process=self._new, services=services)
        )
        self._joined = joined(plan, self._old, self._new, self._version.code, services)
        self.after = succeeded(self._joined, self._old, self._new, services)

    def title(self, trial: Trial) -> str:
        """What will happen, for people."""
        several = f" It has {' and '.join(self._services)}: all of them change." if len(self._services) > 1 else ""
        steps = ", ".join(f"{share:g} %" for share in trial.steps)
        watched = f", each watched for {trial.watch:g} s" if trial.watch else ""
        return f"{self._new} gets {steps} of the calls of {self._old}{watched}.{several}"

    async def run(
        self, trial: Trial, bring: Callable[[Plan], Awaitable[None]], tell: Tell, given_up: asyncio.Event
    ) -> None:
        """Bring it about. Raises StartError where it does not start, and Unchanged where it does worse."""
        whole = Watch(self._services, self._clock)
        await whole.begin(self._addresses(self._old))
        for share in trial.steps:
            await bring(shared(self._joined, self._new, share))
            tell(Progress(text=f"{self._new} has {share:g} % of the calls."))
            if why := await self._watched(whole, trial.watch, tell, given_up):
                tell(Progress(text=f"{self._new} goes: {why}. All calls go to {self._old} again.", wrong=True))
                await bring(self._before)
                self._force.keep(self._changes(*reversed(self._talk)))
                raise Unchanged(detail=f"{self._new} was rolled back: {why}.")
        await bring(self.after)
        self._force.keep(msgspec.structs.replace(cast("Any", self._changes(*self._talk)), versions=self._versions()))
        tell(Progress(text=f"{self._new} is in force, and {self._old} has ended."))

    async def _watched(self, whole: Watch, seconds: float, tell: Tell, given_up: asyncio.Event) -> str:
        """Why the new version is not to go on; `""` where it is. `whole` counts since it came."""
        mine, theirs = self._addresses(self._new), self._addresses(self._old)
        until, step = self._clock.monotonic() + seconds, Watch(self._services, self._clock)
        await step.begin([*mine, *theirs])
        while True:
            if given_up.is_set():
                return "nobody waits for it any more"
            for child in self._supervisor.children:
                if child.name.partition("@")[0] == self._new and child.ended:
                    return f"{child.name} ended by itself"
            new, old = await whole.seen(mine), await whole.seen(theirs)
            now, beside = await step.seen(mine), await step.seen(theirs)
            if why := failing(new, old) or (slower(now, beside) if beside.calls else slower(now, old, _ALONE)):
                return why
            left = until - self._clock.monotonic()
            if left <= 0:
                if seconds:
                    tell(Progress(text=f"{self._new}: {new}. {self._old}: {old}."))
                return ""
            await self._clock.sleep(min(left, _LOOK))

    def _addresses(self, process: str) -> list[str]:
        replicas = self._before.layout.processes[self._old].replicas
        return [address_of(self._before.folder, process, one + 1) for one in range(replicas)]

    def _changes(self, gone: Mapping[str, Talk], stays: Mapping[str, Talk]) -> Changes:
        """With what the version that goes said otherwise than the one that stays."""
        changes = self._force.changes
        now = self._clock.now()
        events = gate.kept(changes.said, gate.said(gone, stays, self._services, now), now)
        return cast("Changes", msgspec.structs.replace(cast("Any", changes), said=events))

    def _versions(self) -> Mapping[str, tuple[Version, ...]]:
        first = self._force.first(self._old)
        versions = self._force.changes.versions.get(first, ())
        if self._back:
            versions = (*versions[:-2], self._version)
        else:
            known = {name: self._before.services[name] for name in self._services}
            begun = Version(process=self._old, code=self.begun, said=self.begun, services=known)
            versions = (*(versions or (begun,)), self._version)
        return {**self._force.changes.versions, first: versions}

"""The plan in force: the plan that was started, and what was changed since.

Changes are written down in the folder, so that a supervisor that starts again begins with them. A change is brought
about without a lost request: what is new is started, then all are told, and only when all go by it does end what is no
longer named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from enfilade.contract.message import Message
from enfilade.errors import Finding, StartError
from enfilade.plan import share
from enfilade.plan.change import joined, scaled, succeeded
from enfilade.plan.child import Program
from enfilade.plan.output import Output
from enfilade.plan.survey import Known, Plan
from enfilade.secrets.kept import write


class Version(Message):
    """A version of the services of a process."""

    process: str
    """What it runs as: `payments.2`."""
    code: str = ""
    """The folder of its code; `""` is the working folder."""
    said: str = ""
    """What the operator called it, or the commit that the plan began with; `""` is the working folder."""
    services: Mapping[str, Known] = {}
    """What its services are to the others, by their names."""


class Said(Message):
    """What an event was, as a version said it that is gone: some may lie unheard."""

    service: str
    event: str
    told: dict[str, Any]
    """As `compare.talk` tells it."""
    until: datetime


class Changes(Message):
    """What was changed of a plan."""

    replicas: Mapping[str, int] = {}
    """By the name of a process, as the plan has it."""
    versions: Mapping[str, tuple[Version, ...]] = {}
    """By the name of a process, as the plan has it: those that it had, the last of which is in force."""
    said: tuple[Said, ...] = ()


class Children(Protocol):
    """What the supervisor does for it."""

    async def add(self, programs: Sequence[Program], beside: str) -> None: ...

    async def tell(self, revision: int) -> list[str]: ...

    async def leave(self, names: Collection[str]) -> None: ...


class Force:
    """The plan in force."""

    def __init__(self, base: Plan, over: Mapping[str, Any], run: Path, output: Output, commit: str = "") -> None:
        """`over` is what the plan says over enfilade.toml, `run` the folder where the processes meet, `commit` that
        which is the working folder's code."""
        self.base = base
        self.commit = commit
        self.revision = 0
        self._over = over
        self._run = run
        self._file = run.parent / "changes.json"
        self._output = output
        self.changes = self._kept().get(base.layout.name, Changes())
        self.plan = self._laid()
        self._write(self.plan)

    async def bring(self, plan: Plan, children: Children, programs: Callable[[Plan, str], Sequence[Program]]) -> None:
        """From the plan in force to another one; `programs` are the replicas of a process of a plan.

        Raises StartError where something does not start; then all is as before.
        """
        before, self.plan = self.plan, plan
        old, new = ({name: programs(one, name) for name in one.layout.processes} for one in (before, plan))
        there = {one.name for some in old.values() for one in some}
        wanted = {one.name for some in new.values() for one in some}
        self._write(plan)
        try:
            for name, some in new.items():
                if fresh := [one for one in some if one.name not in there]:
                    await children.add(fresh, name if name in old else _beside(before, plan, name))
        except BaseException:
            self.plan = before
            self._write(before)
            await asyncio.shield(children.tell(self.revision))  # one that started meanwhile has read the other
            raise
        if late := await children.tell(self.revision):
            self._output.tell(f"{', '.join(late)} did not say that the change is known there", wrong=True)
        await children.leave(there - wanted)

    def first(self, process: str) -> str:
        """What the plan calls a process that has another name since it was released."""
        versions = self.changes.versions.items()
        return next((name for name, some in versions if some[-1].process == process), process)

    def keep(self, changes: Changes) -> None:
        """Write down what was changed."""
        self.changes = changes
        all = {**self._kept(), self.base.layout.name: changes}
        write(self._file, msgspec.json.format(msgspec.json.encode(all)))

    def _kept(self) -> dict[str, Changes]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, Changes])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as wrong:
            remedy = "Mend it, or remove it: then the plan holds as it is written."
            raise StartError([Finding(str(self._file), f"this cannot be read: {wrong}.", remedy, "plan")]) from wrong

    def _write(self, plan: Plan) -> None:
        self.revision += 1
        share.write(share.Told(plan=plan, over=self._over, revision=self.revision), self._run)

    def _laid(self) -> Plan:
        """The plan with the changes. What is no longer in it is passed over, and told."""
        plan = self.base
        for name, count in self.changes.replicas.items():
            if name in plan.layout.processes:
                plan = scaled(plan, name, count)
            else:
                self._output.tell(f"{name} was scaled to {count}, and is not in the plan any more", wrong=True)
        for name, versions in self.changes.versions.items():
            version = versions[-1]
            if name not in plan.layout.processes or set(version.services) != set(plan.layout.processes[name].services):
                what = f"{name} runs as the plan says: what was released to {version.said} are other services"
                self._output.tell(what, wrong=True)
            elif version.process != name:
                plan = joined(plan, name, version.process, version.code, version.services)
                plan = succeeded(plan, name, version.process, version.services)
        return plan


def _beside(before: Plan, plan: Plan, name: str) -> str:
    """A process that is there already, in whose stage another one starts."""
    new = plan.layout.processes[name]
    return before.layout.front if new.front or not new.services else before.layout.of(new.services[0])

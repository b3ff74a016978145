"""The run: everybody at every door, then a story that others repeat."""

from __future__ import annotations

import copy
import logging
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec

from enfilade.app import App
from enfilade.call import Principal
from enfilade.contract.need import AnyOf, Anyone, AnyTenant, Need, OwnerNeed, Scope, outside, parts
from enfilade.contract.operation import Operation
from enfilade.errors import Finding
from enfilade.govern.access.callers import Someone, crowd, expected
from enfilade.govern.access.doors import Door, InProcess, Outcome, OverHttp
from enfilade.govern.access.story import Telling, Told, ids_in, instead, made_up, named, refers
from enfilade.testing import Caller, Stage

Story: TypeAlias = Callable[[Stage, Caller], Awaitable[None]]
"""Uses the app as somebody would, by the caller it is given: `async def story(stage, ann)`."""

ANN: Final = "ann"
_STATUS: Final = {"out": (401, 403), "absent": (404,)}


@dataclass
class Matrix:
    """What came of it."""

    operations: int = 0
    callers: int = 0
    calls: int = 0
    """Calls that were made, through both doors."""
    told: int = 0
    """Calls of the story that others repeated."""
    shared: set[str] = field(default_factory=set[str])
    """Operations by which others of her tenant reach what is the teller's: by contract, and worth a look."""
    untold: set[str] = field(default_factory=set[str])
    """Operations that name an object and do not occur in the story."""
    findings: list[Finding] = field(default_factory=list[Finding])


async def examine(app: App, story: Story | None = None, *, stage: Callable[[App], Stage] = Stage) -> Matrix:
    """Start the app on stores in memory, and try everybody at every operation; `stage` may put fakes beside it."""
    matrix = Matrix()
    telling = Telling(ANN)
    # One that is like it, with a station that notes what is told.
    noted = copy.copy(app)
    noted.stations = (*app.stations, telling.station)
    async with stage(noted) as running:
        with _quiet():
            run = _Run(matrix, running, (InProcess(running), OverHttp(running)))
            await run.functions()
    if story is not None:
        telling.calls.clear()
        async with stage(noted) as running:
            with _quiet():
                await _Run(matrix, running, (InProcess(running), OverHttp(running))).objects(story, telling)
    return matrix


class _Run:
    def __init__(self, matrix: Matrix, stage: Stage, doors: Sequence[Door]) -> None:
        self._matrix = matrix
        self._stage = stage
        self._doors = doors
        services = stage.running.placement.services.values()
        self._operations = [one for placed in services for one in placed.contract.operations]

    async def functions(self) -> None:
        now = self._stage.clock.now().timestamp()
        people = crowd(self._operations, now)
        self._matrix.operations, self._matrix.callers = len(self._operations), len(people)
        for operation in self._operations:
            for door in self._doors:
                for someone in people if door.has(operation) else ():
                    await self._knock(door, operation, someone, now)

    async def _knock(self, door: Door, operation: Operation, someone: Someone, now: float) -> None:
        says = expected(operation.needs, someone.principal, now)
        if says == "either" or (says == "in" and isinstance(door, InProcess)):
            return  # what is asked with nothing would only show that the service cannot do with nothing
        got = (await self._counted(door.knock(operation, someone.principal))).status
        who = f"{someone.label}, {door.name}"
        if says == "in" and got in (401, 403):
            self._find(operation, "kept-out", f"keeps out {who} ({got}), who has what it needs: {operation.needs}.")
        elif says != "in" and got not in _STATUS[says]:
            self._find(operation, "let-in", f"lets in {who} ({got}), who lacks what it needs: {operation.needs}.")

    async def objects(self, story: Story, telling: Telling) -> None:
        """Ann tells her story; nobody, her neighbour and somebody of another tenant repeat it."""
        ann = self._person(ANN)
        await story(self._stage, Caller(self._stage, ann))
        await self._stage.settle()
        calls = _distinct(telling.calls)
        self._matrix.told = len(calls)
        names = {one.operation.id for one in calls}
        self._matrix.untold = {
            one.id for one in self._operations if one.method and one.id not in names and _names_an_object(one)
        }
        hers = await self._hers(calls)
        others = (
            (self._person("bob"), "another caller"),
            (self._person("eve", "south"), "a caller of another tenant"),
            (self._person(ANN, "south"), "her namesake of another tenant"),
        )
        before = await self._seen(calls, ann)
        for one in calls:
            for door in self._doors:
                if not door.has(one.operation):
                    continue
                await self._as_nobody(door, one)
                for who, label in others:
                    await self._as_other(door, one, hers, who, label)
        after = await self._seen(calls, ann)
        for one, then, now in zip(calls, before, after, strict=True):
            if one.operation.kind == "query" and then != now:
                self._find(one.operation, "changed", "answers her otherwise after others repeated her calls.")

    async def _hers(self, calls: Sequence[Told]) -> frozenset[str]:
        """The ids of her story that nobody else could know."""
        ids = frozenset(id for one in calls for id in ids_in(one.result))
        public: set[str] = set()
        for one in calls:
            if one.operation.kind == "query" and _public(one.operation.needs) and not refers(one, ids):
                public |= ids_in((await self._called(self._doors[0], one, None)).text)
        return ids - public

    def _person(self, subject: str, tenant: str = "") -> Principal:
        """With every scope that a contract names, and no role."""
        scopes = {part.name for one in self._operations for part in parts(one.needs) if isinstance(part, Scope)}
        now = self._stage.clock.now().timestamp()
        return Principal(subject=subject, tenant=tenant, scopes=frozenset(scopes), authenticated=now)

    async def _seen(self, calls: Sequence[Told], ann: Principal) -> list[Outcome | None]:
        door = self._doors[0]
        return [await self._called(door, one, ann) if one.operation.kind == "query" else None for one in calls]

    async def _as_nobody(self, door: Door, one: Told) -> None:
        if _public(one.operation.needs):
            return
        got = await self._called(door, one, None)
        if got.status not in (401, 404):
            self._find(one.operation, "let-in", f"answers nobody with {got.status}, {door.name}.")

    async def _as_other(self, door: Door, one: Told, hers: frozenset[str], who: Principal, label: str) -> None:
        operation = one.operation
        got = await self._called(door, one, who)
        foreign = who.tenant != ""
        leaked = sorted(ids_in(got.text) & hers) if got.success else []
        reached = got.success and refers(one, hers)
        if reached and operation.kind == "query" and await self._empty(door, one, hers, who, got):
            leaked, reached = sorted({*leaked} - named(one, hers)), False
        if not leaked and not reached:
            return
        if _public(operation.needs) and not foreign:
            return
        if not foreign and not _owners(operation.needs):
            self._matrix.shared.add(operation.id)
        elif reached:
            self._find(operation, "reached", f"gives {label} what is hers ({got.status}), {door.name}.")
        else:
            self._find(operation, "leaked", f"shows {label} her {', '.join(leaked[:3])}, {door.name}.")

    async def _empty(self, door: Door, one: Told, hers: frozenset[str], who: Principal, got: Outcome) -> bool:
        """Whether he is told no more of what is hers than of what nobody has: `[]`, or zero, to any id."""
        ids = {id: made_up(id) for id in named(one, hers)}
        if any(made == id for id, made in ids.items()):
            return False
        other = await self._called(door, instead(one, ids), who)
        text = other.text
        for id, made in ids.items():
            text = text.replace(made, id)
        return (other.status, text) == (got.status, got.text)

    async def _called(self, door: Door, one: Told, who: Principal | None) -> Outcome:
        got = await self._counted(door.call(one.operation, one.arguments, who))
        if got.status == 429:  # the crowd spends what one caller may; an hour later there is room again
            await self._stage.clock.advance(3600.0)
            got = await self._counted(door.call(one.operation, one.arguments, who))
        return got

    async def _counted(self, outcome: Awaitable[Outcome]) -> Outcome:
        self._matrix.calls += 1
        return await outcome

    def _find(self, operation: Operation, rule: str, what: str) -> None:
        remedy = {
            "kept-out": "Look for a station or a rule that refuses more than the contract says.",
            "let-in": "Look for a way to it that passes no guard: a station, a resolver, a mount.",
            "reached": "Say needs=Owner, and mark the row's owner Owned[...]; or compare with current().me.",
            "leaked": "Say needs=Owner, and mark the row's owner Owned[...]; or compare with current().me.",
            "changed": "Find which of the calls changes rows of others; say needs=Owner there.",
        }[rule]
        finding = Finding(operation.where, f"{operation.id} {what}", remedy, rule)
        if finding not in self._matrix.findings:
            self._matrix.findings.append(finding)


def _distinct(calls: Sequence[Told]) -> list[Told]:
    """Each call once, in the order of the story."""
    found: dict[tuple[str, bytes], Told] = {}
    for one in calls:
        found.setdefault((one.operation.id, msgspec.json.encode(one.arguments)), one)
    return list(found.values())


def _names_an_object(operation: Operation) -> bool:
    """Whether somebody outside can name an object to it that is not everybody's."""
    named = any(one.place == "path" for one in operation.parameters)
    return named and outside(operation.needs) is not None and not _public(operation.needs)


def _public(need: Need) -> bool:
    """Whether everybody may call: then what it gives is nobody's secret, unless it crosses tenants."""
    return isinstance(need, Anyone) or (isinstance(need, AnyOf) and any(map(_public, need.needs)))


def _owners(need: Need) -> bool:
    """Whether it is for owners, and for nobody else by another right."""
    return any(isinstance(part, OwnerNeed | AnyTenant) for part in parts(need))


@contextmanager
def _quiet() -> Generator[None]:
    """The platform's own loggers: thousands of refusals are expected here, and tell nothing."""
    log = logging.getLogger("enfilade")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(before)

"""Methods that hear events and methods that run by the clock. The decorators mark them; reading makes sense of it.

@on(OrderPlaced)
async def thank(self, event: OrderPlaced) -> None: ...

@every("1d", at="03:00")
async def close_the_day(self) -> None: ...
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from enfilade.contract.declare import SAID
from enfilade.contract.message import Event, event_name
from enfilade.contract.need import Anyone, AnyTenant, anyone
from enfilade.contract.operation import Operation, Parameter
from enfilade.errors import Finding, StartError
from enfilade.topic.schedule import Schedule

E = TypeVar("E", bound=Event)
S = TypeVar("S")

Where = Literal["fleet", "replica"]

_MARK = "__enfilade_heard__"


@dataclass(frozen=True)
class _On:
    event: type[Event]


@dataclass(frozen=True)
class _Every:
    period: str
    at: str
    where: Where
    needs: Anyone | AnyTenant


@dataclass(frozen=True, kw_only=True)
class Heard:
    """An `@on` method as it was read."""

    name: str
    """The method's name."""
    event: type[Event]
    topic: str
    """The event's name: `orders.OrderPlaced`."""
    parameter: str
    """The name under which the method takes the event."""
    where: str
    """`file:line` of the method."""
    summary: str


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """An `@every` method as it was read."""

    name: str
    """The method's name."""
    schedule: Schedule
    runs: Where
    needs: Anyone | AnyTenant
    """`any_tenant` where it is of all tenants, else of the one without a name."""
    where: str
    """`file:line` of the method."""
    summary: str


def on(
    event: type[E],
) -> Callable[[Callable[[S, E], Coroutine[Any, Any, None]]], Callable[[S, E], Coroutine[Any, Any, None]]]:
    """Hear an event: the method runs for each, once per service, by key in order, again if it fails."""

    def say(method: Callable[[S, E], Coroutine[Any, Any, None]]) -> Callable[[S, E], Coroutine[Any, Any, None]]:
        _mark(method, _On(event))
        return method

    return say


def every(
    period: str, *, at: str = "", where: Where = "fleet", needs: Anyone | AnyTenant = anyone
) -> Callable[[Callable[[S], Coroutine[Any, Any, None]]], Callable[[S], Coroutine[Any, Any, None]]]:
    """Run by the clock: `@every("1h")`, `@every("1d", at="03:00")` (UTC).

    `where="fleet"`: once for all replicas, remembered across restarts; turns that were missed are made up by one.
    `where="replica"`: in each process, as long as it lives; for caches.
    `needs=any_tenant`: it sees the rows of all tenants, and says for whom it does something: `with acting(tenant=...)`.
    """

    def say(method: Callable[[S], Coroutine[Any, Any, None]]) -> Callable[[S], Coroutine[Any, Any, None]]:
        _mark(method, _Every(period, at, where, needs))
        return method

    return say


def handlers_of(service: type) -> tuple[Heard, ...]:
    """The `@on` methods of a service's class, in their order. Raises StartError with all mistakes."""
    findings: list[Finding] = []
    read: list[Heard] = []
    for name, method, marks in _marked(service):
        if isinstance(marks[0], _On):
            wrong = _common_mistakes(service, name, method, marks) or _event_mistakes(name, method, marks[0])
            findings.extend(wrong)
            if not wrong:
                event = marks[0].event
                taken = next(one for one in inspect.signature(method).parameters if one != "self")
                heard = Heard(
                    name=name, event=event, topic=event_name(event), parameter=taken, where=_place(method),
                    summary=_summary(method),
                )  # fmt: skip
                findings.extend(_namesakes(heard, read))
                read.append(heard)
    if findings:
        raise StartError(findings)
    return tuple(read)


def schedules_of(service: type) -> tuple[Scheduled, ...]:
    """The `@every` methods of a service's class, in their order. Raises StartError with all mistakes."""
    findings: list[Finding] = []
    read: list[Scheduled] = []
    for name, method, marks in _marked(service):
        if isinstance(marks[0], _Every):
            wrong = _common_mistakes(service, name, method, marks)
            if not wrong and len(inspect.signature(method).parameters) != 1:
                what = f"{name} runs by the clock and takes more than self."
                wrong = [Finding(_place(method), what, f"Write `async def {name}(self) -> None`.", "handler-signature")]
            findings.extend(wrong)
            try:
                schedule = Schedule.read(marks[0].period, marks[0].at)
            except ValueError as error:
                what = f"{name}: {error}."
                remedy = 'Write it like @every("1h") or @every("1d", at="03:00").'
                findings.append(Finding(_place(method), what, remedy, "schedule"))
                continue
            if not wrong:
                read.append(
                    Scheduled(
                        name=name, schedule=schedule, runs=marks[0].where, needs=marks[0].needs, where=_place(method),
                        summary=_summary(method),
                    )
                )  # fmt: skip
    if findings:
        raise StartError(findings)
    return tuple(read)


def operation_for(handler: Heard | Scheduled, service: str, *, timeout: float = 30.0) -> Operation:
    """The operation that a handler is to the row: a command of its service, called by the one that said the event.

    It needs nobody because nobody can call it: it is in no contract and has no route.
    """
    parameters: tuple[Parameter, ...] = ()
    if isinstance(handler, Heard):
        name = handler.parameter
        parameters = (Parameter(name=name, wire=name, type=handler.event, place="body"),)
    needs = handler.needs if isinstance(handler, Scheduled) else anyone
    request = msgspec.defstruct(
        f"{handler.name}_request", [(one.name, one.type) for one in parameters], frozen=True, kw_only=True
    )
    return Operation(
        id=f"{service}.{handler.name}", service=service, name=handler.name, kind="command", summary=handler.summary,
        description="", method="", path="", parameters=parameters, defaults={}, request=request, result=types.NoneType,
        style="nothing", returns="", status=204, raises=(), needs=needs, rates=(), timeout=timeout, idle=timeout,
        body_limit=0, idempotent=True, deprecated=None, level=None, names="snake", where=handler.where,
    )  # fmt: skip


def _mark(method: Callable[..., Any], said: _On | _Every) -> None:
    setattr(method, _MARK, (*getattr(method, _MARK, ()), said))


def _marked(service: type) -> Iterator[tuple[str, Callable[..., Any], tuple[_On | _Every, ...]]]:
    names = dict.fromkeys(name for one in reversed(service.__mro__) for name in vars(one))
    for name in names:
        member = inspect.getattr_static(service, name)
        if marks := cast("tuple[_On | _Every, ...]", getattr(member, _MARK, ())):
            yield name, inspect.unwrap(cast("Callable[..., Any]", member)), marks


def _common_mistakes(
    service: type, name: str, method: Callable[..., Any], marks: tuple[_On | _Every, ...]
) -> list[Finding]:
    where = _place(method)
    findings: list[Finding] = []
    if len(marks) > 1:
        what = f"{name} is marked more than once by @on or @every."
        findings.append(Finding(where, what, "Write one method for each, that call a common one.", "handler-duplicate"))
    if any(hasattr(vars(one).get(name), SAID) for one in service.__mro__):
        what = f"{name} is an operation of a contract and a handler too."
        remedy = "Write a handler of another name that calls it: what is called and what hears are guarded differently."
        findings.append(Finding(where, what, remedy, "handler-duplicate"))
    if not inspect.iscoroutinefunction(method):
        findings.append(Finding(where, f"{name} is not async.", f"Write `async def {name}`.", "handler-signature"))
    return findings


def _event_mistakes(name: str, method: Callable[..., Any], said: _On) -> list[Finding]:
    where, event = _place(method), cast("Any", said.event)
    if not (isinstance(event, type) and issubclass(event, Event)):
        what = f"{name} hears {_shown(event)}, which is no Event."
        return [Finding(where, what, "Name a class that inherits Event: @on(OrderPlaced).", "handler-event")]
    remedy = f"Write `async def {name}(self, event: {event.__name__}) -> None`."
    taken = list(inspect.signature(method).parameters)[1:]
    if len(taken) != 1:
        what = f"{name} takes ({', '.join(taken)}), and a handler takes the event alone."
        return [Finding(where, what, remedy, "handler-signature")]
    try:
        hint = get_type_hints(method).get(taken[0])
    except NameError as error:
        return [Finding(where, f"{name}: {error}.", "Import it where the class is run, too.", "handler-signature")]
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if not any(isinstance(kind, type) and issubclass(event, kind) for kind in kinds):
        what = f"{name} hears {event.__name__} and takes {'anything' if hint is None else _shown(hint)}."
        return [Finding(where, what, remedy, "handler-event")]
    return []


def _namesakes(heard: Heard, others: list[Heard]) -> list[Finding]:
    """Two event types of one name would get each other's events."""
    return [
        Finding(
            heard.where,
            f"{heard.name} and {one.name} hear two different events that are both named {heard.topic}.",
            "Rename one of the events, or the folder of its contract.",
            "handler-event",
        )
        for one in others
        if one.topic == heard.topic and one.event is not heard.event
    ]


def _shown(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))


def _summary(method: Callable[..., Any]) -> str:
    return (inspect.getdoc(method) or "").partition("\n")[0]


def _place(method: Callable[..., Any]) -> str:
    return f"{method.__code__.co_filename}:{method.__code__.co_firstlineno}"

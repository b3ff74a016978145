"""How a plan changes: each of these gives another plan, and nothing happens by it yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import msgspec

from enfilade.plan.arrangement import Process
from enfilade.plan.layout import origin as origin
from enfilade.plan.survey import Known, Plan

M = TypeVar("M")


def unit(plan: Plan, said: str) -> str:
    """The process that is meant: by its name, by that which it had at first, or by a service that it has; or `""`."""
    named = [name for name, one in plan.layout.processes.items() if not one.variant and said in (name, origin(name))]
    return next(iter(named), "") or plan.layout.of(said)


def following(process: str) -> str:
    """What the next version of a process is named: `payments.2` after `payments`."""
    number = int(process[len(origin(process)) + 1 :] or 1)
    return f"{origin(process)}.{number + 1}"


def scaled(plan: Plan, process: str, replicas: int) -> Plan:
    """So many of that process."""
    now = _set(plan.layout.processes[process], replicas=replicas)
    return _with(plan, {**plan.layout.processes, process: now}, said={f"process.{process}": "enfilade scale"})


def joined(plan: Plan, process: str, new: str, code: str, known: Mapping[str, Known]) -> Plan:
    """Another version beside a process, which has no share of its calls yet.

    `known` is what the new version is to the other services: who it calls is allowed, and what the old one calls is.
    """
    old = plan.layout.processes[process]
    services = dict(plan.services)
    for name in old.services:
        calls = {*services[name].calls, *(known[name].calls if name in known else ())}
        services[name] = _set(services[name], calls=tuple(sorted(calls)))
    made = _set(old, from_=code, variant=True, share=0.0)
    said = {f"process.{new}{key}": "enfilade release" for key in ("", ".from_", ".share")}
    return _with(plan, {**plan.layout.processes, new: made}, services, said)


def shared(plan: Plan, variant: str, share: float) -> Plan:
    """That share of the calls to a variant, in percent of what other variants leave."""
    services = plan.layout.processes[variant].services
    others = {name for service in services for name in plan.layout.variants(service)} - {variant}
    share *= 1 - sum(plan.layout.processes[one].share for one in others) / 100
    return _with(plan, {**plan.layout.processes, variant: _set(plan.layout.processes[variant], share=share)})


def succeeded(plan: Plan, process: str, new: str, known: Mapping[str, Known] | None = None) -> Plan:
    """The variant in the place of the process beside which it was; `known` is what its services are then."""
    services = dict(plan.services)
    for name in plan.layout.processes[process].services:
        fresh = (known or {}).get(name, services[name])
        services[name] = _set(services[name], process=new, calls=fresh.calls, hears=fresh.hears)
    processes = {
        (new if name == process else name): (
            _set(plan.layout.processes[new], variant=False, share=0.0) if name == process else one
        )
        for name, one in plan.layout.processes.items()
        if name != new
    }
    placed = {f"placed.{name}": "enfilade release" for name in plan.layout.processes[process].services}
    return _with(plan, processes, services, placed)


def _with(
    plan: Plan,
    processes: Mapping[str, Process],
    services: Mapping[str, Known] | None = None,
    said: Mapping[str, str] | None = None,
) -> Plan:
    layout = _set(plan.layout, processes=processes, origin={**plan.layout.origin, **(said or {})})
    return _set(plan, layout=layout, services=services or plan.services)


def _set(value: M, **fields: Any) -> M:
    return msgspec.structs.replace(cast("Any", value), **fields)

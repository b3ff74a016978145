"""Who could not use another version of a process: its contracts and events against those of all that run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from enfilade.clock import Clock
from enfilade.contract.compare import Talk, Told, breaks, unheard
from enfilade.contract.limit import period
from enfilade.contract.message import Message
from enfilade.endpoint.rpc import Link
from enfilade.errors import Finding, Problem, StartError, Unavailable
from enfilade.plan import hosts
from enfilade.plan.build import Build
from enfilade.plan.force import Said
from enfilade.plan.sockets import address_of
from enfilade.plan.survey import Plan
from enfilade.plan.watch import asked


class Running(Message):
    """What a process says of itself."""

    contracts: Mapping[str, dict[str, dict[str, Any]]] = {}
    """By service and operation, what others rely on."""
    talk: Mapping[str, dict[str, dict[str, dict[str, Any]]]] = {}
    """By service that it serves, the events that it says and hears."""


async def running(plan: Plan, process: str, without: Collection[str], clock: Clock) -> dict[str, Running]:
    """What all processes of services say of themselves that can be asked, and the front; those of other hosts are asked
    in the name of `process`. Raises StartError where one does not answer that is not among those `without` whom it
    goes."""
    found: dict[str, Running] = {}
    findings: list[Finding] = []
    for name, one in plan.layout.processes.items():
        if not (one.services or one.front) or not (hosts.here(plan, name) or one.listen):
            continue
        try:
            async with _link(plan, process, name) as link:
                found[name] = await _told_by(link, _speaker(plan, process, name), clock)
        except (Unavailable, Problem) as wrong:
            if name not in without:
                what = f"{_where(plan, name)} does not say what it relies on: {wrong}"
                remedy = f"Try again when it is well. Or go without knowing whether it breaks: --without {name}"
                findings.append(Finding(f"process {name}", what, remedy, "release"))
    if findings:
        raise StartError(findings)
    return found


def _link(plan: Plan, process: str, name: str) -> Link:
    if far := hosts.away(plan, name):
        return Link(far, patience=0.0, tls=hosts.workload(plan, process), services=plan.layout.processes[name].services)
    return Link(address_of(plan.folder, name), patience=0.0)


def _speaker(plan: Plan, process: str, name: str) -> str:
    """The service in whose name a process is asked: to others the certificate of ours says that it is held there."""
    services = plan.layout.processes[process].services
    return services[0] if services and hosts.away(plan, name) else ""


async def _told_by(link: Link, speaker: str, clock: Clock) -> Running:
    contracts, talk = [await asked(link, what, clock, speaker) for what in ("contracts", "talk")]
    return Running(contracts=msgspec.json.decode(contracts), talk=msgspec.json.decode(talk))


def _where(plan: Plan, name: str) -> str:
    return "it" if hosts.here(plan, name) else f"it is on another host, at {plan.layout.processes[name].listen}, and"


def broken(
    plan: Plan, process: str, build: Build, running: Mapping[str, Running], before: Sequence[Said] = ()
) -> Iterator[str]:
    """Who would break if the services of a process came from that build, and why, a line each.

    `running` is what each process has now, by its name; `before` what versions said that are gone.
    """
    for service in plan.layout.processes[process].services:
        if service not in build.contracts:
            yield f"there is no {service} in it"
            continue
        yield from _calls(plan, process, service, build, running)
        yield from _events(service, process, build.talk.get(service, {}), running, before)


def kept(before: Sequence[Said], more: Sequence[Said], now: datetime) -> tuple[Said, ...]:
    """What of this may still lie somewhere: an event is kept for as long as its class says."""
    known = {(one.service, one.event, str(one.told)): one for one in (*before, *more)}
    return tuple(one for one in known.values() if (now - one.until).total_seconds() <= period(one.told["keep"]))


def said(
    gone: Mapping[str, Talk], stays: Mapping[str, Talk], services: Sequence[str], now: datetime
) -> tuple[Said, ...]:
    """What these services said until now otherwise than they will, where what they say changes from `gone`."""
    return tuple(
        Said(service=service, event=event, told=told, until=now)
        for service in services
        for event, told in gone.get(service, {}).get("says", {}).items()
        if stays.get(service, {}).get("says", {}).get(event) != told
    )


def _calls(plan: Plan, process: str, service: str, build: Build, running: Mapping[str, Running]) -> Iterator[str]:
    new = build.contracts[service]
    for other, one in running.items():
        users = [user for user in plan.layout.processes[other].services if service in plan.services[user].calls]
        if other != process and users:
            yield from _told(f"{', '.join(users)} would break", service, breaks(one.contracts.get(service, {}), new))
    front = running.get(plan.layout.front) or running.get(process) or Running()
    yield from _told(
        "clients outside would break", service, breaks(front.contracts.get(service, {}), new, outside=True)
    )
    for called in build.plan.services[service].calls:
        there = plan.layout.of(called)
        if called not in plan.services:
            yield f"{service} would break: it calls {called}, which is not there"
        elif there in running and there != process:
            callee = running[there].contracts.get(called, {})
            yield from _told(f"{service} would break", called, breaks(build.contracts[called], callee))


def _told(who: str, service: str, why: Sequence[str]) -> Iterator[str]:
    return (f"{who}: {service}.{one}" for one in why)


def _events(
    service: str, process: str, talk: Talk, running: Mapping[str, Running], before: Sequence[Said]
) -> Iterator[str]:
    """Whether each can read what the other says. Both versions are there for a while, so the old one is asked, too."""
    says, hears = talk.get("says", {}), talk.get("hears", {})
    found: list[str] = []
    for other, one in running.items():
        for name, its in one.talk.items():
            who = f"{name} (process {other})"
            found += _unheard(who, says, its["hears"], f", which {service} says")
            found += _unheard(service, its["says"], hears, f", which {who} says")
            if name == service and other == process:
                public = {event: told for event, told in its["says"].items() if told["public"]}
                found += _unheard("who hears it outside", says, public, f", which {service} says")
    for one in before:
        until = f"{one.until:%Y-%m-%d %H:%M} UTC"
        what = f", which {one.service} said until {until} and may lie unheard"
        found += _unheard(service, {one.event: one.told}, hears, what)
    yield from dict.fromkeys(found)


def _unheard(who: str, says: Mapping[str, Told], hears: Mapping[str, Told], whose: str) -> Iterator[str]:
    for event in says.keys() & hears.keys():
        for why in unheard(says[event], hears[event]):
            yield f"{who} would break: the event {event}{whose}: {why}"

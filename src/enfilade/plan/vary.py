"""Variants of a plan: processes that serve what another one serves, too, and what cannot be of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from enfilade.errors import Finding
from enfilade.plan.arrangement import REST, Process

_SHARED: Final = ("share", "mirror", "compare", "ignore")
VARYING: Final = ("variant", *_SHARED, "from_", "use", "service")
"""What may be said of a process that does not do as others."""


def varied(
    processes: Mapping[str, Process], services: Sequence[str], foreign: AbstractSet[str], origin: Mapping[str, str]
) -> list[Finding]:
    """All mistakes in variants, and in what else lets a process do otherwise. `services` are those of the app,
    `foreign` those that are served by somebody else, `origin` says what said a process."""
    found: list[Finding] = []
    for name, process in processes.items():
        where = origin.get(f"process.{name}", "")
        mistakes = (*_variant(name, process), *_primary(name, process, services), *_own(name, process))
        found += [Finding(where, what, remedy, "plan") for what, remedy in mistakes]
        for service in process.services if process.variant and process.services != REST else ():
            if service in foreign:
                what = f"{name} is a variant of {service}, which is served at an address."
                found.append(Finding(where, what, "Serve it in a process of the plan.", "plan"))
            elif service not in services:
                found.append(unknown(where, service, services))
    return [*found, *_too_much(processes, services, origin)]


def unknown(where: str, service: str, services: Sequence[str]) -> Finding:
    """There is no such service."""
    return Finding(where, f"there is no service {service}.", f"The app has: {', '.join(services)}.", "plan")


def _variant(name: str, process: Process) -> Iterator[tuple[str, str]]:
    """What a variant must say, and may not."""
    if not process.variant:
        return
    if process.services == REST or not process.services:
        yield f"the variant {name} does not say of what.", 'Name its services: services = ["payments"].'
    elif len(set(process.services)) < len(process.services):
        yield f"{name} names a service twice.", "Name each once."
    if process.front:
        yield f"{name} is a variant, and the front.", "Let a primary process have the public address."
    if process.command:
        yield f"{name} has a command, and is a variant.", "Let another process have the command."
    if process.compare and not process.mirror:
        yield f"{name} compares, and nothing is mirrored to it.", "Say how much: mirror = 100."
    if process.ignore and not process.compare:
        yield f"{name} ignores what may differ, and compares nothing.", "Say compare = true."
    if wrong := [path for path in process.ignore if not path.startswith("/")]:
        yield f"{name} ignores {', '.join(wrong)}, which is no path.", 'Write it as "/at" or "/items/*/id".'


def _primary(name: str, process: Process, services: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What only a variant may say."""
    if process.variant:
        return
    if said := [key for key in _SHARED if getattr(process, key)]:
        yield f"{name} says {' and '.join(said)}, and is no variant.", "Say variant = true, or leave it out."
    if process.from_ and (process.command or not services):
        yield f"{name} has a command, and says from.", "Let its command say where its code is."


def _own(name: str, process: Process) -> Iterator[tuple[str, str]]:
    """What it says of services that it does not have."""
    for key, said in (("use", process.use), ("service", process.service)):
        if strange := [one for one in said if one not in process.services]:
            what = f"{name} says {key} of {' and '.join(strange)}, which it does not serve."
            yield what, f"It serves: {', '.join(process.services) or 'nothing'}."
    for one, settings in process.service.items():
        if "at" in settings:
            yield f"{name} serves {one}, and says where else it is.", f"Take `at` out of the settings of {one}."


def _too_much(
    processes: Mapping[str, Process], services: Sequence[str], origin: Mapping[str, str]
) -> Iterator[Finding]:
    """Services whose variants would have more than all calls."""
    for service in services:
        variants = {name: one for name, one in processes.items() if one.variant and service in one.services}
        if (share := sum(one.share for one in variants.values())) > 100:
            where = origin.get(f"process.{next(reversed(variants))}", "")
            what = f"{' and '.join(variants)} would have {share:g} % of the calls of {service}."
            yield Finding(where, what, "Leave them 100 together; the rest goes to the primary process.", "plan")

"""Plans for people: what holds and what said so, and how two differ."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from enfilade.plan import edge
from enfilade.plan.arrangement import Process
from enfilade.plan.survey import Plan


def lines(plan: Plan, *, origin: bool) -> Iterator[str]:
    """What holds, a line each; with `origin`, followed by what said so."""
    facts = facts_of(plan)
    width = max(len(f"{name}  {value}") for name, (value, _) in facts.items())
    for name, (value, said) in facts.items():
        yield f"{f'{name}  {value}':<{width}}  # {said}" if origin else f"{name}  {value}"


def changes(a: Plan, b: Plan) -> list[dict[str, str]]:
    """What is not the same in two plans."""
    before, after = facts_of(a), facts_of(b)
    return [
        {"what": name, a.layout.name: old, b.layout.name: new}
        for name in dict.fromkeys((*before, *after))
        if (old := before.get(name, ("", ""))[0]) != (new := after.get(name, ("", ""))[0])
    ]


def facts_of(plan: Plan) -> dict[str, tuple[str, str]]:
    """Each thing that holds, by its name: what it is, and what said so."""
    layout, origin = plan.layout, plan.layout.origin
    facts: dict[str, tuple[str, str]] = {}
    for name, process in layout.processes.items():
        parts = [
            *(["variant"] if process.variant else []),
            *(["the front"] if process.front else []),
            *(["Envoy"] if name == edge.EDGE and layout.edge.run else []),
            *([" ".join(process.command)] if process.command else []),
            *([f"{process.replicas} replicas"] if process.replicas > 1 else []),
            *([f"{process.memory} MB"] if process.memory else []),
            *([f"listens at {process.listen}"] if process.listen else []),
            *(["elsewhere"] if process.elsewhere else []),
            *([", ".join(process.services)] if process.services else []),
        ]
        facts[f"process {name}"] = "; ".join(parts), origin.get(f"process.{name}", "")
        for key, value in _varying(process):
            said = origin.get(f"process.{name}.{key.partition(' ')[0]}", "")
            facts[f"process {name} {key.removesuffix('_')}"] = value, said
    for name, known in plan.services.items():
        if known.process:
            facts[f"service {name}"] = f"in {known.process}", origin.get(f"placed.{name}", "")
        else:
            at = f"service.{name}.at"
            url = str(layout.service.get(name, {}).get("at", "")) or plan.foreign[name]
            facts[f"service {name}"] = f"at {url}", origin.get(at, _spoken(f"service__{name}__at", "enfilade.toml"))
        for key, value in _settings(layout.service.get(name, {})):
            said = origin.get(f"service.{name}.{key}", "")
            facts[f"service {name} {key}"] = str(value), _spoken(f"service__{name}__{key}", said)
    for name, url in plan.data.items():
        facts[f"data {name}"] = url, _spoken("data", origin.get("store.data", "enfilade.toml or its default"))
    stored = {key: (getattr(layout.store, key), f"store.{key}") for key in ("events", "blobs")}
    plain = {
        "authority": (layout.authority, "authority"),
        "hung": (f"{layout.hung:g} s" if "hung" in origin else "", "hung"),
    }
    for key, (value, at) in {**stored, **plain}.items():
        if value:
            facts[key] = value, _spoken(key, origin.get(at, ""))
    for key, value in edge.facts(layout.edge):
        facts[f"edge {key.replace('.', ' ', 1)}"] = value, origin.get(f"edge.{key}", "")
    return facts


def _varying(process: Process) -> Iterator[tuple[str, str]]:
    """What it does otherwise than others, by what it is called in the plan."""
    for key in ("share", "mirror"):
        if percent := getattr(process, key):
            yield key, f"{percent:g} %"
    if process.compare:
        yield "compare", ", ".join(("true", *(f"but {path}" for path in process.ignore)))
    if process.from_:
        yield "from_", process.from_
    for service, module in process.use.items():
        yield f"use {service}", module
    for service, settings in process.service.items():
        for key, value in settings.items():
            yield f"service {service} {key}", str(value)


def _settings(said: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in said.items() if key != "at")


def _spoken(key: str, said: str) -> str:
    """The variable where there is one: it is over all files."""
    return name if (name := f"ENFILADE_{key.upper()}") in os.environ else said

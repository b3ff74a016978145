"""Where values come from: the port that every source fits, and the sources of one app in their order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from enfilade.clock import Clock
from enfilade.errors import Finding, StartError, Unavailable
from enfilade.hidden import conceal
from enfilade.secrets.plain import Environment, Files
from enfilade.secrets.secret import Revealed, Secret
from enfilade.secrets.unreadable import Unreadable as Unreadable

_LOOK: Final = 10.0
"""Seconds between two looks of one who waits for a change."""


class Source(Protocol):
    """A place that has secrets."""

    async def find(self, name: str) -> str | None:
        """The value as it is now, or None where there is none. Raises Unreadable."""
        ...

    def remedy(self, name: str) -> str:
        """How somebody puts it there: `set the variable X`."""
        ...

    async def aclose(self) -> None:
        """Give back what was taken."""
        ...


class Secrets:
    """The sources of one app: the first that has a name gives its value."""

    def __init__(self, sources: Sequence[Source], clock: Clock) -> None:
        self._sources = tuple(sources)
        self._clock = clock
        self.absent: frozenset[str] = frozenset()
        """Names that were asked for at the start and that nobody has."""

    def bind(self, secret: Secret) -> Secret:
        return secret.bound(self)

    async def reveal(self, name: str) -> Revealed:
        value = await self.find(name)
        if value is None:
            raise Unreadable(f"the secret {name} is gone from its source", self._remedy(name))
        return value

    async def changed(self, name: str, known: str) -> Revealed:
        while True:
            try:
                value = await self.reveal(name)
            except Unavailable:
                value = None
            if value is not None and value != known:
                return value
            await self._clock.sleep(_LOOK)

    async def find(self, name: str) -> Revealed | None:
        """The value, or None; from now on nothing that the process writes shows it."""
        for source in self._sources:
            value = await source.find(name)
            if value is not None:
                conceal(value)
                return Revealed(value)
        return None

    async def missing(self, asked: Iterable[tuple[str, str, bool]]) -> list[Finding]:
        """What keeps an app from starting that asks for these: (where, name, whether it may be absent)."""
        findings: dict[str, Finding] = {}
        absent: set[str] = set()
        for where, name, optional in asked:
            try:
                if name in absent or await self.find(name) is None:
                    absent.add(name)
                    if not optional:
                        what = f"no source has the secret {name}."
                        findings.setdefault(name, Finding(where, what, self._remedy(name), "secret"))
            except Unreadable as wrong:
                findings.setdefault(wrong.what, Finding("secrets", f"{wrong.what}.", wrong.remedy, "secret"))
                absent.add(name)
        self.absent = frozenset(absent)
        return list(findings.values())

    def _remedy(self, name: str) -> str:
        ways = " or ".join(source.remedy(name) for source in self._sources)
        return f"{ways[:1].upper()}{ways[1:]}."

    async def aclose(self) -> None:
        await asyncio.gather(*(source.aclose() for source in self._sources))


def sources_of(entries: Sequence[str], clock: Clock, environ: Mapping[str, str] | None = None) -> list[Source]:
    """The sources that a setting names: `["env", "files:/run/secrets", "age:secrets.age"]`. Raises StartError."""
    environ = os.environ if environ is None else environ
    findings: list[Finding] = []
    sources: list[Source] = []
    for entry in entries:
        try:
            sources.append(_source(entry, clock, environ))
        except StartError as wrong:
            findings += wrong.findings
    if findings:
        raise StartError(findings)
    return sources


def _source(entry: str, clock: Clock, environ: Mapping[str, str]) -> Source:
    kind, _, place = entry.partition(":")
    match kind:
        case "env" if not place:
            return Environment(environ)
        case "files" if place:
            return Files(Path(place))
        case "age" if place:
            from enfilade.secrets.age import AgeFile  # an extra

            return AgeFile(Path(place), environ)
        case "vault" | "lease" if place:
            from enfilade.secrets.vault import Vault  # an extra

            return Vault(place, clock, environ, leased=kind == "lease")
        case _:
            remedy = "Write env, files:FOLDER, age:FILE, vault:https://HOST/MOUNT or lease:https://HOST/MOUNT/PATH."
            raise StartError([Finding("secrets", f"{entry!r} is no source of secrets.", remedy, "secret")])

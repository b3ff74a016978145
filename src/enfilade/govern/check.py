"""`check(app)`: everything that can be known to be wrong with an app without running it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from enfilade.config import Config
from enfilade.errors import Finding
from enfilade.govern.boundaries import boundaries
from enfilade.govern.commits import second_commits
from enfilade.govern.guards import bad_policies, crossing_alone, forgotten_owner, forgotten_rate, unspent_budget
from enfilade.govern.problems import undeclared
from enfilade.govern.program import Service, service_of
from enfilade.govern.rows import row_fields
from enfilade.govern.source import Exemption, Sources
from enfilade.govern.sql import statements
from enfilade.govern.units import foreign, loose_writes, written_in_queries
from enfilade.govern.wiring import Read, implementation, injection, read_app

if TYPE_CHECKING:
    from enfilade.app import App

Severity: TypeAlias = Literal["error", "warning"]

WARNINGS: Final = frozenset(("forgotten-owner", "forgotten-rate", "unspent-budget", "exemption"))
"""Rules that may be wrong about what was meant; all others are errors."""
_RULES: Final[tuple[Callable[[Service], Iterable[Finding]], ...]] = (
    undeclared, row_fields, foreign, loose_writes, written_in_queries, second_commits, forgotten_owner, forgotten_rate,
    unspent_budget, crossing_alone,
)  # fmt: skip


class Report(msgspec.Struct, frozen=True):
    """What a check found, by file and line."""

    findings: tuple[Finding, ...]
    services: int
    exempted: int
    """Findings that an exemption took out."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if severity(one) == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if severity(one) == "warning")


def severity(finding: Finding) -> Severity:
    return "warning" if finding.rule in WARNINGS else "error"


def check(app: App, config: Config | None = None) -> Report:
    """Reads an app and says what is wrong with it. Starts nothing; a service's modules are imported, as at a start."""
    config = config or app.config or Config()
    sources = Sources()
    read = read_app(app, config)
    found = [_relative(one) for one in _everything(app, config, read, sources)]
    kept, used = _exempt(found, _exemptions(sources))
    idle = [_idle(path, one) for path, one in _exemptions(sources) if (path, one) not in used]
    return Report(
        tuple(sorted({*kept, *idle}, key=_order)), services=len(read.contracts), exempted=len(found) - len(kept)
    )


def _everything(app: App, config: Config, read: Read, sources: Sources) -> Iterator[Finding]:
    yield from read.findings
    own = {name: one for name, one in read.contracts.items() if not one.type.__module__.startswith("enfilade.")}
    yield from boundaries(own.values(), sources)
    yield from injection(app, read, config)
    yield from bad_policies(app, read.contracts.values())
    for name, build in read.builds.items():
        if isinstance(build, type) and name in own:  # what the platform brings is not the app's to mend
            yield from implementation(read.contracts[name], build)
            service = service_of(read.contracts[name], build, sources)
            for rule in _RULES:
                yield from _once(rule(service))
            yield from statements(service, prepare=config.data_url.startswith("sqlite"))


def _once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Of findings that differ in the way to one place only, the first."""
    told: set[tuple[str, str]] = set()
    for one in findings:
        start = one.what.partition(" (")[0]
        if (one.where, start) not in told:
            told.add((one.where, start))
            yield one


def _exemptions(sources: Sources) -> list[tuple[str, Exemption]]:
    return [(_short(source.path), one) for source in sources for one in source.exemptions()]


def _exempt(
    found: list[Finding], exemptions: list[tuple[str, Exemption]]
) -> tuple[list[Finding], set[tuple[str, Exemption]]]:
    """The findings that no comment allows, and the comments that allowed one."""
    by_place = {(f"{path}:{one.covers}", one.rule): (path, one) for path, one in exemptions if one.reason}
    used = {by_place[one.where, one.rule] for one in found if (one.where, one.rule) in by_place}
    return [one for one in found if (one.where, one.rule) not in by_place], used


def _idle(path: str, exemption: Exemption) -> Finding:
    """An exemption that does nothing."""
    where = f"{path}:{exemption.line}"
    if not exemption.reason:
        return Finding(where, f"allow[{exemption.rule}] gives no reason.", "Write the reason behind it.", "exemption")
    return Finding(where, f"allow[{exemption.rule}] exempts nothing.", "Take it out.", "exemption")


def _relative(finding: Finding) -> Finding:
    path, colon, line = finding.where.rpartition(":")
    return msgspec.structs.replace(finding, where=f"{_short(Path(path))}:{line}") if colon else finding


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _order(finding: Finding) -> tuple[str, int, str, str]:
    path, _, line = finding.where.rpartition(":")
    return (path, int(line) if line.isdigit() else 0, finding.rule, finding.what)

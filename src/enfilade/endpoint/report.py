"""What a process tells of itself to the supervisor of its plan, and to its edge: the contracts and events that it has,
and how its calls ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from enfilade.call import Call, Handler
from enfilade.contract.compare import asked
from enfilade.contract.declare import contract, query
from enfilade.contract.door import doors
from enfilade.contract.message import Message
from enfilade.contract.need import peers
from enfilade.contract.read import read
from enfilade.endpoint.site import Site
from enfilade.trace.metrics import Counter, Histogram

FAILED: Final = frozenset(("bug", "unavailable", "overloaded", "deadline-exceeded"))
"""Ends of calls that nobody wants: neither a result, nor what the contract declares or the caller did wrong."""


class Counts(Message):
    """How calls ended since the process began."""

    calls: int = 0
    failed: int = 0
    times: tuple[int, ...] = ()
    """How many took how long: of each bound of `metrics.SECONDS`, and last of what is over all of them."""


@contract(name="enfilade-report", needs=peers, timeout=5.0)
class Report(Protocol):
    @query()
    async def contracts(self) -> str:
        """JSON: by service and operation, what others rely on, whether it is served there or not."""
        ...

    @query()
    async def talk(self) -> str:
        """JSON: by service that is served there, the events that it says and hears."""
        ...

    @query()
    async def doors(self) -> str:
        """JSON: by service, the ways to its operations that an edge goes by."""
        ...

    @query()
    async def counts(self, services: tuple[str, ...]) -> Counts:
        """Of calls to these services; of all where none is named."""
        ...


REPORT: Final = read(Report)


def reporting(site: Site) -> Mapping[str, Handler]:
    """The handlers, by operation id."""

    async def contracts(_: Call) -> str:
        return written(site)

    async def talk(_: Call) -> str:
        return msgspec.json.encode(site.talk()).decode()

    async def open(_: Call) -> str:
        return msgspec.json.encode({one.name: doors(one) for one in site.contracts}).decode()

    async def counts(call: Call) -> Counts:
        return _counts(site, call.arguments["services"])

    handlers = {"contracts": contracts, "talk": talk, "doors": open, "counts": counts}
    return {f"{REPORT.name}.{name}": handler for name, handler in handlers.items()}


def written(site: Site) -> str:
    """The contracts of an app, as processes tell them to one another."""
    return msgspec.json.encode({one.name: asked(one) for one in site.contracts}).decode()


def _counts(site: Site, services: tuple[str, ...]) -> Counts:
    calls = failed = 0
    times: list[int] = []
    for family in site.recorder.metrics.families():
        if family.name not in ("enfilade_calls_total", "enfilade_call_seconds"):
            continue
        series: Mapping[Any, Any] = family.series
        for labels, one in list(series.items()):
            said = dict(labels)
            if services and said["service"] not in services:
                continue
            if isinstance(one, Histogram):
                times = [sum(pair) for pair in zip(times or [0] * len(one.counts), one.counts, strict=True)]
            elif isinstance(one, Counter) and said["outcome"] != "cancelled":
                calls += int(one.value)
                failed += int(one.value) if said["outcome"] in FAILED else 0
    return Counts(calls=calls, failed=failed, times=tuple(times))

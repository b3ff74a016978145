"""Checks of what was declared beside the signature: needs, rates, times, sizes, levels, deprecation."""

from __future__ import annotations

import math
import re
from typing import Any, Final, cast, get_args

from enfilade.contract.declare import Defaults
from enfilade.contract.limit import Deprecated, Flow, Level, Per, Rate, period, size
from enfilade.contract.need import AllOf, AnyOf, Anyone, Fresh, Need, Role, Scope
from enfilade.contract.place import Findings

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""A scope token (RFC 6749, section 3.3)."""
_NAME: Final = re.compile(r"(?:[a-z][a-z0-9-]*)?")
"""Of a meter, which stands in fields of answers."""


def check_promises(said: Defaults, findings: Findings) -> None:
    """Adds every mistake to the findings; they were written by a person, so nothing is taken for granted."""
    if said.needs is not None:
        _check_needs(said.needs, findings)
    for rate in said.rate or ():
        _check_rate(rate, findings)
    for name, seconds in (("timeout", said.timeout), ("idle", said.idle)):
        if seconds is not None and not _positive(seconds):
            findings.add("time", f"{name}={seconds!r} is no time", "give it as seconds above zero")
    if said.body is not None:
        _check_body(said.body, findings)
    if said.flow is not None:
        _check_flow(said.flow, findings)
    if said.level is not None:
        _check_level(said.level, findings)
    if said.deprecated is not None:
        _check_deprecated(said.deprecated, findings)


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _check_needs(need: Any, findings: Findings) -> None:
    if not isinstance(need, Need):
        findings.add(
            "access", f"needs={need!r} is no need", "use anyone, signed_in, peers, Scope(...), Role(...) or Owner"
        )
    elif type(need).met is Need.met:
        findings.add("access", f"no guard knows the need {need}", "write a @rule, and combine it with & and |")
    elif isinstance(need, AllOf | AnyOf):
        for part in need.needs:
            if isinstance(part, Anyone):
                findings.add(
                    "access", f"anyone is combined in `{need}`", "anyone stands alone: what is beside it has no effect"
                )
            _check_needs(part, findings)
    elif isinstance(need, Scope) and not (isinstance(cast("Any", need.name), str) and _SCOPE.fullmatch(need.name)):
        findings.add("access", f"{need.name!r} is no scope", "a scope is one word without spaces or quotes (RFC 6749)")
    elif isinstance(need, Role) and not (isinstance(cast("Any", need.name), str) and need.name.strip()):
        findings.add("access", "a role has no name", "write Role('editor')")
    elif isinstance(need, Fresh):
        _check_fresh(need, findings)


def _check_fresh(need: Fresh, findings: Findings) -> None:
    try:
        if need.within and not 0 < need.seconds < math.inf:
            findings.add("access", f"Fresh({need.within!r}) is always or never met", "write Fresh('5m')")
    except (ValueError, TypeError, AttributeError) as error:
        findings.add("access", f"Fresh({need.within!r}) cannot be read", str(error))
    if not (need.within or need.assurance):
        findings.add("access", "Fresh() asks for nothing", "write Fresh('5m'), or Fresh(assurance='...')")
    elif need.assurance and not all(_SCOPE.fullmatch(one) for one in need.assurance.split(" ")):
        findings.add("access", f"{need.assurance!r} is no assurance", "write one or more words with spaces between")


def _check_rate(rate: Any, findings: Findings) -> None:
    if not isinstance(rate, Rate):
        findings.add("rate", f"{rate!r} is no rate", "write Rate('20/minute')")
        return
    try:
        quota, cost = rate.quota(), rate.taken()
    except (ValueError, TypeError, AttributeError) as error:
        findings.add("rate", f"the rate {rate.limit!r} cannot be read", str(error))
        return
    if rate.per not in get_args(Per):
        findings.add("rate", f"a rate cannot be per {rate.per!r}", f"use {', '.join(get_args(Per))}")
    if cost < 1 or rate.burst < 0 or cost > (rate.burst or quota.amount):
        findings.add(
            "rate", f"no call ever fits: cost {rate.cost}, burst {rate.burst or quota.amount}", "let 1 <= cost <= burst"
        )
    if rate.burst and quota.calendar:
        findings.add(
            "rate", f"{rate.limit!r} has a burst, and a window has none", "leave it out, or add a rate of minutes"
        )
    if not _NAME.fullmatch(rate.name):
        findings.add("rate", f"a meter cannot be named {rate.name!r}", "use small letters, digits and hyphens")
    if rate.plan and not rate.name:
        findings.add("rate", f"{rate.limit!r} is a plan's and has no name", 'say by which plans know it: name="ai"')


def _check_body(body: Any, findings: Findings) -> None:
    try:
        if size(body) < 1:
            findings.add("size", f"body={body!r} lets nothing in", "give it at least one byte")
    except (ValueError, TypeError, AttributeError) as error:
        findings.add("size", f"body={body!r} is no size: {error}", "write it like '1MiB' or as bytes")


def _check_flow(flow: Any, findings: Findings) -> None:
    try:
        if not isinstance(flow, Flow) or flow.items < 1 or size(flow.size) < 1 or not period(flow.lasting) > 0:
            findings.add(
                "flow", f"{flow!r} lets no stream through", 'write Flow(items=1000, size="1GiB", lasting="1h")'
            )
    except (ValueError, TypeError, AttributeError) as error:
        findings.add("flow", f"{flow!r} cannot be read", str(error))


def _check_level(level: Any, findings: Findings) -> None:
    if not isinstance(level, Level):
        findings.add("level", f"{level!r} is no level", "write Level(p99=0.25, availability=0.999)")
        return
    if level.p99 is not None and not _positive(level.p99):
        findings.add("level", f"p99={level.p99!r} is no time", "give it as seconds above zero")
    if level.availability is not None and not (_positive(level.availability) and level.availability <= 1):
        findings.add("level", f"availability={level.availability!r}", "give it as a part of 1, such as 0.999")


def _check_deprecated(deprecated: Any, findings: Findings) -> None:
    if not isinstance(deprecated, Deprecated):
        findings.add(
            "deprecated", f"{deprecated!r} is no deprecation", "write Deprecated(since=date(...), sunset=date(...))"
        )
    elif deprecated.sunset is not None and deprecated.sunset < deprecated.since:
        findings.add("deprecated", "the sunset is before the deprecation", "let sunset come after since")

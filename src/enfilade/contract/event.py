"""Reading an event class: what is said about how it is ordered and kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

from enfilade.contract.fingerprint import event_fingerprint
from enfilade.contract.limit import period
from enfilade.contract.message import Event, event_name
from enfilade.contract.place import Findings, summary_of, where_is
from enfilade.contract.shape import SCALARS, Shape
from enfilade.contract.signature import shape_of
from enfilade.errors import StartError

_READ = "__enfilade_read__"


@dataclass(frozen=True, eq=False, kw_only=True)
class Announcement:
    """An event as it was read."""

    name: str
    """`orders.OrderPlaced`: its name on every transport."""
    type: type[Event]
    key: str
    """Dotted path to what orders it; `""` where every event of the service is in one order."""
    keep: float
    """Seconds that it is kept for those who come later; infinite for `"forever"`."""
    public: bool
    """May be heard outside of the app."""
    summary: str
    description: str
    where: str
    fingerprint: str


def read_event(event: type[Event]) -> Announcement:
    """What an event class says. Raises StartError with every mistake that is in it."""
    known = event.__dict__.get(_READ)
    if known is None:
        known = _read(event)
        setattr(event, _READ, known)
    return cast("Announcement", known)


def _read(event: type[Event]) -> Announcement:
    findings = Findings(where_is(event))
    key, said, public = (getattr(event, f"event_{name}") for name in ("key", "keep", "public"))
    found = shape_of(event.__name__, event, findings, maybe=False)
    if found is not None and key:
        _check_key(event, found, key, findings)
    keep = math.nan
    try:
        keep = period(said)
        if keep <= 0:
            raise ValueError("it has to be longer than nothing")  # noqa: TRY301  (one place says how it is written)
    except (ValueError, TypeError, AttributeError) as error:
        findings.add("keep", f"keep={said!r} is no time", str(error))
    if findings.all:
        raise StartError(findings.all)
    summary, description = summary_of(event.__dict__.get("__doc__"), event.__name__)
    return Announcement(
        name=event_name(event),
        type=event,
        key=key,
        keep=keep,
        public=public,
        summary=summary,
        description=description,
        where=findings.where,
        fingerprint=event_fingerprint(event),
    )


def _check_key(event: type[Event], found: Shape, key: str, findings: Findings) -> None:
    at = found
    for name in key.split("."):
        fields = {field.name: field.shape for field in at.fields} if at.struct is not None else {}
        if name not in fields:
            findings.add("key", f"key={key!r}: there is no {name}", f"name a field of {event.__name__}, by dots")
            return
        at = fields[name]
    if at.kind not in SCALARS or at.kind == "float":
        findings.add(
            "key", f"key={key!r} is not one plain value", "take an id: text, a number or a UUID that is never None"
        )

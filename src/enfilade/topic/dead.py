"""Dead letters as people may read them. What can be done with them is in `store.inbox`: `dead`, `revive`, `drop`."""

from __future__ import annotations

import msgspec

from enfilade.contract.codec import codec
from enfilade.contract.mask import masked
from enfilade.contract.message import Event
from enfilade.errors import Invalid, Malformed
from enfilade.store.inbox import Dead


def readable(dead: Dead, event: type[Event] | None) -> str:
    """The event as JSON with what is Sensitive masked; how long it is, where its type is not known or does not fit."""
    if event is not None:
        try:
            value = codec(event, unknown="ignore").decode(dead.entry.body)
        except (Malformed, Invalid):
            pass
        else:
            return msgspec.json.encode(masked(value, event)).decode()
    return f"({len(dead.entry.body)} bytes that cannot be read as an event)"

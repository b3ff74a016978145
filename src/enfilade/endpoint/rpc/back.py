"""What comes back beside an answer: fields that the call said for its caller's answer, and what it spent of budgets.

`enfilade-reply` has the fields as a JSON object. `enfilade-spent` has amounts by their units (`{"tokens": 1234}`), for
a caller whose `enfilade-spend` named units that are counted. Where a stream's answer has begun, the amounts are in the
metadata of its end.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from enfilade.call import Call
from enfilade.errors import Unavailable

ASKED: Final = b"enfilade-spend"
REPLY: Final = b"enfilade-reply"
SPENT: Final = b"enfilade-spent"

_fields = msgspec.json.Decoder(dict[str, str])
_amounts = msgspec.json.Decoder(dict[str, int])


class Spent:
    """The tab of a call whose meters are in another process."""

    __slots__ = ("amounts", "units")

    def __init__(self, units: Collection[str]) -> None:
        self.units = frozenset(units)
        self.amounts: dict[str, int] = {}

    def spend(self, amount: int, unit: str) -> None:
        self.amounts[unit] = self.amounts.get(unit, 0) + amount


def lines(call: Call) -> list[tuple[bytes, bytes]]:
    """The fields of an answer that carry what comes back."""
    made: list[tuple[bytes, bytes]] = []
    if call.reply_fields:
        made.append((REPLY, _ascii(call.reply_fields)))
    if (spent := amounts(call)) is not None:
        made.append((SPENT, spent))
    return made


def amounts(call: Call) -> bytes | None:
    """What was spent, as JSON; None where nothing was."""
    return _ascii(call.tab.amounts) if isinstance(call.tab, Spent) and call.tab.amounts else None


def take(fields: Mapping[bytes, bytes], call: Call) -> None:
    """Give a call what came back for it. Raises Unavailable where that cannot be read."""
    try:
        if (said := fields.get(REPLY)) is not None:
            for name, value in _fields.decode(said).items():
                call.say(name, value)
        if (said := fields.get(SPENT)) is not None and call.tab is not None:
            for unit, amount in _amounts.decode(said).items():
                call.tab.spend(max(amount, 0), unit)
    except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
        raise Unavailable(f"{call.operation.id} was answered with fields that cannot be read: {wrong}") from wrong


def _ascii(said: Mapping[str, Any]) -> bytes:
    """JSON as a field may have it: no control characters, and nothing beyond ASCII."""
    return json.dumps(said).replace("\x7f", "\\u007f").encode()

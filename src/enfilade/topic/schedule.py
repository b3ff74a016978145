"""When a schedule comes due: at whole multiples of its period in UTC, so that every replica names the same moments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from enfilade.contract.limit import period

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Schedule:
    """`every` so long, `offset` after midnight for whole days."""

    every: timedelta
    offset: timedelta = timedelta(0)

    @classmethod
    def read(cls, text: str, at: str = "") -> Schedule:
        """`("1h", "")` or `("1d", "03:00")`. Raises ValueError that says what is wrong."""
        seconds = period(text)
        if not 1 <= seconds < float("inf"):
            raise ValueError(f"a schedule comes every second or more rarely, not every {text!r}")
        every = timedelta(seconds=seconds)
        if not at:
            return cls(every)
        if every % _DAY:
            raise ValueError(f"a time of day (at={at!r}) goes with whole days, not with {text!r}")
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", at):
            raise ValueError(f"a time of day is written like '03:00' (UTC), not {at!r}")
        moment = time.fromisoformat(at)
        return cls(every, timedelta(hours=moment.hour, minutes=moment.minute))

    def after(self, moment: datetime) -> datetime:
        """The first due time later than this moment."""
        start = _EPOCH + self.offset
        return start + ((moment - start) // self.every + 1) * self.every

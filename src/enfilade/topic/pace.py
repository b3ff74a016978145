"""How often, how long and how many: the numbers of delivery, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from random import Random

from enfilade.clock import Clock


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Numbers of delivery. Times are seconds."""

    tries: int = 10
    """Runs of a handler before an event goes to the dead letters; with the waits below, about four minutes in all."""
    first: float = 1.0
    """The longest that the first wait can be; each further one is twice as long."""
    longest: float = 300.0
    away: float = 5.0
    """The longest wait for a transport that does not answer at all."""
    open: float = 0.02
    """Between two looks at events that wait for a unit of work of another process to end."""
    soon: float = 0.05
    """How long an event that is heard at once may take before it has to be in the inbox; its relay waits so long."""
    at_once: int = 16
    """Handlers of one service that run at the same time."""
    batch: int = 200
    """Entries that the relay hands on at once: beyond that, a commit is shared well enough."""
    poll: float = 1.0
    """The longest sleep: a ring may come from another process, where we do not hear it."""
    clean: float = 60.0
    """Between two rounds of forgetting what was heard long ago."""
    keep: float = 7 * 86400.0
    """How long what was heard is remembered, so that it is not heard twice."""

    def pause(self, clock: Clock, due: datetime | None) -> float:
        """Seconds to sleep where something is due at that moment: no longer than the poll."""
        return self.poll if due is None else min(self.poll, (due - clock.now()).total_seconds())

    def wait(self, tries: int, random: Random) -> float:
        """The wait after so many failed tries: any part of the longest one, so that failures do not return in step."""
        return random.uniform(0, min(self.longest, self.first * 2 ** min(tries - 1, 30)))

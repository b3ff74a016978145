"""A source that should have a value and cannot be read."""

from __future__ import annotations

from enfilade.errors import Unavailable


class Unreadable(Unavailable):
    """The source of a secret cannot be read now: it is away, or does not know us."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

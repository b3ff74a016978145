"""Tokens that are believed no longer, though their time is not over."""

from __future__ import annotations

import logging
from typing import Final, Literal, NamedTuple

from enfilade.clock import Clock
from enfilade.contract.message import Message

ROOM: Final = 100_000
"""Entries; some 35 MiB."""

log = logging.getLogger("enfilade.identity")


class Revoked(Message):
    """One taking back: of a token (`jti`), a session (`sid`) or all that a subject (`sub`) had until then.

    A message, so that who issues tokens can publish it and every process that verifies them hears it.
    """

    issuer: str
    by: Literal["jti", "sid", "sub"]
    value: str
    """The claim of the token, without the issuer's prefix."""
    until: float
    """When the last token that it means has expired, in seconds since 1970: afterwards it is forgotten."""
    before: float = 0.0
    """Only tokens that were issued at this second or before; 0 means whenever."""


class Marks(NamedTuple):
    """By what a token can be taken back."""

    issuer: str
    subject: str
    token: str
    session: str
    issued: float


class Revocations:
    """What was taken back, until it would have expired. Memory is bounded: when there is no room left, everything that
    was issued until then is void, for a token may be refused too early but never too late."""

    def __init__(self, clock: Clock, room: int = ROOM) -> None:
        self._clock = clock
        self._room = room
        self._said: dict[tuple[str, str, str], tuple[float, float]] = {}
        self._all = float("-inf")

    def add(self, revoked: Revoked) -> None:
        key = revoked.issuer, revoked.by, revoked.value
        before, until = self._said.get(key, (float("-inf"), 0.0))
        self._said[key] = max(before, revoked.before or float("inf")), max(until, revoked.until)
        if len(self._said) > self._room:
            self._tidy()

    def has(self, token: Marks) -> bool:
        """Whether a token was taken back."""
        if token.issued <= self._all:
            return True
        said = self._said
        return bool(said) and any(
            value and token.issued <= said.get((token.issuer, by, value), _NEVER)[0]
            for by, value in (("jti", token.token), ("sid", token.session), ("sub", token.subject))
        )

    def _tidy(self) -> None:
        now = self._clock.now().timestamp()
        self._said = {key: said for key, said in self._said.items() if said[1] > now}
        if len(self._said) > self._room * 0.9:  # or the next ones would look through all of them again, each
            log.warning("%d revocations are more than there is room for: all tokens until now are void", self._room)
            self._said, self._all = {}, now


_NEVER: Final = float("-inf"), 0.0

"""SPIFFE ids: the name of a workload, as its certificate says it (SPIFFE-ID, sections 2.1 to 2.3)."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_DOMAIN: Final = re.compile(r"[a-z0-9._-]{1,255}")
_ID: Final = re.compile(r"spiffe://([^/]*)((?:/[A-Za-z0-9._-]+)*)")
_MOST: Final = 2048
"""Bytes of an id."""


OUTSIDE: Final = "_outside"
"""What a process holds beside its services that passes calls on which came from outside, and from no service."""


class SpiffeId(msgspec.Struct, frozen=True):
    """`spiffe://shop/service/orders`: a trust domain, and a path in it. Raises ValueError where it is none."""

    domain: str
    path: str = ""

    def __post_init__(self) -> None:
        text = str(self)
        match = _ID.fullmatch(text)
        if match is None or len(text) > _MOST or {".", ".."} & set(self.path.split("/")):
            raise ValueError(f"{text[:100]!r} is no SPIFFE id")
        if not _DOMAIN.fullmatch(self.domain):
            raise ValueError(f"{self.domain[:100]!r} is no trust domain: it is made of a-z, 0-9, `.`, `_` and `-`")

    @classmethod
    def parse(cls, text: str) -> SpiffeId:
        """The id that a text is."""
        match = _ID.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:100]!r} is no SPIFFE id")
        return cls(match[1], match[2])

    @classmethod
    def of(cls, domain: str, process: str, services: frozenset[str]) -> SpiffeId:
        """The id of a process: that of its service where it holds one, and a name of its own where it holds several."""
        own = cls(domain, f"/process/{process}")
        return own if len(services) != 1 or OUTSIDE in services else cls(domain, f"/service/{next(iter(services))}")

    def __str__(self) -> str:
        return f"spiffe://{self.domain}{self.path}"


def domain_of(app: str) -> str:
    """The trust domain that an app's name makes: `My Shop` is `my-shop`."""
    return re.sub(r"[^a-z0-9._-]+", "-", app.lower()).strip("-") or "app"

"""What it costs; and, for tests, what a service is told of a request."""

from __future__ import annotations

from typing import Protocol

from enfilade import Header, Message, Rate, anyone, contract, query


class Stamp(Message):
    id: str
    process: int
    """Which process answered."""
    said: str = ""


@contract(owner="post", version=1, needs=anyone)
class Stamps(Protocol):
    @query("GET /stamps/{id}")
    async def stamp(self, id: str) -> Stamp: ...

    @query("GET /stamps/rare", rate=Rate("3/day", per="everyone"))
    async def rare(self) -> Stamp: ...

    @query("GET /stamps/said")
    async def said(self, enfilade_tenant: Header[str] = "", x_enfilade_peer: Header[str] = "") -> Stamp: ...

    @query("GET /stamps/of/{parcel}")
    async def of(self, parcel: str) -> Stamp: ...

"""What is sent."""

from __future__ import annotations

from typing import Annotated, Protocol

from enfilade import Flow, Message, Meta, Rate, Role, Scope, Stream, anyone, command, contract, peers, query, signed_in


class Parcel(Message):
    id: str
    to: Annotated[str, Meta(max_length=100_000)] = ""


@contract(owner="post", version=1, needs=anyone)
class Parcels(Protocol):
    @query("GET /parcels/{id}")
    async def parcel(self, id: str) -> Parcel: ...

    @query("GET /parcels/latest")
    async def latest(self) -> Parcel: ...

    @query("GET /parcels", needs=signed_in)
    async def mine(self) -> Parcel: ...

    @command("POST /parcels", needs=Scope("parcels:write"), body="2KB", status=201)
    async def send(self, to: str) -> Parcel: ...

    @command("DELETE /parcels/{id}", needs=Role("clerk") | Scope("parcels:all"))
    async def lose(self, id: str) -> None: ...

    @query("GET /counted", rate=Rate("3/minute"))
    async def counted(self) -> Parcel: ...

    @query("GET /weighed", rate=Rate("10/minute", cost=5), needs=signed_in)
    async def weighed(self) -> Parcel: ...

    @query("GET /inside", needs=peers)
    async def inside(self) -> Parcel: ...

    @query("GET /slow", timeout=0.2)
    async def slow(self) -> Parcel: ...

    @query("GET /parcels/{id}/way", flow=Flow(lasting="10s"))
    def way(self, id: str) -> Stream[Parcel]: ...

    @command("PUT /parcels/{id}/label", body="4MB")
    async def label(self, id: str, data: Stream[bytes]) -> Parcel: ...

    @query("GET /large")
    async def large(self) -> Parcel: ...

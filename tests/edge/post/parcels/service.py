from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import final

from post.parcels.contract import Parcel, Parcels

from enfilade import Stream


@final
class ParcelsService(Parcels):
    async def parcel(self, id: str) -> Parcel:
        return Parcel(id=id)

    async def latest(self) -> Parcel:
        return Parcel(id="the latest")

    async def mine(self) -> Parcel:
        return Parcel(id="mine")

    async def send(self, to: str) -> Parcel:
        return Parcel(id="new", to=to)

    async def lose(self, id: str) -> None: ...

    async def counted(self) -> Parcel:
        return Parcel(id="counted")

    async def weighed(self) -> Parcel:
        return Parcel(id="weighed")

    async def inside(self) -> Parcel:
        return Parcel(id="inside")

    async def slow(self) -> Parcel:
        await asyncio.sleep(5)
        return Parcel(id="slow")

    async def way(self, id: str) -> AsyncGenerator[Parcel]:
        for at in ("hall", "van", "door"):
            yield Parcel(id=id, to=at)

    async def label(self, id: str, data: Stream[bytes]) -> Parcel:
        size = 0
        async for piece in data:
            size += len(piece)
        return Parcel(id=id, to=str(size))

    async def large(self) -> Parcel:
        return Parcel(id="large", to="x" * 5000)

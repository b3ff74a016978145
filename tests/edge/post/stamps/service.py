from __future__ import annotations

import os
from dataclasses import dataclass
from typing import final

from post.parcels.contract import Parcels
from post.stamps.contract import Stamp, Stamps


@final
@dataclass
class StampsService(Stamps):
    parcels: Parcels

    async def stamp(self, id: str) -> Stamp:
        return Stamp(id=id, process=os.getpid())

    async def rare(self) -> Stamp:
        return Stamp(id="rare", process=os.getpid())

    async def said(self, enfilade_tenant: str = "", x_enfilade_peer: str = "") -> Stamp:
        return Stamp(id="said", process=os.getpid(), said=enfilade_tenant + x_enfilade_peer)

    async def of(self, parcel: str) -> Stamp:
        return Stamp(id=(await self.parcels.parcel(parcel)).id, process=os.getpid())

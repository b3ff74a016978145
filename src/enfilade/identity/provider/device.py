"""Devices that have no browser: they show a code, and ask until somebody has typed it in elsewhere (RFC 8628)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from enfilade.clock import Clock
from enfilade.identity.provider.asked import resources, scope_of_person
from enfilade.identity.provider.clients import DEVICE, secret_of
from enfilade.identity.provider.granted import Granted
from enfilade.identity.provider.messages import DeviceAnswer
from enfilade.identity.provider.problems import refused
from enfilade.identity.provider.rows import ClientRow, DeviceRow
from enfilade.identity.provider.seal import Host, digest
from enfilade.identity.provider.settings import ProviderSettings
from enfilade.store import Table, atomic

_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no word comes of it (RFC 8628, 6.1); eight of them are 34 bits, good for minutes."""
_INTERVAL: Final = 5
"""Seconds between two questions, and what is added for who asks too often (RFC 8628, 3.5)."""


class Devices:
    """Devices that wait."""

    def __init__(
        self, rows: Table[DeviceRow], granted: Granted, settings: ProviderSettings, host: Host, clock: Clock
    ) -> None:
        self._rows = rows
        self._granted = granted
        self._settings = settings
        self._host = host
        self._clock = clock

    async def begin(self, client: ClientRow, scope: str, resource: tuple[str, ...]) -> DeviceAnswer:
        """What the device shows. Raises Refused."""
        if DEVICE not in client.grants:
            raise refused("unauthorized_client", "This client may not ask in this way.")
        now, seconds = self._clock.now(), self._settings.seconds("device")
        code = secret_of(self._clock)
        shown = "".join(self._clock.random.choice(_LETTERS) for _ in range(8))
        await self._add(
            DeviceRow(
                hash=digest(code), user_code=digest(shown), client=client.id, scope=scope_of_person(scope, client),
                resources=resources(resource, client, self._host), state="waiting", granted="", interval=_INTERVAL,
                polled=now - timedelta(seconds=_INTERVAL), ends=now + timedelta(seconds=seconds),
            )
        )  # fmt: skip
        page, shown = f"{self._settings.issuer}/device", f"{shown[:4]}-{shown[4:]}"
        return DeviceAnswer(
            device_code=code, user_code=shown, verification_uri=page,
            verification_uri_complete=f"{page}?user_code={shown}", expires_in=int(seconds), interval=_INTERVAL,
        )  # fmt: skip

    async def poll(self, code: str, client: ClientRow) -> DeviceRow:
        """The device, once somebody let it in. Raises Refused till then."""
        row = await self._rows.get(digest(code))
        if row is None or row.client != client.id:
            raise refused("invalid_grant", "This code is unknown.")
        if row.state == "done":
            await self._granted.revoke(row.granted)
            raise refused("invalid_grant", "This code was used.")
        if row.ends <= self._clock.now():
            raise refused("expired_token", "Nobody answered in time.")
        if row.state == "denied":
            raise refused("access_denied", "It was denied.")
        if row.state == "waiting":
            if await self._asked(row.hash):
                raise refused("authorization_pending", "Nobody has answered yet.")
            raise refused("slow_down", "Ask less often.")
        return row

    @atomic
    async def _add(self, row: DeviceRow) -> None:
        await self._rows.add(row)

    @atomic
    async def _asked(self, hash: str) -> bool:
        """Note that it asked; False where that was too soon."""
        row = await self._rows.get(hash, lock=True)
        if row is None:
            return True
        now = self._clock.now()
        soon = now - row.polled < timedelta(seconds=row.interval)
        await self._rows.put(row.replace(polled=now, interval=row.interval + _INTERVAL if soon else row.interval))
        return not soon

"""Sign-ins and what comes of them: codes and refresh tokens are good once, and who uses one twice ends the sign-in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from enfilade.clock import Clock, make_id
from enfilade.identity.provider.clients import secret_of
from enfilade.identity.provider.rows import CodeRow, ConsentRow, DeviceRow, GrantedRow, LoginRow, RefreshRow
from enfilade.identity.provider.seal import digest
from enfilade.identity.provider.settings import ProviderSettings
from enfilade.store import Table, atomic


@dataclass(frozen=True)
class Tables:
    """Where it is kept."""

    logins: Table[LoginRow]
    consents: Table[ConsentRow]
    granted: Table[GrantedRow]
    codes: Table[CodeRow]
    refreshes: Table[RefreshRow]
    devices: Table[DeviceRow]


@dataclass(frozen=True)
class Entered:
    """Somebody has just signed in, in a browser that had another cookie before."""

    login: LoginRow
    before: str
    """Hash of that cookie."""


@dataclass(frozen=True)
class Allowed:
    """What somebody has just allowed, to be stored together."""

    granted: GrantedRow
    consent: ConsentRow
    code: CodeRow | None = None
    device: DeviceRow | None = None


class Granted:
    """Keeps them."""

    def __init__(self, tables: Tables, settings: ProviderSettings, clock: Clock, ended: Callable[[str], None]) -> None:
        """`ended` is told of each sign-in that ends before its time."""
        self._tables = tables
        self._told = ended
        self._settings = settings
        self._clock = clock

    def sign_in(
        self, client: str, login: LoginRow, scope: str, resources: tuple[str, ...], nonce: str = ""
    ) -> GrantedRow:
        """The sign-in at a client of somebody who is signed in here."""
        ends = self._clock.now() + timedelta(seconds=self._settings.seconds("refresh"))
        return GrantedRow(
            id=make_id(self._clock, "gra"), client=client, subject=login.subject, scope=scope, resources=resources,
            nonce=nonce, at=login.at, assurance=login.assurance, login=login.hash, revoked=False, ends=ends,
        )  # fmt: skip

    @atomic
    async def store(self, entered: Entered | None, allowed: Allowed | None) -> bool:
        """What one step of somebody in a browser comes to. False where the device was answered meanwhile."""
        tables = self._tables
        if entered is not None:
            await tables.logins.delete(entered.before)
            await tables.logins.add(entered.login)
        if allowed is None:
            return True
        if allowed.device is not None:
            waiting = await tables.devices.get(allowed.device.hash, lock=True)
            if waiting is None or waiting.state != "waiting":
                return False
            await tables.devices.put(allowed.device)
        if allowed.code is not None:
            await tables.codes.add(allowed.code)
        await tables.granted.add(allowed.granted)
        await tables.consents.delete(allowed.consent.subject, allowed.consent.client)
        await tables.consents.add(allowed.consent)
        return True

    async def code(self, code: str) -> tuple[CodeRow, GrantedRow] | None:
        """The code and its sign-in."""
        row = await self._tables.codes.get(digest(code))
        granted = await self._tables.granted.get(row.granted) if row is not None else None
        return (row, granted) if row is not None and granted is not None else None

    async def refresh(self, token: str) -> tuple[RefreshRow, GrantedRow] | None:
        """The refresh token and its sign-in."""
        row = await self._tables.refreshes.get(digest(token))
        granted = await self._tables.granted.get(row.granted) if row is not None else None
        return (row, granted) if row is not None and granted is not None else None

    async def find(self, id: str) -> GrantedRow | None:
        return await self._tables.granted.get(id)

    async def holds(self, id: str) -> bool:
        """Whether a sign-in is still good."""
        row = await self._tables.granted.get(id)
        return row is not None and not row.revoked and row.ends > self._clock.now()

    @atomic
    async def use(self, used: CodeRow | RefreshRow, *, refreshable: bool) -> str | None:
        """Use a code or a refresh token up, and give the next refresh token, `""` where there is to be none.

        None where it had been used before: then the sign-in ends, for one of the two who used it has stolen it (RFC
        9700, 2.2.2 and 4.14).
        """
        tables = self._tables
        if isinstance(used, CodeRow):
            code = await tables.codes.get(used.hash, lock=True)
            first = code is not None and not code.used
            if code is not None and first:
                await tables.codes.put(code.replace(used=True))
        else:
            token = await tables.refreshes.get(used.hash, lock=True)
            first = token is not None and not token.used
            if token is not None and first:
                await tables.refreshes.put(token.replace(used=True))
        granted = await tables.granted.get(used.granted, lock=True)
        if granted is None or granted.revoked:
            return None
        if not first:
            await self._end(granted)
            return None
        return await self._next(granted) if refreshable else ""

    @atomic
    async def take(self, device: DeviceRow, *, refreshable: bool) -> str | None:
        """What a device that was let in gets, once: its refresh token, `""` for none; None where it has it already."""
        row = await self._tables.devices.get(device.hash, lock=True)
        granted = await self._tables.granted.get(device.granted)
        if row is None or row.state != "allowed" or granted is None or granted.revoked:
            return None
        await self._tables.devices.put(row.replace(state="done"))
        return await self._next(granted) if refreshable else ""

    @atomic
    async def revoke(self, id: str) -> None:
        """End a sign-in."""
        row = await self._tables.granted.get(id, lock=True)
        if row is not None and not row.revoked:
            await self._end(row)

    @atomic
    async def log_out(self, login: str) -> None:
        """Sign a browser out: what came of it ends, but for what was allowed for offline use."""
        await self._tables.logins.delete(login)
        for row in await self._tables.granted.find("login = :login", login=login):
            if "offline_access" not in row.scope.split() and not row.revoked:
                await self._end(row)

    async def _end(self, granted: GrantedRow) -> None:
        await self._tables.granted.put(granted.replace(revoked=True))
        self._told(granted.id)

    async def _next(self, granted: GrantedRow) -> str:
        token = secret_of(self._clock)
        await self._tables.refreshes.add(
            RefreshRow(hash=digest(token), granted=granted.id, used=False, ends=granted.ends)
        )
        return token

    @atomic
    async def deny(self, device: DeviceRow) -> None:
        """Tell a device that it may not."""
        row = await self._tables.devices.get(device.hash, lock=True)
        if row is not None and row.state == "waiting":
            await self._tables.devices.put(row.replace(state="denied"))

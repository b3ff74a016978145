"""Keeps the digests of API keys, and says for whom a key acts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, final

from enfilade.call import Principal, acting, current
from enfilade.contract.marks import Key, Owned, Sensitive
from enfilade.contract.page import FIRST, Page, Paging
from enfilade.errors import Forbidden
from enfilade.identity.apikeys import spelling
from enfilade.identity.apikeys.contract import (
    ApiKey,
    ApiKeys,
    Days,
    Hours,
    IssuedKey,
    KeyRefused,
    Label,
    ScopeNotYours,
    Scopes,
    UnknownApiKey,
)
from enfilade.store import Row, Table, atomic

_SEEN: Final = timedelta(hours=1)
"""How exactly the last use is known: a write for each use would cost more than the call it is for."""


class ApiKeyRow(Row):
    id: Key[str]
    owner: Owned[str]
    kind: Literal["user", "service", "agent"]
    realm: str
    """The tenant of its owner: who asks about a key is of none."""
    label: str
    digest: Sensitive[str]
    scopes: tuple[str, ...]
    created: datetime
    expires: datetime
    used: datetime | None = None


@final
@dataclass
class ApiKeysService(ApiKeys):
    rows: Table[ApiKeyRow]

    async def create(self, label: Label, scopes: Scopes = (), days: Days = 90) -> IssuedKey:
        key, row = _made(label, scopes, days)
        await self._add(row)
        return IssuedKey(key=key, about=row.into(ApiKey))

    async def keys(self, page: Paging = FIRST) -> Page[ApiKey]:
        found = await self.rows.page(page, order="created desc")
        return Page(items=tuple(row.into(ApiKey) for row in found.items), next=found.next)

    async def rotate(self, id: str, overlap: Hours = 24, days: Days = 90) -> IssuedKey:
        old = await self.rows.get(id)
        if old is None:
            raise UnknownApiKey()
        key, row = _made(old.label, old.scopes, days)
        await self._add(row, old.replace(expires=min(old.expires, current().now + timedelta(hours=overlap))))
        return IssuedKey(key=key, about=row.into(ApiKey))

    async def revoke(self, id: str) -> None:
        if not await self._drop(id):
            raise UnknownApiKey()

    async def identify(self, key: Sensitive[str]) -> Principal:
        id = spelling.id_of(key)
        row = await self.rows.get(id) if id is not None else None
        now = current().now
        if row is None or not spelling.same(key, row.digest) or row.expires <= now:
            raise KeyRefused()
        if row.used is None or now - row.used >= _SEEN:
            with acting(tenant=row.realm):
                await self._note(row.replace(used=now))
        return Principal(
            subject=row.owner,
            kind=row.kind,
            tenant=row.realm,
            scopes=frozenset(row.scopes),
            client=f"key:{row.id}",
        )

    @atomic
    async def _add(self, *rows: ApiKeyRow) -> None:
        await self.rows.put(*rows)

    @atomic
    async def _note(self, row: ApiKeyRow) -> None:
        if await self.rows.get(row.id, lock=True) is not None:  # or it was taken back meanwhile
            await self.rows.put(row)

    @atomic
    async def _drop(self, id: str) -> bool:
        return await self.rows.delete(id)


def _made(label: str, scopes: tuple[str, ...], days: int) -> tuple[str, ApiKeyRow]:
    """A new key and its row. Raises ScopeNotYours; a key makes no keys, or a thief of one would never lose it."""
    call = current()
    caller = call.caller
    if caller is None or caller.client.startswith("key:"):
        raise Forbidden(detail="A key is made by whoever it acts for, signed in, and not by another key.")
    foreign = tuple(sorted(set(scopes) - caller.scopes))
    if foreign:
        raise ScopeNotYours(scopes=foreign)
    id, key = spelling.new()
    row = ApiKeyRow(
        id=id, owner=caller.subject, kind=caller.kind, realm=call.tenant, label=label, digest=spelling.digest(key),
        scopes=tuple(sorted(scopes)), created=call.now, expires=call.now + timedelta(days=days),
    )  # fmt: skip
    return key, row

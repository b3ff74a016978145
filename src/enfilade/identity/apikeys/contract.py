"""API keys, as their owners manage them and the platform asks about them."""

from datetime import datetime
from typing import Annotated, Protocol

from enfilade.call import Principal
from enfilade.contract.declare import command, contract, query
from enfilade.contract.limit import Rate
from enfilade.contract.marks import Meta, Sensitive
from enfilade.contract.message import Message
from enfilade.contract.need import Owner, any_tenant, peers
from enfilade.contract.page import FIRST, Page, Paging
from enfilade.errors import Problem

Label = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$", examples=["warehouse scanner"])]
Word = Annotated[str, Meta(min_length=1, max_length=200, pattern=r'^[^\s"\\]+$', examples=["orders:read"])]
Scopes = Annotated[tuple[Word, ...], Meta(max_length=50)]
Days = Annotated[int, Meta(ge=1, le=3650)]
Hours = Annotated[int, Meta(ge=0, le=24 * 30)]


class ApiKey(Message):
    """A key, without its secret."""

    id: str
    label: str
    scopes: tuple[str, ...]
    created: datetime
    expires: datetime
    used: datetime | None = None
    """When it was used last, to within an hour."""


class IssuedKey(Message):
    """A new key. Its secret is told here, and never again."""

    key: Sensitive[str]
    """Goes into `X-API-Key`, or after `Authorization: ApiKey`."""
    about: ApiKey


class UnknownApiKey(Problem, status=404):
    """No key of yours has this id."""


class ScopeNotYours(Problem, status=403):
    """A key has no more rights than whoever makes it."""

    scopes: tuple[str, ...]


class KeyRefused(Problem, status=401):
    """The key is not known, has expired or was taken back."""


@contract(owner="platform", version=1)
class ApiKeys(Protocol):
    @command("POST /api-keys", status=201, needs=Owner, raises=[ScopeNotYours], rate=Rate("60/hour", per="caller"))
    async def create(self, label: Label, scopes: Scopes = (), days: Days = 90) -> IssuedKey:
        """Make a key that acts for you, with some of your scopes, for so many days."""
        ...

    @query("GET /api-keys", needs=Owner)
    async def keys(self, page: Paging = FIRST) -> Page[ApiKey]:
        """Your keys, the newest first."""
        ...

    @command(
        "POST /api-keys/{id}/rotation",
        status=201,
        needs=Owner,
        raises=[UnknownApiKey, ScopeNotYours],
        rate=Rate("60/hour", per="caller"),
    )
    async def rotate(self, id: str, overlap: Hours = 24, days: Days = 90) -> IssuedKey:
        """Make a key in the place of one, which stays good for so many hours more."""
        ...

    @command("DELETE /api-keys/{id}", status=204, needs=Owner, raises=[UnknownApiKey])
    async def revoke(self, id: str) -> None:
        """Take a key back. Processes that have just seen it believe it for half a minute more."""
        ...

    @command(needs=peers & any_tenant, raises=[KeyRefused])
    async def identify(self, key: Sensitive[str]) -> Principal:
        """Whom a key acts for."""
        ...

"""Users: the platform's own people, for an app that has no accounts of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Protocol

from enfilade.contract.declare import command, contract, query
from enfilade.contract.marks import Meta, Sensitive
from enfilade.contract.message import Message
from enfilade.contract.need import any_tenant, peers
from enfilade.contract.page import FIRST, Page, Paging
from enfilade.errors import Problem
from enfilade.identity.people import People, UnknownPerson

Login = Annotated[str, Meta(pattern=r"^[^\s\x00-\x1f]+$", max_length=254)]
Password = Annotated[str, Meta(min_length=8, max_length=1024)]
Role = Annotated[str, Meta(pattern=r"^[^\s]+$", max_length=100)]


class User(Message):
    """Somebody who may sign in by name and password."""

    id: str
    login: Sensitive[str]
    """Unique within his tenant, however it is written."""
    realm: str
    """His tenant; empty for the app's own staff."""
    name: Sensitive[str]
    email: Sensitive[str]
    roles: tuple[str, ...]
    since: datetime


class LoginTaken(Problem, status=409):
    """Another user of this tenant has this login."""


@contract(needs=peers & any_tenant, owner="platform")
class Users(People, Protocol):
    """Keeps people with their passwords, for peers and for the command line."""

    @command(raises=[LoginTaken])
    async def add(
        self,
        login: Sensitive[Login],
        password: Sensitive[Password],
        realm: str = "",
        name: Sensitive[str] = "",
        email: Sensitive[str] = "",
        roles: tuple[Role, ...] = (),
    ) -> User:
        """Let somebody in from now on."""
        ...

    @query()
    async def users(self, realm: str = "", page: Paging = FIRST) -> Page[User]:
        """The users of a tenant, the oldest first."""
        ...

    @command(raises=[UnknownPerson])
    async def change_password(self, id: str, password: Sensitive[Password]) -> None:
        """Give somebody another password."""
        ...

    @command(raises=[UnknownPerson])
    async def remove(self, id: str) -> None:
        """Let somebody in no more. Tokens that he has are refreshed no more."""
        ...

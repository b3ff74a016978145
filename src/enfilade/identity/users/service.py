"""Serves users: a table of them, with argon2 hashes of their passwords."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import final

from enfilade.call import acting, current_or_none
from enfilade.clock import Clock, make_id
from enfilade.contract.marks import Index, Key, Sensitive
from enfilade.contract.page import FIRST, Page, Paging
from enfilade.identity.passwords import Passwords
from enfilade.identity.people import LoginRefused, Person, UnknownPerson
from enfilade.identity.users.contract import Login, LoginTaken, Password, Role, User, Users
from enfilade.store import Row, Table, Taken, atomic


class UserRow(Row):
    id: Key[str]
    realm: Index[str]
    login: Sensitive[str]
    name: Sensitive[str]
    email: Sensitive[str]
    password: Sensitive[str]
    """Its argon2 hash."""
    roles: tuple[str, ...]
    since: datetime


class LoginNameRow(Row):
    """Whose login it is. A table of its own, so that a login is found by its key: at once, however many try."""

    realm: Key[str]
    folded: Key[Sensitive[str]]
    """The login as it is looked for."""
    user: str


@final
@dataclass
class UsersService(Users):
    rows: Table[UserRow]
    names: Table[LoginNameRow]
    passwords: Passwords
    clock: Clock

    async def authenticate(self, login: Sensitive[str], password: Sensitive[str], tenant: str = "") -> Person:
        with _of_nobody():
            return await self._authenticate(login, password, tenant)

    async def _authenticate(self, login: str, password: str, tenant: str) -> Person:
        row = await self.find(login, tenant)
        # Where there is no such user it takes as long: nobody learns here who is one.
        if not await self.passwords.verify(row and row.password, password) or row is None:
            raise LoginRefused()
        if self.passwords.needs_rehash(row.password):
            await self._password(row.id, await self.passwords.hash(password))
        return _person(row)

    async def person(self, subject: str) -> Person:
        with _of_nobody():
            row = await self.rows.get(subject)
        if row is None:
            raise UnknownPerson()
        return _person(row)

    async def add(
        self,
        login: Sensitive[Login],
        password: Sensitive[Password],
        realm: str = "",
        name: Sensitive[str] = "",
        email: Sensitive[str] = "",
        roles: tuple[Role, ...] = (),
    ) -> User:
        row = UserRow(
            id=make_id(self.clock, "usr"), realm=realm, login=login, name=name, email=email,
            password=await self.passwords.hash(password), roles=roles, since=self.clock.now(),
        )  # fmt: skip
        try:
            with _of_nobody():
                await self._add(row)
        except Taken as taken:
            raise LoginTaken() from taken
        return row.into(User)

    async def users(self, realm: str = "", page: Paging = FIRST) -> Page[User]:
        with _of_nobody():
            found = await self.rows.page(page, "realm = :realm", order="since", realm=realm)
        return Page(items=tuple(row.into(User) for row in found.items), next=found.next)

    async def change_password(self, id: str, password: Sensitive[Password]) -> None:
        secret = await self.passwords.hash(password)
        with _of_nobody():
            if not await self._password(id, secret):
                raise UnknownPerson()

    async def remove(self, id: str) -> None:
        with _of_nobody():
            if not await self._remove(id):
                raise UnknownPerson()

    async def find(self, login: str, tenant: str) -> UserRow | None:
        """The user of this name."""
        name = await self.names.get(tenant, _folded(login))
        return None if name is None else await self.rows.get(name.user)

    @atomic
    async def _add(self, row: UserRow) -> None:
        await self.names.add(LoginNameRow(realm=row.realm, folded=_folded(row.login), user=row.id))
        await self.rows.add(row)

    @atomic
    async def _password(self, id: str, hash: str) -> bool:
        row = await self.rows.get(id, lock=True)
        if row is not None:
            await self.rows.put(row.replace(password=hash))
        return row is not None

    @atomic
    async def _remove(self, id: str) -> bool:
        row = await self.rows.get(id)
        if row is None:
            return False
        await self.names.delete(row.realm, _folded(row.login))
        return await self.rows.delete(id)


def _of_nobody() -> AbstractContextManager[None]:
    """Users are rows of no tenant, whoever adds them: whose they are says their `realm`."""
    return nullcontext() if current_or_none() is None else acting(tenant="")


def _folded(login: str) -> str:
    return login.strip().casefold()


def _person(row: UserRow) -> Person:
    return Person(subject=row.id, tenant=row.realm, name=row.name, email=row.email, roles=row.roles)

"""Keeps accounts; lets their owners in."""

from dataclasses import dataclass
from datetime import datetime
from typing import final

from enfilade import Sensitive
from enfilade.identity.people import LoginRefused, Person, UnknownPerson
from enfilade.service import (
    Key,
    Owned,
    Passwords,
    Row,
    Table,
    Taken,
    Topic,
    Unique,
    atomic,
    current,
    new_id,
)
from shop.accounts.contract import (
    Account,
    Accounts,
    Contact,
    Email,
    EmailTaken,
    Name,
    Password,
    SignedUp,
    UnknownAccount,
)


class AccountRow(Row):
    id: Owned[Key[str]]
    name: str
    email: Unique[str]
    password: Sensitive[str]
    """Its argon2 hash."""
    since: datetime


@final
@dataclass
class AccountsService(Accounts):
    accounts: Table[AccountRow]
    signed_up: Topic[SignedUp]
    passwords: Passwords

    async def sign_up(self, name: Name, email: Email, password: Sensitive[Password]) -> Account:
        secret = await self.passwords.hash(password)
        row = AccountRow(id=new_id("acc"), name=name, email=email.lower(), password=secret, since=current().now)
        try:
            return await self._open(row)
        except Taken as taken:
            raise EmailTaken() from taken

    @atomic
    async def _open(self, row: AccountRow) -> Account:
        await self.accounts.add(row)
        account = row.into(Account)
        await self.signed_up.publish(SignedUp(account=account))
        return account

    async def authenticate(self, login: Sensitive[str], password: Sensitive[str], tenant: str = "") -> Person:
        rows = await self.accounts.find("email = :email", email=login.strip().lower())
        # Where there is no account it takes as long: nobody learns here who has one.
        if not await self.passwords.verify(rows[0].password if rows else None, password):
            raise LoginRefused()
        return _person(rows[0])

    async def person(self, subject: str) -> Person:
        row = await self.accounts.get(subject)
        if row is None:
            raise UnknownPerson()
        return _person(row)

    async def account(self) -> Account:
        return (await self._row(current().me)).into(Account)

    async def contact(self, account: str) -> Contact:
        return (await self._row(account)).into(Contact)

    async def _row(self, id: str) -> AccountRow:
        row = await self.accounts.get(id)
        if row is None:
            raise UnknownAccount()
        return row


def _person(row: AccountRow) -> Person:
    """A customer, as tokens name him. None of them has a role: who works here logs in elsewhere."""
    return Person(subject=row.id, name=row.name, email=row.email)

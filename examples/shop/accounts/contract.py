"""Accounts: who the customers are, and how they prove it."""

from datetime import datetime
from typing import Annotated, Protocol

from enfilade import (
    Event,
    Level,
    Message,
    Meta,
    Owner,
    Problem,
    Rate,
    Sensitive,
    anyone,
    command,
    contract,
    peers,
    query,
)
from enfilade.identity.people import People

Email = Annotated[str, Meta(pattern=r"^[\w.+-]+@[\w-]+(\.[\w-]+)+$", max_length=254, examples=["ann@example.com"])]
Name = Annotated[str, Meta(pattern=r"^[^\x00-\x1f]+$", max_length=100, examples=["Ann Arbor"])]
Password = Annotated[str, Meta(min_length=8, max_length=200, examples=["correct horse"])]


class Account(Message):
    """A customer, as he sees himself."""

    id: str
    name: str
    email: Sensitive[str]
    since: datetime


class Contact(Message):
    """How a customer is written to."""

    name: str
    email: Sensitive[str]


class SignedUp(Event, key="account.id"):
    """Said once the account is stored."""

    account: Account


class EmailTaken(Problem, status=409):
    """Another account has this e-mail address."""


class UnknownAccount(Problem, status=404):
    """No account has this id."""


@contract(owner="customers", version=1, level=Level(p99=0.5, availability=0.999))
class Accounts(People, Protocol):
    """Who may log in is asked by the provider; see `People`."""

    @command("POST /accounts", status=201, raises=[EmailTaken], needs=anyone, rate=Rate("60/minute", per="address"))
    async def sign_up(self, name: Name, email: Email, password: Sensitive[Password]) -> Account:
        """Open an account."""
        ...

    @query("GET /account", raises=[UnknownAccount], needs=Owner)
    async def account(self) -> Account:
        """The caller's own account."""
        ...

    @query(raises=[UnknownAccount], needs=peers)
    async def contact(self, account: str) -> Contact:
        """How to write to a customer."""
        ...

"""Who lets people in: the role that a provider asks of the app's own service, or of the platform's `Users`.

@contract(owner="customers")
class Accounts(People, Protocol):       # whoever serves Accounts serves People
    ...
"""

from __future__ import annotations

from typing import Protocol

from enfilade.contract.declare import command, query
from enfilade.contract.marks import Sensitive
from enfilade.contract.message import Message
from enfilade.contract.need import any_tenant, peers
from enfilade.errors import Problem


class Person(Message):
    """Somebody who may sign in."""

    subject: str
    """His id for good: what tokens and rows name him by."""
    tenant: str = ""
    name: Sensitive[str] = ""
    email: Sensitive[str] = ""
    email_verified: bool = False
    roles: tuple[str, ...] = ()
    assurance: str = ""
    """How well he proved who he is, as an authentication context class (`acr`); of one login, not of the person."""


class LoginRefused(Problem, status=403):
    """There is nobody with this name and password."""


class UnknownPerson(Problem, status=404):
    """Nobody has this subject, or he may not sign in any more."""


class People(Protocol):
    """Knows people by their passwords and by their subjects.

    Who signs in is of no tenant yet, so these operations see the rows of all; `with acting(tenant=tenant):` narrows it.
    """

    @command(needs=peers & any_tenant, raises=[LoginRefused])
    async def authenticate(self, login: Sensitive[str], password: Sensitive[str], tenant: str = "") -> Person:
        """Who this is. An unknown login takes as long as a wrong password, and is refused with the same words."""
        ...

    @query(needs=peers & any_tenant, raises=[UnknownPerson])
    async def person(self, subject: str) -> Person:
        """The person as he is now; asked whenever a token is made for him."""
        ...

"""What a tenant's plan allows: a role that a service of the app plays, and the meters ask.

@contract(owner="team-sales", needs=signed_in)
class Accounts(Plans, Protocol): ...
"""

from __future__ import annotations

from typing import Protocol

from enfilade.contract.declare import contract, query
from enfilade.contract.message import Message
from enfilade.contract.need import any_tenant, peers


class Allowance(Message):
    """What somebody may take of a meter in its period."""

    limit: int | None = None
    """In whole units (bytes, tokens, minor units of a currency); None is what the contract says."""


@contract(needs=peers & any_tenant)
class Plans(Protocol):
    """Knows what was agreed on with each tenant."""

    @query(timeout=2)
    async def allowance(self, tenant: str, meter: str) -> Allowance:
        """What a tenant may take of the meter of this name."""
        ...

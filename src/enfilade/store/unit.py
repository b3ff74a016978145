"""The open unit of work, and what may not be done while it is open."""

from __future__ import annotations

from enfilade.call import current_or_none
from enfilade.errors import Misuse


def refuse_in_unit(what: str) -> None:
    """Raises Misuse where a unit of work is open: `refuse_in_unit("a contract call")`."""
    call = current_or_none()
    if call is not None and call.unit is not None:
        raise Misuse(
            f"{call.operation.id}: {what} inside @atomic. A unit of work may run again, and others wait for it: "
            f"do it before the @atomic method and pass the result in, or after it."
        )

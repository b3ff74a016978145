"""A handler with the row of stations before it: what the app makes of each `@on` and `@every` method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from enfilade.call import Handler
from enfilade.contract.operation import Operation
from enfilade.errors import Finding, StartError
from enfilade.topic.handlers import Heard, Scheduled, handlers_of, operation_for, schedules_of


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """One who hears, by the id of its operation: `notifications.thank`."""

    said: Heard | Scheduled
    operation: Operation
    handler: Handler
    """The row, and the method at its end."""

    @property
    def id(self) -> str:
        return self.operation.id

    @property
    def topic(self) -> str:
        """What it hears; a schedule hears itself."""
        return self.said.topic if isinstance(self.said, Heard) else self.operation.id


def consumers_of(
    service: type, name: str, row: Callable[[Operation], Handler], *, timeout: float = 30.0
) -> tuple[Consumer, ...]:
    """All handlers and schedules of a service's class, `row` making the handler of each. Raises StartError.

    consumers_of(OrdersService, "orders", lambda operation: row(operation, stations, hosted(operation, instance)))
    """
    findings: list[Finding] = []
    said: list[Heard | Scheduled] = []
    for read in (handlers_of, schedules_of):
        try:
            said.extend(read(service))
        except StartError as wrong:  # the mistakes of both are shown at once
            findings.extend(wrong.findings)
    if findings:
        raise StartError(findings)
    operations = [(one, operation_for(one, name, timeout=timeout)) for one in said]
    return tuple(Consumer(said=one, operation=operation, handler=row(operation)) for one, operation in operations)

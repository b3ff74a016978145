"""Who did what: one line of JSON on the logger `enfilade.audit` for every command and every refusal.

The message is the line, so that a handler of its own may write it anywhere. Where nobody listens at INFO, none is made.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any

import msgspec

from enfilade.call import Call, Handler, Station, when_done
from enfilade.contract.mask import masked
from enfilade.contract.operation import Operation
from enfilade.errors import Forbidden, Unauthenticated

log = logging.getLogger("enfilade.audit")


def audit() -> Station:
    """Writes who called which operation for whom, with the parameters that say of what, and how it ended.

    Parameters are those of the path and those marked `Key`; never one that is `Sensitive`. A refusal is 401 or 403. Of
    queries between services only those are written that a station refuses: what the service itself refuses is written
    for the call from outside that it ends.
    """

    def station(operation: Operation, handler: Handler) -> Handler:
        command = operation.kind == "command"
        enabled = log.isEnabledFor

        async def watched(call: Call) -> Any:
            try:
                reply = await handler(call)
            except BaseException as error:
                if command or isinstance(error, (Unauthenticated, Forbidden)):
                    _write(call, error)
                raise
            return when_done(operation, reply, lambda error: _write(call, error)) if command else reply

        def audited(call: Call) -> Awaitable[Any]:
            if not enabled(logging.INFO):
                return handler(call)
            if command or not call.peer:
                return watched(call)
            try:
                return handler(call)
            except (Unauthenticated, Forbidden) as refusal:
                _write(call, refusal)
                raise

        return audited

    return station


def _write(call: Call, error: BaseException | None) -> None:
    operation, caller = call.operation, call.caller
    line: dict[str, object] = {
        "at": f"{call.now:%Y-%m-%dT%H:%M:%S.%fZ}",
        "operation": operation.id,
        "kind": operation.kind,
        "who": "" if caller is None else caller.subject,
        "as": "" if caller is None else caller.kind,
        "issuer": "" if caller is None else caller.issuer,
        "tenant": call.tenant,
        "peer": call.peer,
        "address": call.address,
        "outcome": "ok" if error is None else type(error).__name__,
        "trace_id": f"{call.trace_id:032x}" if call.trace_id else "",
        "parameters": {
            one.name: masked(call.arguments[one.name], one.type)
            for one in operation.parameters
            if (one.key or one.place == "path") and not one.sensitive and one.name in call.arguments
        },
    }
    log.info(msgspec.json.encode({name: value for name, value in line.items() if value not in ("", {})}).decode())

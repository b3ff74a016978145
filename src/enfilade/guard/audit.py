"""Who did what to which object, and by which right: one line of JSON for every command and every refusal.

Lines go to the trail, the app's own files (see trail.py), and to the logger `enfilade.audit`, whose message is the
line, so that a handler of its own may send it anywhere. Where neither takes any, none is made.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from enfilade.call import Call, Handler, Station, when_done
from enfilade.contract.mask import masked
from enfilade.contract.need import AnyTenant, parts
from enfilade.contract.operation import Operation
from enfilade.contract.rewrite import stamp
from enfilade.contract.shape import shape
from enfilade.errors import Forbidden, Unauthenticated
from enfilade.guard.trail import Trail
from enfilade.hidden import hide

log = logging.getLogger("enfilade.audit")


class _Line(msgspec.Struct, omit_defaults=True, rename={"as_": "as"}):
    at: str
    operation: str
    kind: str
    outcome: str
    who: str = ""
    as_: str = ""
    client: str = ""
    actors: tuple[str, ...] = ()
    issuer: str = ""
    tenant: str = ""
    any_tenant: bool = False
    acted: tuple[str, ...] = ()
    """The tenants that an operation of all of them narrowed itself to."""
    peer: str = ""
    address: str = ""
    needs: str = ""
    policies: tuple[str, ...] = ()
    trace_id: str = ""
    parameters: dict[str, Any] = {}
    result: str = ""
    """The id of what was made or changed, where the answer has one."""


_encode = msgspec.json.Encoder().encode
_REFUSALS: Final = (Unauthenticated, Forbidden)


def audit(trail: Trail | None = None) -> Station:
    """Writes who called which operation for whom, with the parameters that say of what, and how it ended.

    Parameters are those of the path and those marked `Key`; never one that is `Sensitive`. A refusal is 401 or 403. Of
    queries those of all tenants are written; between services only those that a station refuses: what the service
    itself refuses is written for the call from outside that it ends. Of rehearsals none is written.
    """

    def station(operation: Operation, handler: Handler) -> Handler:
        crosses = any(isinstance(part, AnyTenant) for part in parts(operation.needs))
        always = crosses or operation.kind == "command"
        write = _writer(operation, trail)

        async def watched(call: Call) -> Any:
            try:
                reply = await handler(call)
            except BaseException as error:
                if always or isinstance(error, _REFUSALS):
                    write(call, error)
                raise
            return when_done(operation, reply, lambda error: write(call, error, reply)) if always else reply

        def audited(call: Call) -> Awaitable[Any]:
            if always or not call.peer:
                return watched(call) if trail is not None or log.isEnabledFor(logging.INFO) else handler(call)
            try:
                return handler(call)
            except _REFUSALS as refusal:
                write(call, refusal)
                raise

        return audited

    return station


def _writer(operation: Operation, trail: Trail | None) -> Callable[..., None]:
    line = _liner(operation)

    def write(call: Call, error: BaseException | None, reply: Any = None) -> None:
        listened = log.isEnabledFor(logging.INFO)
        if call.sent or call.rehearsal or (trail is None and not listened):
            return
        text = hide(_encode(line(call, error, reply)).decode())
        if trail is not None:
            trail.write(text.encode())
        if listened:
            log.info(text)

    return write


def _liner(operation: Operation) -> Callable[[Call, BaseException | None, Any], _Line]:
    shown = [
        (one.name, one.type) for one in operation.parameters if (one.key or one.place == "path") and not one.sensitive
    ]
    id, kind, needs = operation.id, operation.kind, str(operation.needs)
    has_id = operation.style == "value" and _has_id(operation.result)

    def line(call: Call, error: BaseException | None, reply: Any) -> _Line:
        made = _Line(
            stamp(call.now),
            id,
            kind,
            "ok" if error is None else type(error).__name__,
        )
        caller = call.caller
        if caller is not None:
            made.who, made.as_, made.issuer = caller.subject, caller.kind, caller.issuer
            made.client, made.actors = caller.client, caller.actors
        made.tenant, made.any_tenant, made.acted = call.tenant, call.wide, call.acted
        made.peer, made.address = call.peer, call.address
        made.needs, made.policies = needs, call.policies
        if call.trace_id:
            made.trace_id = f"{call.trace_id:032x}"
        arguments = call.arguments
        made.parameters = {name: masked(arguments[name], type) for name, type in shown if name in arguments}
        if has_id and error is None:
            made.result = reply.id
        return made

    return line


def _has_id(result: Any) -> bool:
    """Whether the answer is a message whose `id` is text that anybody may read."""
    struct = shape(result).struct
    found = None if struct is None else next((one.shape for one in struct.fields if one.name == "id"), None)
    return found is not None and found.kind == "str" and not any(mark.name == "sensitive" for mark in found.marks)

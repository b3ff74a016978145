"""Again, or for the first time: a command under a key runs once, and is answered as often as it is asked.

The records are in the callee's own store, so that its unit of work commits the record together with the rows: a run
that ends after it leaves a record that knows what was done, and the next one with the key only finishes the answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from math import isfinite
from typing import Any, Final, TypeGuard, cast

import msgspec

from enfilade.call import Call, Handler, Station
from enfilade.contract.blob import Blob
from enfilade.contract.codec import codec
from enfilade.contract.operation import Operation
from enfilade.contract.problem import document, problem_from
from enfilade.errors import Conflict, FieldError, Invalid, Malformed, Problem, TooManyRequests
from enfilade.store import Record, Records

LONGEST: Final = 255
"""Characters of a key from outside; keys of calls between services are made from it and are longer."""
_LEASE: Final = 5.0
"""Seconds beyond the deadline that a run keeps its key, to write down how it ended."""
_VALUE, _PROBLEM = b"=", b"!"


def idempotency() -> Station:
    """Honours keys of commands where the callee has a store. A service that is served elsewhere keeps its own records.

    The answer that is given again is the result or a declared problem under 500; after anything else the key is free.
    The same key with another request is KeyReused (422), one that is still running Conflict (409). Keys are told apart
    by operation and by who sends them.
    """

    def station(operation: Operation, handler: Handler) -> Handler:
        if operation.kind != "command":
            return handler
        if operation.style in ("stream", "bytes"):
            return handler if operation.idempotent else _unkeyed(operation, handler)
        once = _once(operation, handler)

        def keyed(call: Call) -> Awaitable[Any]:
            # What is delivered twice, the inbox knows; of a rehearsal nothing is kept.
            if not call.key or call.delivery is not None or call.rehearsal:
                return handler(call)
            if not call.peer:
                _check(call.key)
            return handler(call) if call.home is None else once(call)

        return keyed

    return station


def _once(operation: Operation, handler: Handler) -> Handler:
    fingerprint = _fingerprint(operation)
    result = codec(operation.reply)

    async def once(call: Call) -> Any:
        records: Records = call.home.records
        record = await _claim(records, call, fingerprint(call))
        if record.state == "done":
            call.say("Idempotency-Replayed", "true")
            return _replay(operation, result.unpack, record.reply or b"")
        call.record = record  # the unit of work commits it, and knows more of it then
        try:
            reply = await handler(call)
        except BaseException as error:
            if _is_answer(error, operation):
                await records.finish(call.record, _PROBLEM + msgspec.json.encode(document(error)))
            else:
                await records.release(call.record)
            raise
        await records.finish(call.record, _VALUE + result.pack(reply))
        return reply

    return once


async def _claim(records: Records, call: Call, fingerprint: str) -> Record:
    left = call.deadline - call.clock.monotonic()
    who = call.caller.subject if call.caller else f"@{call.address}"
    principal = f"{call.peer}/{call.tenant}/{who}"
    try:
        lease = left + _LEASE if isfinite(left) else 60.0
        return await records.begin(call.key, call.operation.id, principal, fingerprint, lease)
    except Conflict:
        call.say("Retry-After", "1")
        raise


def _replay(operation: Operation, unpack: Callable[[bytes], Any], stored: bytes) -> Any:
    if stored[:1] == _PROBLEM:
        raise problem_from(msgspec.json.decode(stored[1:]), operation.raises)
    return unpack(stored[1:])


def _is_answer(error: BaseException, operation: Operation) -> TypeGuard[Problem]:
    """Whether asking again would be answered the same: not what is wrong for now, nor with this request's form."""
    return (
        isinstance(error, Problem)
        and isinstance(error, operation.raises)
        and error.status < 500
        and not isinstance(error, (TooManyRequests, Malformed, Invalid))
    )


def _fingerprint(operation: Operation) -> Callable[[Call], str]:
    """SHA-256 of the request message. A body that is a stream is not part of it: it cannot be read twice."""
    request, pack = operation.request, codec(operation.request).pack
    names = request.__struct_fields__

    def fingerprint(call: Call) -> str:
        arguments = {name: call.arguments[name] for name in names}
        for name, value in arguments.items():
            if isinstance(value, Blob):  # stored anew with each request, under a new id
                arguments[name] = msgspec.structs.replace(cast("Any", value), id="")
        return hashlib.sha256(pack(request(**arguments))).hexdigest()

    return fingerprint


def _check(key: str) -> None:
    if not (1 <= len(key) <= LONGEST and key.isascii() and key.isprintable()):
        wrong = FieldError(
            pointer="", parameter="Idempotency-Key", detail=f"Expected 1 to {LONGEST} printable characters."
        )
        raise Malformed(detail="The idempotency key cannot be used.", errors=(wrong,))


def _unkeyed(operation: Operation, handler: Handler) -> Handler:
    """What answers with a stream has no answer that could be kept: a key from outside would promise too much."""

    def refused(call: Call) -> Awaitable[Any]:
        if call.key and not call.peer:
            wrong = FieldError(
                pointer="", parameter="Idempotency-Key", detail="Not taken here: the answer is a stream."
            )
            raise Invalid(detail=f"{operation.id} cannot be repeated under a key.", errors=(wrong,))
        return handler(call)

    return refused

"""A contract that another process serves: its operations as handlers that ask there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final

from enfilade.call import Call, Handler
from enfilade.contract.operation import Contract, Operation
from enfilade.endpoint.rpc.agree import Incompatible, agree
from enfilade.endpoint.rpc.back import REPLY, SPENT, take
from enfilade.endpoint.rpc.connection import Answer, Lost
from enfilade.endpoint.rpc.context import write_context
from enfilade.endpoint.rpc.flow import Flow
from enfilade.endpoint.rpc.link import Link
from enfilade.endpoint.rpc.messages import Messages, envelope, messages, uploads
from enfilade.endpoint.rpc.refusal import Differs, read_refusal
from enfilade.endpoint.rpc.replica import Replica
from enfilade.errors import Invalid, Malformed, Unavailable

_EARLY: Final = 0.005
"""Seconds before a call's time is over at which its peer is given up, so that it is known who kept it waiting."""
_SAME: Final = 1.0
"""Seconds for which a contract that cannot be used is not looked at again."""
_UNIMPLEMENTED: Final = 501


def connect(contract: Contract, link: Link) -> Mapping[str, Handler]:
    """Handlers by operation id that ask the process which a link leads to."""
    return {one.id: _Asking(contract, one, link).handler for one in contract.operations}


class _Asking:
    """How one operation is asked."""

    def __init__(self, contract: Contract, operation: Operation, link: Link) -> None:
        self._contract = contract
        self._operation = operation
        self._link = link
        self._form: Messages = messages(operation, link.format)
        self._upload = uploads(operation)
        self._fingerprint = operation.fingerprint.encode()
        self._last = b"enfilade-contract: %b\r\n\r\n" % self._fingerprint
        path = operation.id.replace(".", "/", 1)
        media_type = self._form.media_type.decode()
        self._start = (f"POST /{path} HTTP/1.1\r\nhost: {operation.service}\r\ncontent-type: {media_type}\r\n").encode()
        stream = operation.style in ("stream", "bytes")
        self.handler: Handler = self._stream if stream else self._once if self._form.enveloped else self._unary

    # -- one message, one answer

    async def _unary(self, call: Call) -> Any:
        body = self._form.write_request(call.arguments)
        head = b"%b%bcontent-length: %d\r\n" % (self._start, write_context(call), len(body))
        until = call.deadline - _EARLY

        async def ask(replica: Replica, fingerprint: bytes) -> Any:
            line = b"%benfilade-contract: %b\r\n\r\n%b" % (head, fingerprint, body)
            return self._result(await replica.ask(line, until), call)

        failed: tuple[Replica, Unavailable] | None = None
        replica = self._link.sole
        if replica is not None and not (replica.fingerprints or replica.refused):
            # Nearly every call: the way through the link takes as long as all the rest of it.
            try:
                made = self._result(await replica.ask(b"%b%b%b" % (head, self._last, body), until), call)
            except Unavailable as error:
                failed = replica, error
            except Differs:
                pass
            else:
                replica.answered()
                return made
        return await self._link.through(call, lambda one: self._agreed(one, call, ask), failed=failed)

    def _result(self, answer: Answer, call: Call) -> Any:
        fields = answer.fields
        if REPLY in fields or SPENT in fields:
            take(fields, call)
        kind = fields.get(b"content-type", b"")
        if answer.status == 200 and kind == self._form.media_type:
            return self._read(answer.body)
        if answer.status == _UNIMPLEMENTED:
            raise Differs
        if kind.startswith(b"application/json"):
            raise read_refusal(answer.body, self._operation)
        raise Lost(f"{self._operation.id} was answered with {answer.status}, {kind.decode('latin-1')!r}")

    def _read(self, data: bytes) -> Any:
        try:
            return self._form.read(data)
        except (Invalid, Malformed) as wrong:  # theirs, not our caller's
            raise Lost(f"{self._operation.id} was answered with something else: {wrong}") from wrong

    async def _agreed(self, replica: Replica, call: Call, ask: Callable[[Replica, bytes], Awaitable[Any]]) -> Any:
        """Ask with the fingerprint that the replica has; where it has another one, find out whether that will do."""
        id = self._operation.id
        if id not in replica.refused:
            try:
                return await ask(replica, replica.fingerprints.get(id, self._fingerprint))
            except Differs:
                pass
        elif call.clock.monotonic() < replica.refused_until:
            raise Incompatible(replica.refused[id])
        await agree(self._contract, replica, call.deadline)
        if id in replica.refused:
            replica.refused_until = call.clock.monotonic() + _SAME
            raise Incompatible(replica.refused[id])
        try:
            return await ask(replica, replica.fingerprints[id])
        except Differs:
            raise Unavailable(f"{replica.address} changes what {id} is from call to call") from None

    # -- streams

    async def _once(self, call: Call) -> Any:
        """A stream of bytes goes there, and one answer comes back."""
        items = self._items(call)
        try:
            async for item in items:
                return item
        finally:
            await items.aclose()
        raise Lost(f"{self._operation.id} was answered with nothing")

    async def _stream(self, call: Call) -> AsyncGenerator[Any, None]:
        return self._items(call)

    async def _items(self, call: Call) -> AsyncGenerator[Any, None]:
        sent = self._sent(call)

        async def work(replica: Replica) -> Flow:
            if self._upload is not None and self._operation.id not in replica.fingerprints:
                await agree(self._contract, replica, call.deadline)  # what was sent cannot be sent again
            return await self._agreed(replica, call, begin)

        async def begin(replica: Replica, fingerprint: bytes) -> Flow:
            flow = Flow(call, replica, self._link.limit)
            head = b"%b%benfilade-contract: %b\r\n" % (self._start, write_context(call), fingerprint)
            messages = self._sent(call) if self._upload is None else sent
            await flow.begin(head, messages, self._form.media_type, call.deadline - _EARLY)
            return flow

        flow: Flow = await self._link.through(call, work, again=self._upload is None)
        try:
            async for message in flow.messages():
                yield self._read(message)
        finally:
            await flow.aclose()
            await sent.aclose()

    async def _sent(self, call: Call) -> AsyncGenerator[bytes]:
        yield envelope(self._form.write_request(call.arguments))
        if self._upload is not None:
            async for piece in call.arguments[self._upload]:
                yield envelope(self._form.write_piece(piece))

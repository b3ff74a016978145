"""The two ways into a running app: a call in process, and a request over HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from enfilade.call import Call, Principal
from enfilade.contract.codec import codec
from enfilade.contract.operation import Operation
from enfilade.endpoint.remote import asking
from enfilade.errors import Problem
from enfilade.testing import Caller, Stage


class Outcome(NamedTuple):
    """How it ended: an HTTP status, 200 for any result in process, and what was told."""

    status: int
    text: str

    @property
    def success(self) -> bool:
        return self.status < 400


class Door(Protocol):
    """A way in."""

    name: str

    def has(self, operation: Operation) -> bool:
        """Whether the operation can be called by this way."""
        ...

    async def call(self, operation: Operation, arguments: Mapping[str, Any], who: Principal | None) -> Outcome:
        """The operation with these arguments."""
        ...

    async def knock(self, operation: Operation, who: Principal | None) -> Outcome:
        """The operation with nothing that it asks for: whoever is let in fails behind the door."""
        ...


class InProcess:
    """Calls that begin in the app itself, as a script or a mounted page makes them."""

    name = "in process"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def has(self, operation: Operation) -> bool:
        return True

    async def call(self, operation: Operation, arguments: Mapping[str, Any], who: Principal | None) -> Outcome:
        try:
            reply = await self._handled(operation, arguments, who)
        except Problem as problem:
            return Outcome(problem.status, str(problem.detail))
        return Outcome(200, codec(operation.reply).encode(reply).decode())

    async def knock(self, operation: Operation, who: Principal | None) -> Outcome:
        try:
            await self._handled(operation, {}, who)
        except Problem as problem:
            return Outcome(problem.status, "")
        except Exception:  # what a service makes of no arguments is not the question
            return Outcome(500, "")
        return Outcome(200, "")

    def _handled(self, operation: Operation, arguments: Mapping[str, Any], who: Principal | None) -> Any:
        stage, tenant = self._stage, who.tenant if who else ""
        deadline = stage.clock.monotonic() + operation.timeout
        call = Call(operation, dict(arguments), stage.clock, deadline, caller=who, tenant=tenant)
        return stage.running.handlers[operation.id](call)


class OverHttp:
    """Requests with a token of the development issuer."""

    name = "over HTTP"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def has(self, operation: Operation) -> bool:
        return operation.path != "" and self._base(operation) is not None

    async def call(self, operation: Operation, arguments: Mapping[str, Any], who: Principal | None) -> Outcome:
        asked = asking(operation, self._base(operation) or "")(arguments)
        return await self._sent(asked.method, asked.url, asked.headers, asked.content, who)

    async def knock(self, operation: Operation, who: Principal | None) -> Outcome:
        return await self._sent(operation.method, f"{self._base(operation)}{_anywhere(operation)}", {}, b"", who)

    def _base(self, operation: Operation) -> str | None:
        """The prefix of the endpoint that serves it."""
        path, served = _anywhere(operation), self._stage.running.served
        return next((one.prefix for one in served if one.knows(operation.method, one.prefix + path)), None)

    async def _sent(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes, who: Principal | None
    ) -> Outcome:
        headers = {**headers, **Caller(self._stage, who).headers}
        async with self._stage.http.stream(method, url, headers=headers, content=content) as answer:
            await answer.aread()
        return Outcome(answer.status_code, answer.text)


def _anywhere(operation: Operation) -> str:
    return re.sub(r"\{\w+\}", "x", operation.path)

"""What the outside systems have in common: JSON over plain ASGI, and trouble on request.

`POST /<system>/control` with `{"status": 503, "times": 2, "latency": 0.5}` makes the next two requests fail, and every
answer half a second late; `{}` makes all well again.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote

import msgspec

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Ask(msgspec.Struct, frozen=True):
    """A request."""

    method: str
    path: tuple[str, ...]
    query: dict[str, str]
    key: str
    """Its `Idempotency-Key`."""
    body: bytes


class Answer(msgspec.Struct, frozen=True):
    """A status, and a body for JSON."""

    status: int
    body: Any = None


class Trouble(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong from now on."""

    status: int = 503
    """Answered instead of doing anything,"""
    times: int = 0
    """so many times."""
    latency: float = 0.0
    """Seconds before each answer."""


class System:
    """One outside system as an ASGI application."""

    def __init__(self, answer: Callable[[Ask], Awaitable[Answer]]) -> None:
        self._answer = answer
        self._trouble = Trouble()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ask = await _read(scope, receive)
        try:
            answer = self._control(ask) if ask.path == ("control",) else await self._troubled(ask)
        except (msgspec.MsgspecError, LookupError, ValueError) as error:
            answer = problem(400, "about:blank", str(error))
        await _write(answer, send)

    def _control(self, ask: Ask) -> Answer:
        self._trouble = msgspec.json.decode(ask.body, type=Trouble)
        return Answer(204)

    async def _troubled(self, ask: Ask) -> Answer:
        trouble = self._trouble
        await asyncio.sleep(trouble.latency)
        if trouble.times > 0:
            self._trouble = msgspec.structs.replace(trouble, times=trouble.times - 1)
            return problem(trouble.status, "about:blank", "Out of order, as you asked.")
        return await self._answer(ask)


def problem(status: int, type: str, title: str, **members: str) -> Answer:
    """A refusal (RFC 9457)."""
    return Answer(status, {"type": type, "status": status, "title": title, **members})


async def nothing(ask: Ask) -> Answer:
    """The answer where nothing is."""
    return problem(404, "about:blank", "There is nothing here.")


async def _read(scope: Scope, receive: Receive) -> Ask:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return Ask(
        method=scope["method"],
        path=tuple(unquote(part) for part in scope["path"].strip("/").split("/")),
        query=dict(parse_qsl(scope["query_string"].decode())),
        key=headers.get(b"idempotency-key", b"").decode().strip('"'),
        body=body,
    )


async def _write(answer: Answer, send: Send) -> None:
    content = b"" if answer.body is None else msgspec.json.encode(answer.body)
    media = b"application/problem+json" if answer.status >= 400 else b"application/json"
    headers = [(b"content-type", media), (b"content-length", str(len(content)).encode())] if content else []
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})

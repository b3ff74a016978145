"""One HTTP exchange as the endpoints see it, whatever server carries it.

A driver (`asgi.py` today) makes a `Request`, an endpoint answers with a `Response`. Nothing here knows of ASGI, so a
faster driver can take its place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeAlias

Headers: TypeAlias = list[tuple[bytes, bytes]]
"""Names in lower case, in the order of the wire; a name may stand more than once."""


class Wire(Protocol):
    """What a driver gives with a request: the rest of it, as it comes."""

    ended: bool
    """Whether the body was read to its end."""

    async def read(self) -> bytes:
        """The next piece of the body, `b""` at its end. Raises Malformed where the client hung up before."""
        ...

    async def gone(self) -> None:
        """Returns when the client has hung up; only for after the body was read."""
        ...


class Request:
    """A request whose head has arrived; the body is still to be read."""

    __slots__ = ("address", "fields", "headers", "method", "path", "query", "scheme", "wire")

    def __init__(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: Headers,
        wire: Wire,
        address: str = "",
        scheme: str = "http",
    ) -> None:
        self.method = method
        self.path = path
        """As it came, percent-encoded: who splits it decodes each segment by itself."""
        self.query = query
        """As it came, without the question mark."""
        self.headers = headers
        self.wire = wire
        self.address = address
        self.scheme = scheme
        self.fields = dict(headers)
        """The headers by name. What stands more than once is joined by commas (RFC 9110, 5.3)."""
        if len(self.fields) != len(headers):
            self.fields = _joined(headers)

    def header(self, name: bytes) -> str:
        """The value of a header by its lower-case name, `""` where there is none."""
        value = self.fields.get(name)
        return "" if value is None else value.decode("latin-1")


def _joined(headers: Headers) -> dict[bytes, bytes]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    return {name: b", ".join(values) for name, values in found.items()}


class Pieces(Protocol):
    """A body in pieces. The driver closes it in any case, be it read to its end, in part or not at all."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class Response:
    """An answer: its head, and its body whole or in pieces."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: bytes | Pieces = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body


HttpHandler: TypeAlias = Callable[[Request], Awaitable[Response]]

"""One HTTP exchange as the endpoints see it, whatever server carries it.

A driver (`asgi.py` today) makes a `Request`, an endpoint answers with a `Response`. Nothing here knows of ASGI, so a
faster driver can take its place.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeAlias

Headers: TypeAlias = list[tuple[bytes, bytes]]
"""Names in lower case, in the order of the wire; a name may stand more than once."""


class Request:
    """A request whose head has arrived; the body is still to be read."""

    __slots__ = ("_headers", "address", "chunks", "gone", "headers", "method", "path", "query", "scheme")

    def __init__(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: Headers,
        *,
        chunks: Callable[[], AsyncGenerator[bytes, None]],
        gone: Callable[[], Awaitable[None]],
        address: str = "",
        scheme: str = "http",
    ) -> None:
        self.method = method
        self.path = path
        """Percent-decoded once, with `%2F` left as it is."""
        self.query = query
        """As it came, without the question mark."""
        self.headers = headers
        self.chunks = chunks
        """The body's pieces; to be called once."""
        self.gone = gone
        """Returns when the client has hung up; only after the body was read."""
        self.address = address
        self.scheme = scheme
        self._headers: dict[bytes, bytes] | None = None

    def header(self, name: bytes) -> str:
        """The value of a header by its lower-case name, several joined by a comma, `""` where there is none."""
        found = self._headers
        if found is None:
            found = {}
            for key, value in self.headers:
                found[key] = found[key] + b", " + value if key in found else value
            self._headers = found
        value = found.get(name)
        return "" if value is None else value.decode("latin-1")


class Response:
    """An answer: its head, and its body whole or in pieces."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: bytes | AsyncIterator[bytes] = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body


HttpHandler: TypeAlias = Callable[[Request], Awaitable[Response]]

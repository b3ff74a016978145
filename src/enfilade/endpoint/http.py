"""One HTTP exchange as the endpoints see it, whatever carries it.

A driver makes a `Request`, an endpoint answers with a `Response`. There are two drivers: `http1`, which speaks HTTP
itself and is what `enfilade run` uses, and `asgi`, for any ASGI server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Protocol, TypeAlias

Headers: TypeAlias = list[tuple[bytes, bytes]]
"""Names in lower case, in the order of the wire; a name may stand more than once."""

Admit: TypeAlias = Callable[[str, str], None]
"""Told the calling service and the called one; raises the problem with which the call is refused."""

SMALL = 65536
"""Bytes of an unread body that a server may read to keep the connection; for more it is closed."""
LINGER = 4 * 1024 * 1024
"""Bytes that are still taken before closing, and thrown away: who is cut off while he sends never reads why."""


class Request:
    """A request whose head has arrived; the body is still to be read. This one has none: drivers have their own."""

    __slots__ = ("address", "bound", "fields", "method", "path", "query", "scheme")

    def __init__(
        self,
        method: str,
        path: str,
        query: bytes,
        fields: dict[bytes, bytes],
        address: str = "",
        scheme: str = "http",
    ) -> None:
        self.method = method
        self.path = path
        """As it came, percent-encoded: who splits it decodes each segment by itself."""
        self.query = query
        """As it came, without the question mark."""
        self.fields = fields
        """The headers by their lower-case names. What stood more than once is joined by commas (RFC 9110, 5.3)."""
        self.address = address
        self.scheme = scheme
        self.bound = False
        """Who leaves has it given up, as far as the driver can tell that he left."""

    @property
    def local(self) -> bool:
        """Whether it came by a Unix socket, which only those reach whom the file system lets."""
        return False

    @property
    def admit(self) -> Admit | None:
        """Lets calls in of a process that has shown a certificate; None where nobody has shown one."""
        return None

    @property
    def ended(self) -> bool:
        """Whether the body was read to its end."""
        return True

    def arrived(self) -> bytes | None:
        """The whole body, read, where all of it is here already; None where it is still to be waited for."""
        return b""

    async def read(self) -> bytes:
        """The next piece of the body, `b""` at its end.

        Raises Malformed where the client hung up before, TooSlow where nothing came for too long.
        """
        return b""

    def header(self, name: bytes) -> str:
        """The value of a header by its lower-case name, `""` where there is none."""
        value = self.fields.get(name)
        return "" if value is None else value.decode("latin-1")

    @property
    def large(self) -> bool:
        """Whether its body is more than is read for nothing, or may be."""
        length = self.fields.get(b"content-length")
        if length is None:
            return b"transfer-encoding" in self.fields
        return not length.isdigit() or int(length) > SMALL


def joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else b", ".join(values) for name, values in found.items()}


class Pieces(Protocol):
    """A body in pieces. The driver closes it in any case, be it read to its end, in part or not at all."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class NoPieces:
    """The body of a stream or a file that only HEAD asks for: its length is the head's to say, if anybody's."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        return
        yield b""

    async def aclose(self) -> None: ...


class Response:
    """An answer: its head, and its body whole or in pieces.

    The driver says the length of a whole one, and leaves it out where the request was HEAD or the status has none.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: bytes | Pieces = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body


BODILESS = frozenset((204, 304))
"""Statuses without a body, and so without its length (RFC 9110, 8.6)."""

HttpHandler: TypeAlias = Callable[[Request], Awaitable[Response]]

"""Bytes become requests: the parser's side of a connection.

llhttp (by httptools) reads the lines, strictly: no bare LF, no folded field, no two lengths. What it leaves open is
closed here: how large and how many the fields are, what frames a body, which versions and targets there are.
"""

from __future__ import annotations

import logging
from typing import Any, Final, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from enfilade.endpoint.http1.door import FIELDS, HEAD, SLICE, HeadTooLarge
from enfilade.endpoint.http1.exchange import Exchange, Line
from enfilade.endpoint.http1.target import target
from enfilade.errors import Malformed, Problem

log = logging.getLogger("enfilade.endpoint")

_FRAME: Final = 8
"""Bytes of frame that each byte of a chunked body may have: the smallest chunk has six."""


class Taker(Line, Protocol):
    """Who takes the requests."""

    def client(self, fields: dict[bytes, bytes]) -> tuple[str, str]:
        """The address and the scheme that a request came with."""
        ...

    def take(self, exchange: Exchange) -> None:
        """A head is complete."""
        ...

    def switch(self, head: bytes, rest: bytes) -> bool:
        """Whether the connection becomes a websocket, which is asked for by this head; `rest` came behind it."""
        ...


class Reader:
    """Makes requests of what a client sends, one at a time."""

    def __init__(self, taker: Taker, most: int) -> None:
        self.reading: Exchange | None = None
        """Whose body is not complete."""
        self.head = 0
        """Bytes of a head that is not complete; at most a slice of them is of what came before."""
        self.last = False
        """The last request has come; what comes after it is not looked at."""
        self.left = most
        """Requests that are still taken."""
        self._taker = taker
        self._parser: Any = HttpRequestParser(self)
        self._url = b""
        self._fields: dict[bytes, bytes] = {}
        self._repeated = 0
        self._asked: tuple[bytes, bytes, dict[bytes, bytes]] | None = None
        """A head that asks for another protocol."""

    def close(self) -> None:
        """End the circle of references that a parser is."""
        self._parser = self.reading = None

    def feed(self, data: bytes | memoryview) -> None:
        """Read on. Raises the Problem that the client is to be told, after which nothing can be read."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._upgrade(bytes(data[upgrade.args[0] :]))
            return
        except HttpParserError as error:
            raise self._wrong(error) from None
        reading = self.reading
        if reading is not None:
            reading.framed += len(data)
            if reading.framed > _FRAME * reading.received + HEAD:
                raise Malformed(detail="The body is more frame than body.")
        elif self._url or self._fields:
            self.head += len(data)
            if self.head > HEAD + SLICE:
                raise HeadTooLarge

    # -- called by the parser

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        fields = self._fields
        if name in fields:
            self._repeated += 1
            if name == b"host":
                raise Malformed(detail="There is one Host.")
            value = b"%b%b%b" % (fields[name], b"; " if name == b"cookie" else b", ", value)
        fields[name] = value.rstrip()
        if len(fields) + self._repeated > FIELDS:
            raise HeadTooLarge

    def on_headers_complete(self) -> None:
        if self.last:
            raise Malformed
        parser, url, fields = self._parser, self._url, self._fields
        self._url, self._fields = b"", {}
        self._repeated = 0
        if self.head:  # it came in parts; one that came at once is no larger than a slice
            self.head = 0
            if len(url) + sum(len(name) + len(value) + 4 for name, value in fields.items()) > HEAD:
                raise HeadTooLarge
        method: bytes = parser.get_method()
        if parser.should_upgrade() and method != b"CONNECT":
            self._asked = (method, url, fields)
        else:
            self._request(method.decode("ascii"), url, fields)

    def on_body(self, body: bytes) -> None:
        if self.reading is not None:
            self.reading.push(body)

    def on_message_complete(self) -> None:
        reading = self.reading
        if reading is not None:
            self.reading = None
            if self._fields:  # trailers: taken, and not looked at (RFC 9110, 6.5.1)
                self._fields = {}
                self._repeated = 0
            reading.complete()

    # -- what follows from it

    def _request(self, method: str, url: bytes, fields: dict[bytes, bytes]) -> None:
        keep: bool = self._parser.should_keep_alive()
        old = False
        if not keep or b"connection" in fields:
            version = self._parser.get_http_version()
            if version not in ("1.0", "1.1"):
                raise Malformed(detail="This is HTTP/1.1, and it takes HTTP/1.0.")
            old = version == "1.0"
            keep = keep and not old
        coding = fields.get(b"transfer-encoding")
        if coding is not None and (old or coding.lower() != b"chunked"):
            raise Malformed(detail="A body is sent in chunks, or with its length.")
        path, query = target(method, url, fields)
        if b"host" not in fields and not old:
            raise Malformed(detail="There is no Host.")
        self.left -= 1
        if self.left == 0 or method == "CONNECT":
            keep = False
        self.last = not keep
        address, scheme = self._taker.client(fields)
        exchange = Exchange(self._taker, method, path, query, fields, address, scheme, keep, old)
        if b"expect" in fields and not old:
            exchange.expects = fields[b"expect"].lower() == b"100-continue"
        self.reading = exchange
        self._taker.take(exchange)

    def _upgrade(self, rest: bytes) -> None:
        """The parser stopped behind a head that asks for another protocol, or behind CONNECT, which is the last."""
        if self._asked is None:
            return
        (method, url, fields), self._asked = self._asked, None
        if fields[b"upgrade"].lower() == b"websocket" and self._taker.switch(_written(method, url, fields), rest):
            return
        # It may ask, and is answered in this one. The parser left its body to the other protocol: once more, without.
        del fields[b"upgrade"]
        options = [one.strip() for one in fields.pop(b"connection").split(b",")]
        if options := [one for one in options if one.lower() != b"upgrade"]:
            fields[b"connection"] = b", ".join(options)
        self._parser = HttpRequestParser(self)
        self.feed(_written(method, url, fields) + rest)

    def _wrong(self, error: HttpParserError) -> Problem:
        cause = error.__context__
        if isinstance(cause, Problem):
            return cause
        if cause is not None:
            log.error("a request could not be read", exc_info=cause)
        return Malformed(detail="This is not HTTP as RFC 9112 has it.")


def _written(method: bytes, url: bytes, fields: dict[bytes, bytes]) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (method, url), *map(b": ".join, fields.items()), b"", b""]
    return b"\r\n".join(lines)

"""Export to a collector: any that takes OTLP over HTTP, such as OpenTelemetry's own, Jaeger, Tempo or a vendor's."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from random import uniform
from typing import Final
from urllib.parse import urlsplit

from enfilade.errors import Unavailable
from enfilade.trace.otlp import encode_spans
from enfilade.trace.span import Fact, Span

_AGAIN: Final = (429, 502, 503, 504)
"""Answers after which the same request is sent again (OTLP/HTTP, "Retryable Response Codes")."""
_TRIES: Final = 5
_LONGEST: Final = 30.0
"""Seconds between two tries, whatever the collector asks for: what waits must not grow for ever."""
_ANSWER: Final = 64 * 1024
"""Bytes of an answer that are read; nothing in it is needed."""


class Collector:
    """A sink that posts batches of spans to `<url>/v1/traces`."""

    def __init__(
        self,
        url: str,
        *,
        resource: Mapping[str, Fact],
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        backoff: float = 1.0,
    ) -> None:
        """`resource` says who sends, at least `service.name`; `headers` who pays (`Authorization`). `timeout` and
        `backoff`, the first wait before another try, are seconds."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a collector's address is like http://localhost:4318, not {url!r}")
        self._secure = ssl.create_default_context() if parts.scheme == "https" else None
        self._host, self._port = parts.hostname, parts.port
        path = parts.path.rstrip("/")
        self._path = path if path.endswith("/v1/traces") else f"{path}/v1/traces"
        self._resource = resource
        self._headers = {**(headers or {}), "Content-Type": "application/x-protobuf", "User-Agent": "enfilade"}
        self._timeout = timeout
        self._backoff = backoff

    def write(self, spans: Sequence[Span], pause: Callable[[float], bool]) -> None:
        body = encode_spans(spans, self._resource)
        said = ""
        for number in range(_TRIES):
            wait = self._backoff * 2**number * uniform(0.5, 1.0)  # noqa: S311  (only spreads the tries)
            try:
                status, after = self._post(body)
            except (OSError, HTTPException) as error:
                said = f"{type(error).__name__}: {error}"
            else:
                if 200 <= status < 300:
                    return
                said = f"it answers {status}"
                if status not in _AGAIN:
                    break
                wait = wait if after is None else after
            if number == _TRIES - 1 or pause(min(wait, _LONGEST)):
                break
        raise Unavailable(f"the collector at {self._host} does not take them: {said}")

    def _post(self, body: bytes) -> tuple[int, float | None]:
        """The answer's status, and for how many seconds it asks to wait. Each batch has a connection of its own."""
        if self._secure is not None:
            connection = HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._secure)
        else:
            connection = HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            connection.request("POST", self._path, body, self._headers)
            answer = connection.getresponse()
            answer.read(_ANSWER)
            return answer.status, _seconds(answer.getheader("Retry-After"))
        finally:
            connection.close()


def _seconds(retry_after: str | None) -> float | None:
    """Seconds of a `Retry-After` field, which has a number or a date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        when = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())

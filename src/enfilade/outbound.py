"""The one HTTP client for every call that leaves the process: traced, bounded by the deadline, never in a unit of work.

class PaymentsService(Payments):
    http: Http

    async def rates(self) -> Rates:
        return await self.http.fetch("GET", "https://rates.example/today", answer=Rates)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import TypeVar

import httpx2
import msgspec

from enfilade.call import current_or_none
from enfilade.contract.codec import codec
from enfilade.contract.message import Message
from enfilade.errors import DeadlineExceeded, Misuse, Unavailable
from enfilade.store import refuse_in_unit
from enfilade.trace.recorder import Recorder

M = TypeVar("M")

_BIGGEST = 10 * 1024 * 1024
_PATIENCE = 10.0


class Answered(Exception):
    """The other side answered with a status that is no success; `status` and `content` say how."""

    def __init__(self, status: int, content: bytes, url: str) -> None:
        super().__init__(f"{url} answered {status}")
        self.status = status
        self.content = content


class HttpAnswer(msgspec.Struct, frozen=True):
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Http:
    """HTTP for services; inject it by its type.

    A connection that fails, a time that is over and a 5xx raise `Unavailable` (it may have run). The trace travels
    along. Answers over 10 MiB are refused. Redirects are not followed.
    """

    def __init__(self, recorder: Recorder, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._recorder = recorder
        self._client = httpx2.AsyncClient(
            transport=transport, follow_redirects=False, trust_env=False, timeout=_PATIENCE
        )

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        answer: type[M],
        body: Message | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> M:
        """The answer as a message, its unknown members ignored. Raises Answered for a 3xx or 4xx, and Unavailable."""
        content = b"" if body is None else codec(type(body)).encode(body)
        sent = {
            "accept": "application/json",
            **({"content-type": "application/json"} if content else {}),
            **(headers or {}),
        }
        got = await self.request(method, url, content=content, headers=sent)
        if got.status >= 300:
            raise Answered(got.status, got.content, url)
        return codec(answer, unknown="ignore").decode(got.content)

    async def request(
        self,
        method: str,
        url: str,
        *,
        content: bytes | AsyncGenerator[bytes, None] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """One request and its answer, whatever the status below 500."""
        refuse_in_unit(f"{method} {url}")
        call = current_or_none()
        patience = _PATIENCE if call is None else min(_PATIENCE, call.remaining)
        if patience <= 0:
            raise DeadlineExceeded(f"no time is left for {method} {url}")
        parts = httpx2.URL(url)
        with self._recorder.span(f"{method} {parts.host}", kind="client", method=method, host=parts.host) as span:
            try:
                async with self._client.stream(
                    method,
                    parts,
                    content=content,
                    headers={**self._recorder.headers(), **(headers or {})},
                    timeout=patience,
                ) as response:
                    read = await _bounded(response)
            except httpx2.TimeoutException as late:
                raise DeadlineExceeded(f"{method} {url} did not answer within {patience:.1f} s") from late
            except httpx2.TransportError as failed:
                raise Unavailable(f"{method} {url} failed: {failed or type(failed).__name__}") from failed
            span.set("status", response.status_code)
        if response.status_code >= 500:
            raise Unavailable(f"{method} {url} answered {response.status_code}")
        return HttpAnswer(response.status_code, dict(response.headers), read)

    async def aclose(self) -> None:
        await self._client.aclose()


async def _bounded(response: httpx2.Response) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > _BIGGEST:
            raise Misuse(f"{response.url} answered with more than {_BIGGEST} bytes; stream it, or ask for less.")
        pieces.append(piece)
    return b"".join(pieces)

"""The one HTTP client for every call that leaves the process: traced, bounded by the deadline, never in a unit of work.

class PaymentsService(Payments):
    http: Http

    async def rates(self) -> Rates:
        return await self.http.fetch("GET", "https://rates.example/today", answer=Rates)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final, TypeVar

import httpx2
import msgspec

from enfilade.call import current_or_none, refuse_in_rehearsal
from enfilade.contract.codec import codec
from enfilade.contract.message import Message
from enfilade.errors import DeadlineExceeded, Invalid, Malformed, Unavailable
from enfilade.outbound.pinned import Pinned
from enfilade.outbound.reach import Blocked, Reach
from enfilade.store import refuse_in_unit
from enfilade.trace.recorder import Recorder
from enfilade.trace.span import Span

M = TypeVar("M")

BIGGEST: Final = 10 * 1024 * 1024
"""Bytes of an answer, unpacked."""
PATIENCE: Final = 10.0
"""Seconds for all of a request: looking up, connecting, sending, and the last byte of the answer."""
READS: Final = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing (RFC 9110, 9.2.1)."""
_SAME: Final = (*READS, "PUT", "DELETE")
"""Methods that do the same when they are done twice (RFC 9110, 9.2.2)."""


class Answered(Exception):
    """The other side answered with a status that is no success; `status` and `content` say how."""

    def __init__(self, status: int, content: bytes, url: str) -> None:
        super().__init__(f"{_host(url)} answered {status}")
        self.status = status
        self.content = content


class HttpAnswer(msgspec.Struct, frozen=True):
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Http:
    """HTTP for services; inject it by its type.

    It goes where `reach` lets it: without a word, to public addresses. Anything else raises `Blocked`. A connection
    that fails, a time that is over, a 5xx and an answer that is too much or is not what it says raise `Unavailable` (it
    may have run). Where a connection ends before the answer, what does no harm is asked once more: a method that does
    the same twice, or any under an `Idempotency-Key`. The trace travels along. Redirects are not followed.
    """

    def __init__(
        self, recorder: Recorder, reach: Reach | None = None, *, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        """`transport` carries the requests instead, and then decides where they go: for tests."""
        self._recorder = recorder
        self._reach = reach or Reach()
        self._client = httpx2.AsyncClient(
            transport=transport or Pinned(self._reach), follow_redirects=False, trust_env=False, timeout=PATIENCE,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # or one caller's would go out with the next
        )  # fmt: skip

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        answer: type[M],
        body: Message | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> M:
        """The answer as a message, its unknown members ignored. Raises Answered for a 3xx or 4xx, Blocked, and
        Unavailable, also for an answer that is no such message."""
        content = b"" if body is None else codec(type(body)).encode(body)
        sent = {
            "accept": "application/json",
            **({"content-type": "application/json"} if content else {}),
            **(headers or {}),
        }
        got = await self.request(method, url, content=content, headers=sent)
        if got.status >= 300:
            raise Answered(got.status, got.content, url)
        try:
            return codec(answer, unknown="ignore").decode(got.content)
        except (Invalid, Malformed) as wrong:  # theirs, not our caller's
            raise Unavailable(f"{_host(url)} answered with what is no {answer.__name__}: {wrong}") from wrong

    async def read(self, url: str) -> bytes:
        """The body behind an address. Raises Answered for anything but a 200, Blocked, and Unavailable."""
        got = await self.request("GET", url, headers={"accept": "application/json"})
        if got.status != 200:
            raise Answered(got.status, got.content, url)
        return got.content

    async def request(
        self,
        method: str,
        url: str,
        *,
        content: bytes | AsyncGenerator[bytes, None] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """One request and its answer, whatever the status below 500. Raises InRehearsal for a method that changes
        something, where the call is only tried."""
        where = self._where(url)
        asked = f"{method} {where.host}"
        refuse_in_unit(asked)
        call = current_or_none()
        if method.upper() not in READS:
            refuse_in_rehearsal(asked)
        patience = PATIENCE if call is None else min(PATIENCE, call.remaining)
        if patience <= 0:
            raise DeadlineExceeded(f"no time is left for {asked}")
        again = isinstance(content, bytes) and (
            method.upper() in _SAME or any(name.lower() == "idempotency-key" for name in headers or ())
        )
        with self._recorder.span(f"{method} {where.host}", kind="client", method=method, host=where.host) as span:
            said = {**self._recorder.headers(), **(headers or {})}
            request = self._client.build_request(method, where, content=content, headers=said, timeout=patience)
            try:
                async with asyncio.timeout(
                    patience
                ):  # the whole: whoever sends a byte now and then is in time with each
                    answer = await self._ask(request, span if again else None)
            except (TimeoutError, httpx2.TimeoutException) as late:
                raise DeadlineExceeded(f"{asked} did not answer within {patience:.1f} s") from late
            except httpx2.RequestError as failed:
                raise Unavailable(f"{asked} failed: {failed or type(failed).__name__}") from failed
            span.set("status", answer.status)
        if answer.status >= 500:
            raise Unavailable(f"{asked} answered {answer.status}")
        return answer

    async def _ask(self, request: httpx2.Request, again: Span | None) -> HttpAnswer:
        """The answer; asked for once more where nothing came, and that does no harm: `again` is told so."""
        try:
            return await self._once(request)
        except httpx2.TransportError as broken:
            if again is None or not _unheard(broken):
                raise
        again.set("again", value=True)
        return await self._once(request)

    async def _once(self, request: httpx2.Request) -> HttpAnswer:
        response = await self._client.send(request, stream=True)
        try:
            return HttpAnswer(response.status_code, dict(response.headers), await _bounded(response))
        finally:
            await response.aclose()

    def _where(self, url: str) -> httpx2.URL:
        try:
            where = httpx2.URL(url)
        except httpx2.InvalidURL as wrong:
            raise Blocked(f"this is no address: {wrong}") from wrong
        self._reach.check(where)
        return where

    async def aclose(self) -> None:
        await self._client.aclose()


def _unheard(error: httpx2.TransportError) -> bool:
    """Whether the other side hung up without a word: mostly on a connection that was kept."""
    return isinstance(error, httpx2.ReadError | httpx2.WriteError) or "without sending a response" in str(error)


def _host(url: str) -> str:
    """What is told of an address: the rest of it may be somebody's secret."""
    return httpx2.URL(url).host


async def _bounded(response: httpx2.Response) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > BIGGEST:
            raise Unavailable(f"{response.url.host} answered with more than {BIGGEST} bytes: ask for less")
        pieces.append(piece)
    return b"".join(pieces)

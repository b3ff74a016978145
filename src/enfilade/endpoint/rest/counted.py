"""Bytes that count: those of the bodies of requests and answers, told to the meters of a call."""

from __future__ import annotations

from collections.abc import AsyncIterator

from enfilade.call import Call
from enfilade.contract.operation import Operation
from enfilade.endpoint.http import Pieces, Request, Response


def counts_bytes(operation: Operation) -> bool:
    """Whether a meter of the operation asks for them."""
    return any(rate.quota().unit == "bytes" for rate in operation.rates)


class Counted(Request):
    """A request whose body is counted as it is read."""

    __slots__ = ("_call", "_request")

    def __init__(self, request: Request, call: Call) -> None:
        super().__init__(
            request.method, request.path, request.query, request.fields, request.address, request.scheme
        )  # fmt: skip
        self._request = request
        self._call = call

    @property
    def ended(self) -> bool:
        return self._request.ended

    def arrived(self) -> bytes | None:
        data = self._request.arrived()
        self._call.spend(len(data or b""), "bytes")
        return data

    async def read(self) -> bytes:
        piece = await self._request.read()
        self._call.spend(len(piece), "bytes")
        return piece


def counted(response: Response, call: Call) -> Response:
    """The answer, whose body counts: at once, or piece by piece as it is sent."""
    if isinstance(response.body, bytes):
        call.spend(len(response.body), "bytes")
    else:
        response.body = _Pieces(response.body, call)
    return response


class _Pieces:
    def __init__(self, pieces: Pieces, call: Call) -> None:
        self._pieces = pieces
        self._call = call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            self._call.spend(len(piece), "bytes")
            yield piece

    async def aclose(self) -> None:
        await self._pieces.aclose()

"""How much of a stream there may be."""

from __future__ import annotations

from typing import Any

import pytest

from enfilade.contract.limit import Flow
from enfilade.errors import DeadlineExceeded, TooLarge
from enfilade.guard import Bulkhead


async def read(bench: Any, flow: Flow, *items: Any, style: str = "stream", **facts: Any) -> list[Any]:
    operation = bench.operation("watch", flow=flow, style=style)
    found: list[Any] = []
    stream = await Bulkhead(1).station(operation, bench.streaming(*items))(bench.call(operation, **facts))
    try:
        async for item in stream:
            found.append(item)  # noqa: PERF401  (what came before an error is wanted too)
    except Exception as error:
        found.append(error)
    return found


async def test_a_stream_of_too_many_items_ends(bench: Any) -> None:
    assert await read(bench, Flow(items=3), 1, 2, 3) == [1, 2, 3]
    *items, error = await read(bench, Flow(items=3), 1, 2, 3, 4)

    assert items == [1, 2, 3]
    assert isinstance(error, TooLarge)
    assert error.limit == 3


async def test_a_stream_of_too_many_bytes_ends(bench: Any) -> None:
    *pieces, error = await read(bench, Flow(items=1, size="10B"), b"12345", b"67890", b"1", style="bytes")

    assert pieces == [b"12345", b"67890"]
    assert isinstance(error, TooLarge)
    assert error.limit == 10


async def test_a_stream_that_lasts_too_long_ends(bench: Any) -> None:
    def hours(number: float) -> Any:
        return bench.clock.advance(number * 3600)

    assert await read(bench, Flow(lasting="1h"), 1, hours(0.9), 2) == [1, 2]
    *items, error = await read(bench, Flow(lasting="1h"), 1, hours(0.9), 2, hours(0.2), 3)
    assert items == [1, 2]
    assert isinstance(error, DeadlineExceeded)
    assert await read(bench, Flow(lasting="forever"), hours(1e6), 1) == [1]


async def test_a_service_reads_the_whole_stream_of_another(bench: Any) -> None:
    assert await read(bench, Flow(items=1), 1, 2, 3, peer="orders") == [1, 2, 3]


@pytest.mark.parametrize("style", ["stream", "bytes"])
async def test_what_is_cut_off_is_closed(bench: Any, style: str) -> None:
    closed = False

    async def endless() -> Any:
        nonlocal closed
        try:
            while True:
                yield b"item"
        finally:
            closed = True

    async def start(_: Any) -> Any:
        return endless()

    operation = bench.operation("watch", flow=Flow(items=10, size=100), style=style)
    bulkhead = Bulkhead(1)
    for _ in range(3):  # and its place is free again
        stream = await bulkhead.station(operation, start)(bench.call(operation))
        with pytest.raises(TooLarge):
            async for _item in stream:
                pass
    assert closed

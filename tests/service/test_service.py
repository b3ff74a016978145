"""Pools: what a service is given for work that would stop the event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from enfilade.service import Processes, Threads


async def test_a_blocking_function_runs_in_a_thread_and_its_error_comes_back() -> None:
    threads = Threads(2)
    try:
        assert await threads(threading.get_ident) != threading.get_ident()
        with pytest.raises(ValueError, match="invalid literal"):
            await threads(int, "no number")
    finally:
        await threads.aclose()


async def test_a_cancelled_call_waits_for_its_thread() -> None:
    threads = Threads(1)
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait(5)
        ended.set()

    task = asyncio.create_task(threads(work))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ended.is_set()
    await threads.aclose()


async def test_computing_runs_in_another_process() -> None:
    processes = Processes(1)
    try:
        assert await processes(pow, 2, 10) == 1024
    finally:
        await processes.aclose()

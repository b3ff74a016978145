"""Pools for work that would stop the event loop: blocking calls in threads, computing in processes."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """Runs blocking functions: `await self.threads(connection.execute, sql)`.

    A bounded pool of the service's own. `current()` is there in the thread. A call that is cancelled still waits for
    its thread to end, so that nothing goes on behind its back.
    """

    def __init__(self, size: int = 16) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="enfilade-threads")

    async def __call__(self, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        context = contextvars.copy_context()
        work = functools.partial(do, *args, **kwargs)
        return await _to_the_end(self._pool, lambda: context.run(work))

    async def aclose(self) -> None:
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)


class Processes:
    """Runs functions that compute: `await self.processes(render, document)`.

    `do` is a function of a module, arguments and result are pickled. The processes start with the first call.
    """

    def __init__(self, size: int = 2) -> None:
        self._size = size
        self._pool: ProcessPoolExecutor | None = None

    async def __call__(self, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._pool is None:
            # `spawn`: a fork of a process that has threads may inherit their locks, held for ever.
            self._pool = ProcessPoolExecutor(self._size, mp_context=get_context("spawn"))
        return await _to_the_end(self._pool, functools.partial(do, *args, **kwargs))

    async def aclose(self) -> None:
        if self._pool is not None:
            await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)


async def _to_the_end(pool: Executor, do: Callable[[], T]) -> T:
    running = asyncio.get_running_loop().run_in_executor(pool, do)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if not running.done():
            await asyncio.wait([running])
        raise

"""Waiting with a limit that costs nothing where there is nothing to wait for.

A timer for each request body would cost as much as all the rest of reading it, and nearly always the body is there
already. So the work is taken one step, and only where that step has to wait is a timer started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@coroutine
def promptly(work: Coroutine[Any, Any, T], seconds: float) -> Generator[Any, Any, T]:
    """`await promptly(work, seconds)` is `await work`, or TimeoutError when it takes longer."""
    try:
        waits_for = work.send(None)
    except StopIteration as done:
        return done.value
    return (yield from _timed(_Rest(work, waits_for), seconds).__await__())


async def _timed(rest: _Rest[T], seconds: float) -> T:
    async with asyncio.timeout(seconds):
        return await rest


class _Rest(Generic[T]):
    """Work that was begun and waits for something; passes on what it waits for and what comes of it."""

    def __init__(self, work: Coroutine[Any, Any, T], waits_for: Any) -> None:
        self._work = work
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, T]:
        work, waits_for = self._work, self._waits_for
        while True:
            try:
                try:
                    got = yield waits_for
                except BaseException as error:  # a cancel, for the work to see
                    waits_for = work.throw(error)
                else:
                    waits_for = work.send(got)
            except StopIteration as done:
                return done.value

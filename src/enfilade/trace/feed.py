"""Spans on their way out of the process: a bounded queue, and a thread that hands them on in batches.

    async with Feed(recorder, TraceFile(folder), name="file"), Feed(recorder, Collector(url), name="otlp"):
        ...

A call only ever puts its span in the queue. What finds the queue full, or cannot be handed on, is dropped, and counted
in `enfilade_spans_dropped_total`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from threading import Event, Thread
from types import TracebackType
from typing import Protocol

from enfilade.trace.recorder import Recorder
from enfilade.trace.span import Span

logger = logging.getLogger("enfilade.trace")


class Sink(Protocol):
    """Where spans go."""

    def write(self, spans: Sequence[Span], pause: Callable[[float], bool]) -> None:
        """Takes a batch, or raises, which drops it. Runs in the feed's thread and may block.

        `pause(seconds)` waits before another try; it is true when the process stops, and there is no time for one.
        """
        ...


class Feed:
    """Takes each span that ends from the recorder to a sink, from `async with` until its end."""

    def __init__(
        self, recorder: Recorder, sink: Sink, *, name: str, every: float = 1.0, size: int = 8192, batch: int = 2048
    ) -> None:
        """`every` is seconds between two batches, `size` the most spans that wait, `batch` the most in one."""
        self.dropped = recorder.metrics.counter(
            "enfilade_spans_dropped_total", "Spans that did not reach where they should go.", to=name
        )
        self._recorder = recorder
        self._sink = sink
        self._name = name
        self._every = every
        self._size = size
        self._batch = batch
        self._queue: deque[Span] = deque()
        self._stopping = Event()
        self._thread = Thread(target=self._run, name=f"enfilade-{name}", daemon=True)
        self._failing = False

    def put(self, span: Span) -> None:
        if len(self._queue) < self._size:
            self._queue.append(span)
        else:
            self.dropped.add()

    def start(self) -> None:
        self._recorder.listen(self)
        self._thread.start()

    def stop(self, within: float = 5.0) -> None:
        """Hand on what waits, and give up after so many seconds."""
        self._stopping.set()
        self._thread.join(within)

    def flush(self) -> None:
        """Hand on all that waits."""
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
            try:
                self._sink.write(batch, self._stopping.wait)
            except Exception as error:  # a sink must not end the thread, whatever becomes of it
                self.dropped.add(len(batch))
                if not self._failing:  # said once, until it works again
                    logger.warning("%s spans are dropped: %s: %s", self._name, type(error).__name__, error)
                self._failing = True
            else:
                self._failing = False

    async def __aenter__(self) -> Feed:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            self._recorder.align()
            self.flush()
        self.flush()

"""What telemetry costs a call: a span and its metrics, on against off, and what is paid behind it to hand spans on.

CPU of the one thread, in microseconds a call; the sides take turns, and each has its least of the rounds.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))

import msgspec
from claims import Claim, tell

from enfilade.call import Call, Handler
from enfilade.clock import SystemClock
from enfilade.contract.need import anyone
from enfilade.contract.operation import Operation
from enfilade.trace.file import TraceFile
from enfilade.trace.metrics import Metrics
from enfilade.trace.otlp import encode_spans
from enfilade.trace.recorder import Recorder
from enfilade.trace.span import Span

ROUNDS = 20
COUNT = 5000

PLACE = Operation(
    id="orders.place", service="orders", name="place", kind="command", summary="", description="", method="POST",
    path="/orders", parameters=(), defaults={}, request=msgspec.Struct, result=str, style="value", returns="",
    status=201, raises=(), needs=anyone, rates=(), timeout=30.0, idle=60.0, body_limit=1000, idempotent=False,
    deprecated=None, level=None, names="snake", where="",
)  # fmt: skip
CLOCK = SystemClock()


async def nothing(call: Call) -> None: ...


def serve(handler: Handler) -> Callable[[list[Call]], Awaitable[None]]:
    async def all_of(calls: list[Call]) -> None:
        for call in calls:
            await handler(call)

    return all_of


def work(recorder: Recorder) -> Callable[[list[Call]], Awaitable[None]]:
    async def all_of(calls: list[Call]) -> None:
        for _ in calls:
            with recorder.span("work"):
                pass

    return all_of


def record(metrics: Metrics) -> Callable[[list[Call]], Awaitable[None]]:
    counter, times = metrics.counter("orders_total"), metrics.histogram("order_seconds")

    async def all_of(calls: list[Call]) -> None:
        for _ in calls:
            counter.add()
            times.record(0.012)

    return all_of


def hand_on(write: Callable[[list[Span]], object]) -> Callable[[list[Call]], Awaitable[None]]:
    spans = [
        Span(2**127 + at, 2**62 + at, 2**61, "orders.place", "orders", "server", "", 0.0, 1767225600.0 + at / 7,
             {"http.request.method": "POST", "http.route": "/orders"}, 0.0123 + at / 1e6, status=201)
        for at in range(COUNT)
    ]  # fmt: skip

    async def all_of(calls: list[Call]) -> None:
        write(spans)

    return all_of


async def measure(folder: Path) -> dict[str, float]:
    file = TraceFile(folder)
    sides = {
        "off": serve(Recorder(CLOCK, enabled=False).station(PLACE, nothing)),
        "on": serve(Recorder(CLOCK).station(PLACE, nothing)),
        "a tenth": serve(Recorder(CLOCK, sample=0.1).station(PLACE, nothing)),
        "span": work(Recorder(CLOCK)),
        "metrics": record(Metrics()),
        "file": hand_on(lambda spans: file.write(spans, lambda _: True)),
        "otlp": hand_on(lambda spans: encode_spans(spans, {"service.name": "shop"})),
    }
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(ROUNDS):
        for name, side in sides.items():
            calls = [Call(PLACE, {}, CLOCK, 1e9, address="192.0.2.7") for _ in range(COUNT)]
            start = time.thread_time()
            await side(calls)
            best[name] = min(best[name], (time.thread_time() - start) / COUNT * 1e6)
    return best


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        best = asyncio.run(measure(Path(folder)))
    tell(
        [
            Claim("a call: span and metrics, on over off", best["on"] - best["off"], "us CPU", "<= 3"),
            Claim("the same, a tenth of the traces kept", best["a tenth"] - best["off"], "us CPU", ""),
            Claim("a span of the platform's own work", best["span"], "us CPU", ""),
            Claim("a counter and a histogram", best["metrics"], "us CPU", "<= 1"),
            Claim("behind it: a span into the trace file", best["file"], "us CPU", "<= 3"),
            Claim("behind it: a span as OTLP", best["otlp"], "us CPU", "<= 9"),
        ]
    )


main()

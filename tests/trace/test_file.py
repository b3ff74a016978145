from collections.abc import Callable
from pathlib import Path
from typing import Any

from enfilade.call import Call
from enfilade.clock import VirtualClock
from enfilade.trace.feed import Feed
from enfilade.trace.file import TraceFile, read_traces
from enfilade.trace.recorder import Recorder
from enfilade.trace.span import Phase

Make = Callable[..., Any]


def never(seconds: float) -> bool:
    raise AssertionError("a file has nothing to wait for")


async def answer(call: Call) -> None: ...


async def test_spans_are_read_back_as_they_were(
    tmp_path: Path, clock: VirtualClock, operation: Make, call: Make
) -> None:
    recorder = Recorder(clock)
    await recorder.station(operation(), answer)(call(peer="cart", trace_id=2**127 + 1, span_id=5))
    with recorder.span("work", count=3, part=0.5, done=True, what="tea\n") as span:
        span.phases = (Phase("one", 0.1, 0.2),)
    spans = recorder.recent()

    TraceFile(tmp_path / "traces").write(spans, never)

    read = [span for trace in read_traces(tmp_path / "traces") for span in trace.spans]
    assert sorted(read, key=lambda span: span.span_id) == sorted(spans, key=lambda span: span.span_id)


async def test_the_file_is_bounded_and_holds_the_newest(tmp_path: Path, clock: VirtualClock) -> None:
    recorder = Recorder(clock)
    file = TraceFile(tmp_path, limit=10_000)

    for number in range(200):
        with recorder.span(f"work {number}"):
            await clock.advance(1)
        file.write(recorder.recent()[-1:], never)

    assert size(tmp_path) < 11_000
    names = [trace.root.name for trace in read_traces(tmp_path)]
    assert len(names) > 10
    assert names == [f"work {number}" for number in range(200 - len(names), 200)]


async def test_a_line_that_is_broken_hides_no_other(tmp_path: Path, clock: VirtualClock) -> None:
    recorder = Recorder(clock)
    with recorder.span("work"):
        pass
    TraceFile(tmp_path).write(recorder.recent(), never)

    with (tmp_path / "spans.jsonl").open("ab") as file:
        file.write(b'[1]\n{"trace_id": "zz"}\n{"trace_id": 5}\n\xff\n{"trace_id": "00')

    assert [trace.root.name for trace in read_traces(tmp_path)] == ["work"]


def test_where_nothing_was_written_there_are_no_traces(tmp_path: Path) -> None:
    assert read_traces(tmp_path / "nowhere") == ()


async def test_a_running_feed_writes_what_ends_and_the_last_of_it_when_it_stops(
    tmp_path: Path, clock: VirtualClock
) -> None:
    recorder = Recorder(clock)

    async with Feed(recorder, TraceFile(tmp_path), name="file"):
        with recorder.span("work"):
            pass

    assert [trace.root.name for trace in read_traces(tmp_path)] == ["work"]


async def test_a_full_queue_drops_and_counts(clock: VirtualClock) -> None:
    recorder = Recorder(clock)
    taken: list[str] = []

    class Keep:
        def write(self, spans: Any, pause: Callable[[float], bool]) -> None:
            taken.extend(span.name for span in spans)

    feed = Feed(recorder, Keep(), name="keep", size=2)
    recorder.listen(feed)
    for number in range(5):
        with recorder.span(f"work {number}"):
            pass
    feed.flush()

    assert taken == ["work 0", "work 1"]
    assert feed.dropped.value == 3
    assert b'enfilade_spans_dropped_total{to="keep"} 3' in recorder.metrics.exposition()


async def test_a_sink_that_fails_drops_its_batch_and_says_so_once(clock: VirtualClock, caplog: Any) -> None:
    recorder = Recorder(clock)

    class Broken:
        def write(self, spans: Any, pause: Callable[[float], bool]) -> None:
            raise OSError("no space left")

    feed = Feed(recorder, Broken(), name="file", batch=1)
    recorder.listen(feed)
    for _ in range(3):
        with recorder.span("work"):
            pass
    feed.flush()

    assert feed.dropped.value == 3
    assert [record.getMessage() for record in caplog.records] == ["file spans are dropped: OSError: no space left"]


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())

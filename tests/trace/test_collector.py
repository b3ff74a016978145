import struct
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from enfilade import App
from enfilade.clock import VirtualClock
from enfilade.config import Config, TraceConfig
from enfilade.errors import Unavailable
from enfilade.placement import Share
from enfilade.trace.collector import Collector
from enfilade.trace.feed import Feed
from enfilade.trace.otlp import encode_spans
from enfilade.trace.recorder import Recorder
from enfilade.trace.span import Phase, Span

Message = dict[int, list[Any]]


def message(data: bytes) -> Message:
    """A protobuf message by field number, read by the wire format alone; what has a length stays bytes."""
    found: Message = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            value: Any = varint()
        elif tag & 7 == 1:
            value, at = data[at : at + 8], at + 8
        else:
            assert tag & 7 == 2
            size = varint()
            value, at = data[at : at + size], at + size
            assert len(value) == size
        found.setdefault(tag >> 3, []).append(value)
    return found


def attributes(pairs: list[bytes]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for pair in map(message, pairs):
        ((kind, (value,)),) = message(pair[2][0]).items()
        read[pair[1][0].decode()] = {
            1: lambda value=value: value.decode(),
            2: lambda value=value: bool(value),
            3: lambda value=value: value - (1 << 64) if value >> 63 else value,
            4: lambda value=value: struct.unpack("<d", value)[0],
        }[kind]()
    return read


def fixed(value: bytes) -> int:
    return struct.unpack("<Q", value)[0]


SPAN = Span(
    2**127 + 5, 2**63 + 1, 9, "orders.place", "orders", "server", "cart", 0.0, 1767225600.5,
    {"http.route": "/orders", "count": 3, "less": -1, "part": 0.5, "yes": True, "one": 1, "name": "té" * 100}, 0.25,
    "bug", 500, (Phase("price", 0.1, 0.05),),
)  # fmt: skip


def test_a_span_says_in_otlp_what_it_says_here() -> None:
    (resource_spans,) = message(encode_spans([SPAN], {"service.name": "shop", "service.version": "1"}))[1]
    (scope_spans,) = message(resource_spans)[2]
    span = message(message(scope_spans)[2][0])

    assert attributes(message(message(resource_spans)[1][0])[1]) == {
        "service.name": "orders", "service.namespace": "shop", "service.version": "1",
    }  # fmt: skip
    assert message(message(scope_spans)[1][0])[1] == [b"enfilade"]
    assert (span[1], span[2], span[4]) == (
        [(2**127 + 5).to_bytes(16, "big")], [(2**63 + 1).to_bytes(8, "big")], [(9).to_bytes(8, "big")],
    )  # fmt: skip
    assert (span[5], span[6]) == ([b"orders.place"], [2])
    assert (fixed(span[7][0]), fixed(span[8][0])) == (1767225600500000000, 1767225600750000000)
    assert attributes(span[9]) == {
        **SPAN.facts, "http.response.status_code": 500, "enfilade.peer": "cart", "enfilade.outcome": "bug",
    }  # fmt: skip
    assert attributes(span[9])["yes"] is True
    assert message(span[15][0]) == {3: [2]}
    (event,) = map(message, span[11])
    assert event[2] == [b"price"]
    assert fixed(event[1][0]) == 1767225600600000000
    assert attributes(event[3]) == {"duration": 0.05}


def test_each_service_is_a_resource_of_its_own() -> None:
    def of(service: str) -> Span:
        return Span(1, 2, 0, "work", service, "internal", "", 0.0, 0.0, {})

    request = message(encode_spans([of("orders"), of("cart"), of("orders"), of("")], {"service.name": "shop"}))

    names = [attributes(message(message(one)[1][0])[1])["service.name"] for one in request[1]]
    counts = [len(message(message(one)[2][0])[2]) for one in request[1]]
    assert dict(zip(names, counts, strict=True)) == {"orders": 2, "cart": 1, "shop": 1}


def test_a_refusal_is_not_an_error_of_the_server() -> None:
    refused = Span(1, 2, 0, "work", "s", "internal", "", 0.0, 0.0, {}, 0.0, "out-of-stock", 409)
    (resource_spans,) = message(encode_spans([refused], {}))[1]

    assert 15 not in message(message(message(resource_spans)[2][0])[2][0])


class Sink(HTTPServer):
    """A collector that answers as it is told, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        self.heads: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.heads.append(dict(self.headers))
        self.server.paths.append(self.path)
        status, fields = self.server.answers.pop(0) if self.server.answers else (200, {})
        self.send_response(status)
        for name, value in {**fields, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def sink() -> Generator[Sink]:
    with Sink() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Pauses:
    """Waits no time and remembers how long it should have been."""

    def __init__(self, stop_at: int = 99) -> None:
        self.seconds: list[float] = []
        self._stop_at = stop_at

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return len(self.seconds) >= self._stop_at


def collector(sink: Sink, **options: Any) -> Collector:
    return Collector(sink.url, resource={"service.name": "shop"}, **options)


async def test_spans_reach_a_collector(sink: Sink, clock: VirtualClock) -> None:
    recorder = Recorder(clock, service="shop")

    async with Feed(recorder, collector(sink, headers={"Authorization": "Bearer x"}), name="otlp"):
        with recorder.span("work"):
            pass

    assert sink.bodies == [encode_spans(recorder.recent(), {"service.name": "shop"})]
    assert sink.paths == ["/v1/traces"]
    assert sink.heads[0]["Content-Type"] == "application/x-protobuf"
    assert sink.heads[0]["Authorization"] == "Bearer x"


async def test_a_process_of_a_plan_is_an_instance_of_its_services(sink: Sink, tmp_path: Path) -> None:
    app = App("shop", services=[])
    app.config = Config(folder=str(tmp_path), trace=TraceConfig(otlp=sink.url, file=False))
    app.share = Share(process="orders", replica="orders@2", front=False)

    async with app.running() as running:
        with running.recorder.span("work"):
            pass

    (resource_spans,) = message(sink.bodies[0])[1]
    resource = attributes(message(message(resource_spans)[1][0])[1])
    assert (resource["service.name"], resource["service.instance.id"]) == ("shop", "orders@2")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_collector_that_is_busy_is_asked_again_when_it_says(sink: Sink, status: int) -> None:
    sink.answers = [(status, {"Retry-After": "7"}), (status, {}), (200, {})]
    pauses = Pauses()

    collector(sink, backoff=1.0).write([SPAN], pauses)

    assert len(set(sink.bodies)) == 1
    assert len(sink.bodies) == 3
    assert pauses.seconds[0] == 7
    assert 1.0 <= pauses.seconds[1] <= 2.0


def test_a_date_may_say_when_to_ask_again_and_no_wait_is_for_ever(sink: Sink) -> None:
    sink.answers = [
        (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        (503, {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}),
    ]
    pauses = Pauses()

    collector(sink).write([SPAN], pauses)

    assert pauses.seconds == [0, 30]


def test_a_batch_that_is_refused_is_not_sent_again(sink: Sink) -> None:
    sink.answers = [(400, {})]

    with pytest.raises(Unavailable, match="answers 400"):
        collector(sink).write([SPAN], Pauses())
    assert len(sink.bodies) == 1


def test_a_collector_that_stays_busy_is_given_up(sink: Sink) -> None:
    sink.answers = [(503, {})] * 9

    with pytest.raises(Unavailable, match="answers 503"):
        collector(sink).write([SPAN], Pauses())
    assert len(sink.bodies) == 5


def test_a_process_that_stops_does_not_wait(sink: Sink) -> None:
    sink.answers = [(503, {})] * 9

    with pytest.raises(Unavailable):
        collector(sink).write([SPAN], Pauses(stop_at=1))
    assert len(sink.bodies) == 1


def test_where_nobody_listens_the_spans_are_dropped_and_counted(sink: Sink, clock: VirtualClock) -> None:
    recorder = Recorder(clock)
    sink.server_close()
    nobody = collector(sink)

    class Impatient:
        def write(self, spans: Any, pause: Callable[[float], bool]) -> None:
            nobody.write(spans, Pauses())

    feed = Feed(recorder, Impatient(), name="otlp")
    recorder.listen(feed)
    with recorder.span("work"):
        pass
    feed.flush()

    assert feed.dropped.value == 1


@pytest.mark.parametrize("url", ["", "localhost:4318", "ftp://x", "http://"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="like http://localhost:4318"):
        Collector(url, resource={})


def test_the_path_of_the_signal_is_added_where_it_is_missing(sink: Sink) -> None:
    for path in ("/otlp/", "/otlp/v1/traces"):
        Collector(sink.url + path, resource={}).write([SPAN], Pauses())

    assert sink.paths == ["/otlp/v1/traces"] * 2

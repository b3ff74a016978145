import io
import json
import logging
from collections.abc import Callable, Generator
from typing import Any

import pytest

from enfilade.call import Call, enter, leave
from enfilade.clock import VirtualClock
from enfilade.trace import log
from enfilade.trace.recorder import Recorder

Make = Callable[..., Any]
logger = logging.getLogger("shop.orders")


@pytest.fixture(autouse=True)
def root_as_it_was() -> Generator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def written(as_json: bool, say: Callable[[], object]) -> str:
    stream = io.StringIO()
    log.configure(json=as_json, stream=stream)
    say()
    return stream.getvalue()


def test_a_log_is_one_json_object_a_line() -> None:
    text = written(True, lambda: logger.warning("slow %s", "carrier", extra={"order": "ord_1", "tries": 3}))

    (line,) = text.splitlines()
    said = json.loads(line)
    assert len(said.pop("time")) == len("2026-01-01T00:00:00.000000Z")
    assert said == {
        "level": "WARNING", "logger": "shop.orders", "message": "slow carrier", "order": "ord_1", "tries": 3,
    }  # fmt: skip


async def test_a_log_leads_to_its_trace(clock: VirtualClock, operation: Make, call: Make) -> None:
    recorder = Recorder(clock)
    lines: list[dict[str, str]] = []

    async def work(call: Call) -> None:
        token = enter(call)
        with recorder.span("atomic"):
            lines.append(json.loads(written(True, lambda: logger.error("inside"))))
        lines.append(json.loads(written(True, lambda: logger.error("after"))))
        leave(token)

    await recorder.station(operation(), work)(call())

    atomic, place = recorder.recent()
    assert [line["span_id"] for line in lines] == [f"{atomic.span_id:016x}", f"{place.span_id:016x}"]
    assert {line["trace_id"] for line in lines} == {f"{place.trace_id:032x}"}
    assert {line["operation"] for line in lines} == {"orders.place"}


@pytest.mark.parametrize("as_json", [True, False])
def test_what_came_from_outside_cannot_write_a_line_of_its_own(as_json: bool) -> None:
    text = written(as_json, lambda: logger.error("user %s", "x\r\nERROR all is lost\x1b[2J\x9b", extra={"a": "b\nc"}))

    assert len(text.splitlines()) == 1
    assert not {"\x1b", "\x9b"} & set(text) or as_json
    assert "\x1b" not in text


@pytest.mark.parametrize("as_json", [True, False])
def test_an_exception_is_shown_with_its_stack(as_json: bool) -> None:
    def say() -> None:
        try:
            raise ValueError("bad\nforged: line")
        except ValueError:
            logger.exception("failed")

    text = written(as_json, say)

    stack = json.loads(text)["exception"] if as_json else text
    assert "Traceback" in stack
    assert "ValueError: bad" in stack
    if not as_json:
        assert all(line.startswith("    ") for line in text.splitlines()[1:])


def test_what_masks_itself_stays_masked() -> None:
    class Secret:
        value = "hunter2"

        def __repr__(self) -> str:
            return "***"

    assert json.loads(written(True, lambda: logger.info("x", extra={"key": Secret()})))["key"] == "***"


def test_configure_again_changes_and_does_not_add() -> None:
    first, second = io.StringIO(), io.StringIO()
    log.configure(stream=first)
    log.configure(stream=second, level="ERROR", json=False)

    logger.warning("quiet")
    logger.error("loud")

    assert first.getvalue() == ""
    assert "loud" in second.getvalue()
    assert "quiet" not in second.getvalue()


def test_a_call_shows_its_operation_and_never_what_it_came_with(call: Callable[..., Call]) -> None:
    assert repr(call(credentials="Bearer secret", key="k1")) == "<call of orders.place>"


def test_what_is_sent_to_others_is_not_told_even_to_who_debugs() -> None:
    stream = io.StringIO()
    log.configure(stream=stream, level="DEBUG")

    for name in ("httpx2", "httpcore2.http11"):
        logging.getLogger(name).debug("send_request_headers authorization: Bearer hush")
        logging.getLogger(name).info("GET https://psp.example/?key=hush")

    assert stream.getvalue() == ""

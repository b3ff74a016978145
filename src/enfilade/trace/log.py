"""Logs: the standard library's logging, written as one JSON object a line or, for people, as one line of text.

Each line that is written while a call is served carries its trace, span and operation, so that a log leads to its trace
and back. A line is always one line: what came from outside cannot write a second one.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

import msgspec

from enfilade.call import current_or_none
from enfilade.hidden import hide
from enfilade.trace.context import span_hex, trace_hex
from enfilade.trace.line import one_line
from enfilade.trace.span import current_span

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; all else was said by `extra=`."""
_COLORS: Final = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}


def configure(*, json: bool = True, level: str | int = "INFO", stream: TextIO | None = None) -> None:
    """Write the logs of the whole process to `stream`, standard error by default. May be called again, to change it."""
    target = sys.stderr if stream is None else stream
    handler = _Lines(target)
    handler.setFormatter(Json() if json else Text(color=target.isatty()))
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _Lines)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in ("httpx2", "httpcore2"):  # they tell every address that is asked and every field that is sent
        logging.getLogger(name).setLevel(logging.WARNING)


class _Lines(logging.StreamHandler[TextIO]):
    """The handler that `configure` sets, known by its type."""


class Json(logging.Formatter):
    """`{"time": "2026-01-01T00:00:00.000000Z", "level": "INFO", "logger": "...", "message": "...", ...}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname,
            "logger": record.name,
            "message": hide(record.getMessage()),
            **_where(),
        }
        for name, value in _extra(record).items():
            line.setdefault(name, _plain(value))
        if stack := _stack(self, record):
            line["exception"] = hide(stack)
        return msgspec.json.encode(line).decode()


class Text(logging.Formatter):
    """`12:00:00.000 INFO    shop.orders: placed order=ord_01  [orders.place 4bf92f3577b34da6]`, in local time."""

    def __init__(self, *, color: bool = False) -> None:
        super().__init__()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
        extra = "".join(f" {name}={_plain(value)}" for name, value in _extra(record).items())
        message = one_line(hide(f"{record.name}: {record.getMessage()}{extra}"))
        where = _where()
        place = " ".join(filter(None, (where.get("operation"), where.get("trace_id", "")[:16])))
        code = _COLORS.get(record.levelname) if self._color else None
        level = f"\x1b[{code}m{record.levelname:7}\x1b[0m" if code else f"{record.levelname:7}"
        line = f"{at} {level} {message}" + (f"  [{place}]" if place else "")
        stack = hide(_stack(self, record))
        return "\n".join([line, *(f"    {one_line(part)}" for part in stack.splitlines())])


def _where() -> dict[str, str]:
    """The trace, span and operation of this moment, as far as there are any."""
    call, span = current_or_none(), current_span()
    found: dict[str, str] = {}
    if span is not None:
        found = {"trace_id": trace_hex(span.trace_id), "span_id": span_hex(span.span_id)}
    elif call is not None and call.trace_id:
        found = {"trace_id": trace_hex(call.trace_id), "span_id": span_hex(call.span_id)}
    if call is not None:
        found["operation"] = call.operation.id
    return found


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}


def _plain(value: object) -> str | int | float | bool | None:
    """Numbers and text as they are; all else as it shows itself, so that what masks itself stays masked."""
    return value if value is None or isinstance(value, int | float | bool) else hide(str(value))


def _stack(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts: list[str] = []
    if record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)

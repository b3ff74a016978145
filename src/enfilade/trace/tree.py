"""A trace as text: a tree for one, a line each for many."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from enfilade.trace.line import one_line
from enfilade.trace.span import Span
from enfilade.trace.traces import Trace

_RED: Final = "31"
_YELLOW: Final = "33"
_CYAN: Final = "36"
_DIM: Final = "2"
_SAID: Final = frozenset(("topic", "consumer", "event", "method", "host"))
"""Facts that stand in a span's name, or in that of its child, or help nobody who reads."""


def tree(trace: Trace, *, color: bool = False) -> str:
    """The spans of a trace, each under the one that it is part of:

        POST /orders  orders.place  buying       201            12.4 ms
        ├─ cart.cart                cart              +0.1 ms    0.4 ms
        └─ payments.charge          buying  declined  +0.6 ms   11.2 ms  carrier 10.9 ms

    After the name: the process, where there are several; how it ended (the status of an answer, the outcome where it
    was not ok), when it started after the first, how long it took, and its phases and facts.
    """
    rows = [
        (guide, _name(span), _end(span), f"+{time(span.start - trace.start)}", time(span.duration), _notes(span), span)
        for guide, span in _walk(trace)
    ]
    several = len(trace.processes) > 1
    wide = max(len(guide) + len(name) for guide, name, *_ in rows)
    homes = max(len(span.process) for *_, span in rows)
    ends = max(len(row[2]) for row in rows)
    starts = max(len(row[3]) for row in rows)
    times = max(len(row[4]) for row in rows)
    lines: list[str] = []
    for guide, name, end, start, duration, notes, span in rows:
        line = [
            _paint(guide, _DIM, color) + name.ljust(wide - len(guide)),
            *([_paint(one_line(span.process).ljust(homes), _CYAN, color)] if several else []),
            _paint(end.rjust(ends), _hue(span), color),
            _paint(start.rjust(starts), _DIM, color),
            duration.rjust(times),
            _paint(notes, _DIM, color and bool(notes)),
        ]
        lines.append("  ".join(line).rstrip())
    return "\n".join(lines)


def listing(traces: Iterable[Trace], *, color: bool = False) -> str:
    """One trace a line: when it started (UTC), the head of its id, where it starts, how that ended, how long it took,
    how many spans it has, and in how many processes, where those are several."""
    rows = [(trace, _name(trace.root), _end(trace.root) or "ok", time(trace.root.duration)) for trace in traces]
    names = max((len(row[1]) for row in rows), default=0)
    ends = max((len(row[2]) for row in rows), default=0)
    lines: list[str] = []
    for trace, name, end, duration in rows:
        at = datetime.fromtimestamp(trace.start, UTC).strftime("%Y-%m-%d %H:%M:%S")
        count, processes = len(trace.spans), len(trace.processes)
        lines.append(
            f"{_paint(at, _DIM, color)}  {trace.id[:16]}  {name.ljust(names)}  "
            f"{_paint(end.rjust(ends), _hue(trace.root), color)}  {duration.rjust(8)}  "
            f"{count:4} {'span' if count == 1 else 'spans'}{f' in {processes} processes' if processes > 1 else ''}"
        )
    return "\n".join(lines)


def time(seconds: float) -> str:
    """`85 µs`, `12.4 ms`, `1.25 s`."""
    if seconds < 0.0009995:
        return f"{max(seconds, 0.0) * 1e6:.0f} µs"
    if seconds < 0.99995:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.2f} s"


def _walk(trace: Trace) -> Iterable[tuple[str, Span]]:
    """Each span with the lines that lead to it; without recursion, since a trace may be as deep as it likes."""
    parts = trace.parts()
    waiting = [("", "", span) for span in reversed(trace.tops)]
    seen: set[int] = set()
    while waiting:
        guide, beneath, span = waiting.pop()
        if span.span_id in seen:
            continue
        seen.add(span.span_id)
        yield guide, span
        children = parts.get(span.span_id, [])
        for number, child in enumerate(reversed(children)):
            last = number == 0
            waiting.append((beneath + ("└─ " if last else "├─ "), beneath + ("   " if last else "│  "), child))


def _name(span: Span) -> str:
    method, route = span.facts.get("http.request.method"), span.facts.get("http.route")
    if span.kind == "server" and method and route:
        return one_line(f"{method} {route}  {span.name}")
    topic = span.facts.get("topic")
    return one_line(f"{span.name} {topic}" if topic else span.name)


def _end(span: Span) -> str:
    if span.kind == "server" and span.status:
        return str(span.status) if span.outcome == "ok" else f"{span.outcome} {span.status}"
    return "" if span.outcome == "ok" else span.outcome


def _notes(span: Span) -> str:
    parts = [f"{phase.name} {time(phase.duration)}" for phase in span.phases]
    facts = [f"{name}={value}" for name, value in span.facts.items() if _tells(name, value)]
    return one_line(", ".join(parts + facts))


def _tells(name: str, value: object) -> bool:
    """Whether a fact says something that the line does not say already; ids are for machines."""
    if name.startswith("http.") or name in _SAID:
        return False
    return not (name == "try" and value == 1) and not (name == "status" and isinstance(value, int) and value < 300)


def _hue(span: Span) -> str:
    if span.outcome == "ok":
        return _DIM
    return _RED if span.status >= 500 else _YELLOW


def _paint(text: str, code: str, color: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if color and text else text

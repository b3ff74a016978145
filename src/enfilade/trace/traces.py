"""Spans put together again: which of them are one trace, and which is part of which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from enfilade.trace.context import span_hex, trace_hex
from enfilade.trace.span import Span


@dataclass(frozen=True)
class Trace:
    """All that is known of one trace; never empty."""

    spans: tuple[Span, ...]
    """In the order in which they started."""

    @property
    def id(self) -> str:
        return trace_hex(self.spans[0].trace_id)

    @property
    def root(self) -> Span:
        """Where it starts; the first span that is known, where the real start is not."""
        return self.tops[0]

    @property
    def tops(self) -> tuple[Span, ...]:
        """The spans whose parent is not known here: one, unless another process has the rest."""
        known = {span.span_id for span in self.spans}
        tops = [span for span in self.spans if span.parent_id not in known]
        return tuple(sorted(tops, key=lambda span: span.parent_id != 0)) or self.spans[:1]

    @property
    def start(self) -> float:
        """Unix time, in seconds."""
        return self.spans[0].start

    @property
    def processes(self) -> frozenset[str]:
        """Where its spans were made."""
        return frozenset(span.process for span in self.spans)

    def parts(self) -> dict[int, list[Span]]:
        """By span id: the spans that are part of it, in the order in which they started."""
        parts: dict[int, list[Span]] = {}
        for span in self.spans:
            parts.setdefault(span.parent_id, []).append(span)
        return parts


def assemble(spans: Iterable[Span]) -> tuple[Trace, ...]:
    """The traces that these spans make, the newest last."""
    found: dict[int, dict[int, Span]] = {}
    for span in spans:
        found.setdefault(span.trace_id, {})[span.span_id] = span
    traces = [Trace(tuple(sorted(one.values(), key=lambda span: span.start))) for one in found.values()]
    return tuple(sorted(traces, key=lambda trace: trace.start))


def document(trace: Trace) -> dict[str, object]:
    """The trace for another program: its spans with their ids as they are written everywhere, times in seconds."""
    return {"trace_id": trace.id, "spans": [_document(span) for span in trace.spans]}


def _document(span: Span) -> dict[str, object]:
    shown: dict[str, object] = msgspec.to_builtins(span)
    del shown["trace_id"], shown["clock"]
    shown["span_id"] = span_hex(span.span_id)
    shown["parent_id"] = span_hex(span.parent_id)
    shown["phases"] = [msgspec.structs.asdict(phase) for phase in span.phases]
    return shown

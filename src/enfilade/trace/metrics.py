"""Counters, gauges and histograms, and the page that Prometheus reads.

A series is looked up once, when the thing that it counts is built, and is then a slot: recording adds to a number. A
metric has only so many series; what would be one more goes to a common last one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Final, Generic, Literal, TypeVar

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Of `exposition()`: the text format that each Prometheus reads."""

SECONDS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds of a histogram of times: from a call within the process to one that gives up."""

OVERFLOW: Final = "_other"
"""The value of each label in the series that takes what is over the limit."""

Labels = tuple[tuple[str, str], ...]
Kind = Literal["counter", "gauge", "histogram"]


class Counter:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1) -> None:
        self.value += amount


class Gauge:
    """A number that goes up and down."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def set(self, value: float) -> None:
        self.value = value

    def add(self, amount: float = 1) -> None:
        self.value += amount


class Histogram:
    """How many values lay between one bound and the next, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """Of each bound by itself, and last of what is over all of them."""
        self.sum = 0.0

    def record(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        return sum(self.counts)


S = TypeVar("S", Counter, Gauge, Histogram)


class Family(Generic[S]):
    """All series of one metric."""

    def __init__(self, name: str, kind: Kind, help: str, make: Callable[[], S], limit: int) -> None:
        self.name = name
        self.kind: Kind = kind
        self.help = help
        self.series: dict[Labels, S] = {}
        self._make = make
        self._limit = limit

    def at(self, labels: dict[str, str]) -> S:
        key = tuple(sorted(labels.items()))
        found = self.series.get(key)
        if found is None:
            if len(self.series) >= self._limit:
                key = tuple((name, OVERFLOW) for name, _ in key)
            found = self.series.setdefault(key, self._make())
        return found


class Metrics:
    """The numbers of one process."""

    def __init__(self, *, limit: int = 1000) -> None:
        """`limit` is the most series that one metric may have."""
        self._limit = limit
        self._families: dict[str, Family[Counter] | Family[Gauge] | Family[Histogram]] = {}
        self._readers: list[tuple[Gauge | Counter, Callable[[], float]]] = []

    def counter(self, name: str, help: str = "", /, **labels: str) -> Counter:
        """The counter of this name and these labels, the same one each time; its name ends in `_total`."""
        return self._family(name, "counter", help, Counter).at(labels)

    def gauge(self, name: str, help: str = "", /, **labels: str) -> Gauge:
        return self._family(name, "gauge", help, Gauge).at(labels)

    def histogram(self, name: str, help: str = "", /, **labels: str) -> Histogram:
        """A histogram of seconds; its name ends in `_seconds`."""
        return self._family(name, "histogram", help, Histogram).at(labels)

    def read(self, series: Counter | Gauge, value: Callable[[], float]) -> None:
        """Ask for a value when it is looked at, for what is known anyway: `read(gauge, queue.qsize)`."""
        self._readers.append((series, value))

    def families(self) -> Iterable[Family[Counter] | Family[Gauge] | Family[Histogram]]:
        """All metrics as they are now, by name."""
        for series, value in self._readers:
            series.value = value()
        return [self._families[name] for name in sorted(self._families)]

    def exposition(self) -> bytes:
        """All of it in the text format of Prometheus; send it as `CONTENT_TYPE`."""
        lines: list[str] = []
        for family in self.families():
            if family.help:
                lines.append(f"# HELP {family.name} {_escape(family.help, quote=False)}")
            lines.append(f"# TYPE {family.name} {family.kind}")
            for labels, series in list(family.series.items()):
                lines.extend(_samples(family.name, labels, series))
        return "".join(f"{line}\n" for line in lines).encode()

    def _family(self, name: str, kind: Kind, help: str, make: Callable[[], S]) -> Family[S]:
        family = self._families.get(name)
        if family is None:
            made = Family(name, kind, help, make, self._limit)
            self._families[name] = made  # pyright: ignore[reportArgumentType]  (S is one of the three)
            return made
        if family.kind != kind:
            raise ValueError(f"{name} is a {family.kind} already: give the {kind} another name.")
        return family  # pyright: ignore[reportReturnType]  (its kind says so)


def _samples(name: str, labels: Labels, series: Counter | Gauge | Histogram) -> Iterable[str]:
    if not isinstance(series, Histogram):
        yield f"{name}{_labels(labels)} {_number(series.value)}"
        return
    total = 0
    for bound, count in zip((*series.bounds, float("inf")), series.counts, strict=True):
        total += count
        yield f"{name}_bucket{_labels((*labels, ('le', _number(bound))))} {total}"
    yield f"{name}_sum{_labels(labels)} {_number(series.sum)}"
    yield f"{name}_count{_labels(labels)} {total}"


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}" if labels else ""


def _escape(text: str, *, quote: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text


def _number(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return {"inf": "+Inf", "-inf": "-Inf"}.get(str(value), "NaN")
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)

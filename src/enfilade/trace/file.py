"""The local trace file: recent spans as JSON lines, written by the running app and read by `enfilade trace`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from enfilade.trace.span import Span
from enfilade.trace.traces import Trace, assemble

_NEW, _OLD = "spans.jsonl", "spans.1.jsonl"
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Span)


class TraceFile:
    """A sink that appends to a file in `folder`. A file of half of `limit` bytes becomes the old one, in the place of
    the one that was, so that the two hold the newest spans.
    """

    def __init__(self, folder: Path, *, limit: int = 32 * 1024**2) -> None:
        self._folder = folder
        self._half = limit // 2

    def write(self, spans: Sequence[Span], pause: Callable[[float], bool]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _NEW
        # Opened for each batch, and written at once: another process may write here too, or turn the files.
        with path.open("ab", buffering=0) as file:
            file.write(_encoder.encode_lines(spans))
            full = file.tell() >= self._half
        if full:
            path.replace(self._folder / _OLD)


def read_traces(folder: Path) -> tuple[Trace, ...]:
    """All traces in the folder's files, the newest last; none where there are no files. A line that cannot be read is
    left out: the writer may be in the middle of it.
    """
    return assemble(_spans(folder))


def _spans(folder: Path) -> Iterator[Span]:
    for name in (_OLD, _NEW):
        try:
            lines = (folder / name).read_bytes().splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            try:
                yield _decoder.decode(line)
            except msgspec.MsgspecError:
                continue

"""The audit on disk: each process appends to a file of its own under `<folder>/audit`, as a chain of sealed lines.

Lines are taken where a call is served and written by a thread, some at a time: written, flushed to the disk, and then
their end noted in the head beside the file. `aclose` returns when all of them are. A new file is begun each day and
when one is large; its first line names the files before it with their last seals, so that none of them can go missing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from enfilade.clock import Clock
from enfilade.guard.chain import FIRST, Key, Opening, head_of, opening, seal, sealed, unsealed

log = logging.getLogger("enfilade")

PAUSE: Final = 0.05
"""Seconds in which lines gather before they are written; a killed process loses those of so long."""
_AGAIN: Final = 1.0
"""Seconds until it is tried again to write what could not be written."""
_TAIL: Final = 1024 * 1024
"""Bytes at the end of a file in which its last line is looked for."""
MOST: Final = 100_000
"""Lines that wait for a disk that takes none, some 50 MB; beyond that they are counted and lost."""


class Trail:
    """What is written of one app's process. `size` is that of a file, in bytes, before a new one is begun."""

    def __init__(self, folder: Path, secret: bytes, clock: Clock, *, size: int = 64 * 1024**2) -> None:
        """Begins a file. Raises OSError."""
        self._folder = folder
        self._key = Key(secret)
        self._clock = clock
        self._size = size
        self._lines: deque[bytes] = deque()
        self._lost = 0
        self._waiting: list[bytes] = []
        self._wake = threading.Event()
        self._over = threading.Event()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._begin()
        self._append([])
        self._thread = threading.Thread(target=self._run, name="enfilade-audit", daemon=True)
        self._thread.start()

    def write(self, text: bytes) -> None:
        """Take one line, a JSON object with at least one member."""
        if len(self._lines) >= MOST:
            self._lost += 1
            return
        self._lines.append(text)
        if not self._wake.is_set():
            self._wake.set()

    @property
    def waiting(self) -> bool:
        """Whether there is something that is not on the disk yet."""
        return self._wake.is_set() or bool(self._lines) or bool(self._waiting)

    async def aclose(self) -> None:
        """Write what is left, and say in the log where the chain ends: kept elsewhere, that proves its end."""
        self._over.set()
        self._wake.set()
        await asyncio.to_thread(self._thread.join)
        os.close(self._file)
        if self._count > 1:  # more than the line that begins a file
            log.info("the audit of this process ends in %s with %s", self.name, self._seal)

    # -- in the thread

    def _run(self) -> None:
        waiting = self._waiting
        while not self._over.is_set() or self._lines:
            self._wake.wait()
            self._over.wait(_AGAIN if waiting else PAUSE)
            self._wake.clear()
            failed = bool(waiting)
            waiting += (self._lines.popleft() for _ in range(len(self._lines)))
            if self._lost:
                waiting.append(msgspec.json.encode({"lost": self._lost}))
                self._lost = 0
            try:
                if waiting:
                    self._turn()
                self._append(waiting)
            except OSError as wrong:
                if self._over.is_set():
                    log.critical("the audit lost its last %d lines: %s", len(waiting), wrong)
                    return
                if not failed:
                    log.error("the audit cannot be written, which is tried again: %s", wrong)  # noqa: TRY400
                self._wake.set()

    def _turn(self) -> None:
        if self._at >= self._size or f"{self._clock.now():%Y%m%d}" != self.name[:8]:
            old = self._file
            self._begin()
            os.close(old)

    def _begin(self) -> None:
        now = self._clock.now()
        name = f"{now:%Y%m%dT%H%M%SZ}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        said = Opening(name, os.getpid(), f"{now:%Y-%m-%dT%H:%M:%SZ}", dict(ends(self._folder)))
        self._file = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self.name, self._first = name, msgspec.json.encode(said)
        self._at, self._count, self._seal = 0, 0, FIRST

    def _append(self, lines: list[bytes]) -> None:
        """Takes the lines out of the list once they are written. Raises OSError."""
        if not self._count:
            lines.insert(0, self._first)
        mark = self._seal
        made: list[bytes] = []
        for text in lines:
            mark = seal(self._key, mark, text)
            made.append(sealed(text, mark))
        try:
            _write(self._file, b"".join(made))
        except OSError:
            os.ftruncate(self._file, self._at)
            if not self._count:
                del lines[0]
            raise
        self._at += sum(map(len, made))
        self._count += len(lines)
        self._seal = mark
        lines.clear()
        new = self._folder / f"{self.name}.new"
        new.write_bytes(msgspec.json.encode(head_of(self._key, self.name, self._count, mark)))
        new.replace(self._folder / f"{self.name}.head")


def _write(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
    os.fsync(file)


def ends(folder: Path) -> Iterator[tuple[str, str]]:
    """The files that no other names yet, with their last seals: what a new file has to name."""
    last: dict[str, str] = {}
    named: set[str] = set()
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            first = file.readline()
            said, found = opening(first), unsealed(first)
            if said is None or found is None:
                continue  # it was killed before it wrote anything, or is none of ours
            named |= said.after.keys()
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            lines = [first, *file.read().splitlines(keepends=True)]
        seals = [one[1] for line in lines if line.endswith(b"\n") and (one := unsealed(line)) is not None]
        last[path.name] = seals[-1]
    return ((name, mark) for name, mark in last.items() if name not in named)

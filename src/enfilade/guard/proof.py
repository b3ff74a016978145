"""Whether an audit is whole: what was changed, taken out, moved or cut off since it was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from enfilade.errors import Finding
from enfilade.guard.chain import FIRST, Head, Key, Opening, head_of, opening, seal, unsealed


class Proof(msgspec.Struct, frozen=True):
    """What was found in a folder."""

    files: int
    lines: int
    findings: tuple[Finding, ...]
    """What somebody did to it."""
    notes: tuple[str, ...]
    """What is told and no harm: files whose writer was killed in the middle of a line."""


def prove(folder: Path, secret: bytes, *, begin: str = "", end: str = "") -> Proof:
    """Reads all files of a folder. With `begin` those before that file need not be there, because they were put away;
    `end` is a seal that has to be in one of them: the one that the log named last.
    """
    files = {path.name: _File(path, Key(secret)) for path in sorted(folder.glob("*.jsonl")) if path.name >= begin}
    findings = [finding for one in files.values() for finding in one.findings]
    for one in files.values():
        findings += _before(one, files, begin)
    for head in sorted(folder.glob("*.jsonl.head")):
        if head.stem >= begin and head.stem not in files:
            findings.append(Finding(head.stem, "The file is gone, its head is there.", _FROM, "missing"))
    if end and not any(end in one.seals for one in files.values()):
        what = f"No line has the seal {end[:16]}...: what it closed is gone."
        findings.append(Finding(str(folder), what, _FROM, "missing"))
    return Proof(
        files=len(files),
        lines=sum(one.lines for one in files.values()),
        findings=tuple(dict.fromkeys(findings)),
        notes=tuple(one.note for one in files.values() if one.note),
    )


_FROM = "Find out who could write there, and take the file from a copy."


class _File:
    """One file, read."""

    def __init__(self, path: Path, key: Key) -> None:
        self.path = path
        self.seals: list[str] = []
        self.opening: Opening | None = None
        self.note = ""
        self.findings = tuple(self._read(key))

    @property
    def lines(self) -> int:
        return len(self.seals)

    def _read(self, key: Key) -> Iterator[Finding]:
        *lines, rest = self.path.read_bytes().split(b"\n")
        head = _head(self.path, key)
        if lines and head is None and _foreign(lines[0], key):
            what = "Nothing in it has a seal of this app: it was made under another secret, or by somebody else."
            yield Finding(self.path.name, what, "Prove it with the secret that it was written with.", "foreign")
            return
        mark = FIRST
        for number, line in enumerate(lines, start=1):
            found = unsealed(line)
            if found is None or found[1] != seal(key, mark, found[0]):
                what = (
                    "The line is not the one that was written here: it was changed or moved, or one before it is gone."
                )
                yield Finding(f"{self.path.name}:{number}", what, _FROM, "changed")
            mark = "" if found is None else found[1]
            self.seals.append(mark)
        self.opening = opening(lines[0]) if lines else None
        if self.opening is not None and self.opening.file != self.path.name:
            yield Finding(f"{self.path.name}:1", f"The file was named {self.opening.file}.", _FROM, "changed")
        if head is None:
            if lines:
                yield Finding(self.path.name, "Its head is gone or is not ours.", _FROM, "head")
        elif head.lines > len(lines):
            what = f"{head.lines - len(lines)} lines are missing at its end."
            yield Finding(self.path.name, what, _FROM, "truncated")
        elif self.seals[head.lines - 1] != head.seal:
            yield Finding(f"{self.path.name}:{head.lines}", "The line is not the one its head names.", _FROM, "changed")
        if rest:
            self.note = f"{self.path.name} ends within line {len(lines) + 1}: its writer was stopped there."


def _head(path: Path, key: Key) -> Head | None:
    """The head of a file, where it is there and ours."""
    try:
        head = msgspec.json.decode(path.with_name(f"{path.name}.head").read_bytes(), type=Head)
    except (OSError, msgspec.MsgspecError):
        return None
    return head if head == head_of(key, path.name, head.lines, head.seal) and head.lines > 0 else None


def _foreign(line: bytes, key: Key) -> bool:
    found = unsealed(line)
    return found is None or found[1] != seal(key, FIRST, found[0])


def _before(one: _File, files: dict[str, _File], begin: str) -> Iterator[Finding]:
    """What one file says of those before it."""
    if one.opening is None:
        return
    for name, mark in one.opening.after.items():
        if name in files:
            if mark not in files[name].seals:
                what = f"{one.path.name} knows a line of it that is gone."
                yield Finding(name, what, _FROM, "truncated")
        elif name >= begin:
            yield Finding(name, f"The file is gone: {one.path.name} names it.", _FROM, "missing")

"""What all processes write, as one stream: each line behind the name of its process, or with it in JSON."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Final, TextIO

import click

_COLORS: Final = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_green", "bright_blue")
_LONGEST: Final = 65536
"""Characters of a line; what is longer goes on in the next one."""


class Output:
    """Where lines go."""

    def __init__(self, stream: TextIO, names: tuple[str, ...], *, as_json: bool = False) -> None:
        self._stream = stream
        self._width = max(map(len, (*names, "plan")))
        self._json = as_json
        self._color = stream.isatty()

    def line(self, name: str, text: str) -> None:
        """A line that a process wrote."""
        if self._json and text.startswith("{"):
            self._write(f'{{"process":{json.dumps(name)},{text[1:].lstrip()}')
        elif self._json:
            self._write(json.dumps({"process": name, "message": text}))
        else:
            self._write(f"{self._named(name)} {text}")

    def tell(self, text: str, *, wrong: bool = False) -> None:
        """A line of the supervisor's own."""
        if self._json:
            level = "ERROR" if wrong else "INFO"
            self._write(json.dumps({"process": "plan", "level": level, "message": text}))
        else:
            self._write(f"{self._named('plan')} {click.style(text, fg='red') if wrong and self._color else text}")

    def _named(self, name: str) -> str:
        shown = f"{name:<{self._width}} |"
        return click.style(shown, fg=_COLORS[zlib.crc32(name.encode()) % len(_COLORS)]) if self._color else shown

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


class Lines:
    """Cuts what comes from a pipe into lines."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = ""

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        *whole, self._rest = (self._rest + data.decode("utf-8", "replace")).split("\n")
        if len(self._rest) > _LONGEST:
            whole, self._rest = [*whole, self._rest], ""
        for one in whole:
            self._take(one.rstrip("\r"))

    def end(self) -> None:
        """What was begun is a line, too."""
        if self._rest:
            self.feed(b"\n")

"""Secrets that somebody else has put in place: variables of the environment, and files of a mounted folder."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from enfilade.secrets.unreadable import Unreadable

T = TypeVar("T")


class Environment:
    """`payments/psp-key` is the variable `ENFILADE_SECRET_PAYMENTS_PSP_KEY`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    async def find(self, name: str) -> str | None:
        return self._environ.get(variable(name))

    def remedy(self, name: str) -> str:
        return f"set the variable {variable(name)}"

    async def aclose(self) -> None:
        """Nothing was taken."""


def variable(name: str) -> str:
    return "ENFILADE_SECRET_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


class Told:
    """What somebody says in the program itself: tests."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    async def find(self, name: str) -> str | None:
        return self.values.get(name)

    def remedy(self, name: str) -> str:
        return f'say `.secret("{name}", ...)` of the stage'

    async def aclose(self) -> None:
        """Nothing was taken."""


class Files:
    """`payments/psp-key` is the file of that path below a folder, as Kubernetes and Compose mount them.

    A file is read again when it has changed. One newline at its end is not part of the value.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, Watched[str]] = {}

    async def find(self, name: str) -> str | None:
        watched = self._read.get(name)
        if watched is None:
            watched = self._read[name] = Watched(self._folder / name.replace("#", "/"), _line)
        return await watched.get()

    def remedy(self, name: str) -> str:
        return f"write the file {self._folder / name.replace('#', '/')}"

    async def aclose(self) -> None:
        """Nothing was taken."""


class Watched(Generic[T]):
    """What a file says, read again when the file is another one than before. None where there is no file."""

    def __init__(self, path: Path, read: Callable[[bytes], T]) -> None:
        self._path = path
        self._parse = read
        self._seen: tuple[int, int, int] | None = None
        self._value: T | None = None

    async def get(self) -> T | None:
        """What it says now. Raises Unreadable where it cannot be read."""
        try:
            found = os.stat(self._path)  # noqa: PTH116  (a microsecond; a thread costs fifty)
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen != self._seen:
                self._value = await asyncio.to_thread(lambda: self._parse(self._path.read_bytes()))
                self._seen = seen
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self._seen = self._value = None
        except (OSError, UnicodeDecodeError) as wrong:
            raise Unreadable(
                f"{self._path} cannot be read: {wrong}", "Make it a file that this user may read."
            ) from wrong
        return self._value


def _line(data: bytes) -> str:
    return data.decode().removesuffix("\n").removesuffix("\r")

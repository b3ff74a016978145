"""Certificates as files: how a supervisor hands them to the processes of its host.

A folder that nobody else may enter has `<process>.pem` for each process, its key and its certificate, and `roots.crt`
with the roots that all of them believe. A file is exchanged whole or not at all.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from enfilade.secrets import kept

BUNDLE: Final = "roots.crt"


def file_of(folder: Path, process: str) -> Path:
    """Where the key and the certificate of a process are."""
    return folder / f"{process}.pem"


def put(path: Path, data: bytes) -> None:
    """Write a file that only this user may read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept.write(path, data)


def changed(path: Path, data: bytes) -> bool:
    """Write a file unless it says so already; whether it was written."""
    with suppress(OSError):
        if path.read_bytes() == data:
            return False
    put(path, data)
    return True

"""Certificates as files: how a supervisor hands them to the processes of its host.

A folder that nobody else may enter has `<process>.pem` for each process, its key and its certificate, and `roots.crt`
with the roots that all of them believe. A file is exchanged whole or not at all.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

BUNDLE: Final = "roots.crt"


def file_of(folder: Path, process: str) -> Path:
    """Where the key and the certificate of a process are."""
    return folder / f"{process}.pem"


def put(path: Path, data: bytes) -> None:
    """Write a file that only this user may read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, new = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600, as mkstemp has it
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(new).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(new).unlink()
        raise


def changed(path: Path, data: bytes) -> bool:
    """Write a file unless it says so already; whether it was written."""
    with suppress(OSError):
        if path.read_bytes() == data:
            return False
    put(path, data)
    return True

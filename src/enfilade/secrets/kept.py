"""Files that must be whole, and mostly private: exchanged in one step, or made once by whoever comes first."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put a file there whole, or leave what was there. Raises OSError."""
    with _beside(path, data, mode) as new:
        new.replace(path)


def once(path: Path, make: Callable[[], bytes]) -> bytes:
    """What the file has; made where it is not there. Of two that start at once, the first one's stays."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with _beside(path, make(), 0o600) as new, suppress(FileExistsError):
            path.hardlink_to(new)
    return path.read_bytes()


@contextmanager
def _beside(path: Path, data: bytes, mode: int) -> Generator[Path]:
    """The data on the disk under another name, which is gone at the end."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600, as mkstemp has it
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.chmod(mode)
        yield new
    finally:
        new.unlink(missing_ok=True)

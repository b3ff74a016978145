"""Where the processes of a plan meet: the folder of their sockets, and the public port, which they inherit.

The port is the supervisor's, so that a front that ends does not take it away: who asks meanwhile waits for
the next one.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from enfilade.errors import Finding, StartError

_LONGEST: Final = 103
"""Bytes of a Unix socket's path: 104 on macOS and 108 on Linux, with the zero at its end."""
_PUBLIC: Final = ".http.sock"
"""What names of sockets end with that only the edge asks at."""
_LISTEN: Final = "ENFILADE_LISTEN"
"""The variable that says the numbers of the inherited sockets."""


def run_folder(folder: str) -> Path:
    """Where sockets lie and what the processes are told: for this user's eyes only."""
    run = Path(folder) / "run"
    run.mkdir(parents=True, exist_ok=True)
    run.chmod(0o700)
    return run


def address_of(folder: str, process: str, replica: int = 1) -> str:
    """Where a process is called by the others. Raises StartError where that is too long for the system."""
    path = str(Path(folder).resolve() / "run" / f"{process}{'' if replica == 1 else f'@{replica}'}.sock")
    if len(public_of(path).encode()) > _LONGEST:
        what = f"{path} is too long for the name of a socket."
        raise StartError([Finding("plan", what, "Say a shorter `folder` in enfilade.toml.", "plan")])
    return f"unix:{path}"


def public_of(address: str) -> str:
    """Where a process that is called there is asked by the edge."""
    return f"{address.removesuffix('.sock')}{_PUBLIC}"


@contextmanager
def alone(run: Path) -> Generator[None]:
    """Inside, no other supervisor works in this folder. Raises StartError where one does."""
    with (run / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            file.seek(0)
            what = f"another supervisor works in {run} (process {file.read().strip() or 'unknown'})."
            remedy = "Stop that one, or say another `folder` in enfilade.toml."
            raise StartError([Finding(str(run), what, remedy, "plan")]) from taken
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def reserved(listener: socket.socket) -> Generator[None]:
    """Inside, a listener is closed, and its address is left to another program of ours that opens it by itself.

    On Linux nobody else can take it, not even while that program is started again (`SO_REUSEPORT` of socket(7)).
    """
    where = listener.getsockname()
    with socket.socket(listener.family, socket.SOCK_STREAM) as kept:
        listener.close()
        if sys.platform == "linux":
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            kept.bind(where)
        yield


def passed(lanes: Sequence[socket.socket]) -> dict[str, str]:
    """The variable by which a child knows the listeners that it inherits."""
    return {_LISTEN: ",".join(str(one.fileno()) for one in lanes)}


def inherited() -> list[socket.socket]:
    """The listeners of the public port that the supervisor gave to this process; none where it is not the front."""
    said = os.environ.pop(_LISTEN, "")
    return [socket.socket(fileno=int(one)) for one in said.split(",") if one.isdigit()]


def accepts(address: str) -> bool:
    """Whether somebody listens at `host:port`, or at the path of a Unix socket."""
    host, _, port = address.rpartition(":")
    unix = "/" in address
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_STREAM) as asked:
        asked.settimeout(1.0)
        try:
            asked.connect(address if unix else (host or "127.0.0.1", int(port)))
        except (OSError, ValueError):
            return False
        return True

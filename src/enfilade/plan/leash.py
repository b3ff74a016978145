"""Holds a program that is not ours: `python leash.py GRACE SIGNAL USER COMMAND...`, run as a file, without the package.

The program ends with the supervisor, whatever becomes of that: standard input is a socket to it, and its end means that
the supervisor is gone. It is then asked to stop by SIGNAL, and killed after GRACE seconds. USER is whom it runs as, by
number, or `-`. Ends with the program's exit code, 128 and the number more where a signal ended it.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when the thread that made it ends. Linux only."""


def die_with_parent(how: int) -> None:
    """Ask for a signal when the parent is gone, where the system can do that."""
    if sys.platform == "linux":
        prctl(_PDEATHSIG, how)


def prctl(option: int, value: int) -> None:
    """Of Linux: something that the system does for this process."""
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def limit(pid: int, megabytes: int) -> None:
    """Let a process, or this one (0), have no more memory of its own than that; 0 is no limit. Linux only."""
    if megabytes and sys.platform == "linux":
        import contextlib
        import resource

        size = megabytes * 1024 * 1024
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (size, size))


def main(grace: str, how: str, user: str, *command: str) -> int:
    """Start it, pass on what stops it, and wait for its end."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    stop = False

    def stopped(_: int, __: FrameType | None) -> None:
        nonlocal stop
        stop = True

    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, stopped)
    signal.signal(signal.SIGCHLD, lambda _, __: None)
    signal.set_wakeup_fd(wake)
    child = os.fork()  # from the only thread, which lives as long as the program does
    if child == 0:
        _become(user, command)
    lost = False
    until = float("inf")
    while (status := _ended(child)) is None:
        left = until - time.monotonic()
        if left <= 0:
            os.kill(child, signal.SIGKILL)
        watched = [woken] if lost else [woken, 0]
        readable, _, _ = select.select(watched, [], [], None if left == float("inf") else max(left, 0.05))
        if woken in readable:
            os.read(woken, 4096)
        if 0 in readable and not os.read(0, 4096):
            lost = stop = True
        if stop and until == float("inf"):
            until = time.monotonic() + float(grace)
            os.kill(child, int(how))
    if lost:
        os.killpg(0, signal.SIGKILL)  # what it left behind, and this one with it
    return status


def _ended(child: int) -> int | None:
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid == 0:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _become(user: str, command: tuple[str, ...]) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        for one in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(one, signal.SIG_DFL)
        if user != "-":
            os.setgroups([])
            os.setgid(int(user))
            os.setuid(int(user))
        die_with_parent(signal.SIGKILL)  # after the change of user, which takes it back
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.execvp(command[0], command)  # noqa: S606  (what the operator wrote down, without a shell)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(127)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

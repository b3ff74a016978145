"""Who holds a claim: a process of this machine, so that others of it can tell when it has ended (Linux)."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


def named(token: str) -> str:
    """A token that says which process made it, where the system can tell one process from all others."""
    return f"{token}@{_process(os.getpid())}"


def gone(token: str) -> bool:
    """Whether the process that made a token has ended for sure: one of this machine, and of our own."""
    where, _, process = token.partition("@")[2].rpartition("/")
    pid, _, began = process.partition(".")
    return bool(where) and where == _process(os.getpid()).rpartition("/")[0] and _began(int(pid)) != began


@cache
def _process(pid: int) -> str:
    """The boot, the namespace of process ids and the user, the id, and when it began; `""` where that is not told."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').stat().st_ino}/{os.getuid()}/{pid}.{_began(pid)}"
    except OSError:
        return ""


def _began(pid: int) -> str:
    """When a process began, in ticks since the boot; `""` where there is none, or only what is left of one."""
    try:
        state, *fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in "ZX" else fields[18]  # proc(5): starttime is the 22nd field, and the state the third

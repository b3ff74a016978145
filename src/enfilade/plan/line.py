"""The end of a process of ours at the line to its supervisor: standard input, which is a socket then.

What it says there is `ready`; what it hears is the end of the line, when the supervisor is gone.
"""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from typing import Final

from enfilade.plan.leash import die_with_parent

READY: Final = b"ready\n"


def hold(grace: float) -> None:
    """From now on the process ends with its supervisor: asked to stop, and killed after so many seconds.

    Does nothing where there is none, and standard input is something else.
    """
    if not _is_line():
        return
    die_with_parent(signal.SIGTERM)
    threading.Thread(target=_wait, args=(grace,), name="enfilade-line", daemon=True).start()


def ready() -> None:
    """Tell the supervisor, if there is one."""
    if _is_line():
        os.write(0, READY)


def _is_line() -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(0).st_mode) and os.getpgid(0) == os.getpid()
    except OSError:
        return False


def _wait(grace: float) -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)  # of a thread of its own, that not even a busy process holds up
    os.killpg(0, signal.SIGKILL)

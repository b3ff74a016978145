"""The line between a process of ours and its supervisor: standard input of the process, which is a socket then.

The process says `ready`, and `took 3` when it goes by revision 3 of the plan in force. It hears `plan` when that
changed, `leave` when it is no longer named and nobody asks it any more, and the end of the line when the supervisor is
gone. Asked `alive`, its event loop says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final

from enfilade.clock import Clock
from enfilade.plan.leash import die_with_parent

READY: Final = "ready"
TOOK: Final = "took"
PLAN: Final = "plan"
LEAVE: Final = "leave"
ALIVE: Final = "alive"


_ASKED: Final = 5
"""Times that a process does not answer until it is given up."""


class Line:
    """The end of the process."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._words: deque[str] = deque()
        self._news = asyncio.Event()

    def say(self, *words: object) -> None:
        """Tell the supervisor, if there is one."""
        if _is_line():
            os.write(0, f"{' '.join(map(str, words))}\n".encode())

    async def words(self) -> AsyncGenerator[str]:
        """What the supervisor says, for good, and has said since the process held the line."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            while self._words:
                yield self._words.popleft()
            await self._news.wait()

    def wait(self, grace: float) -> None:
        """Pass on what is said; at the end of the line ask this process to stop, and end it after `grace` seconds."""
        rest = b""
        while data := os.read(0, 4096):
            *whole, rest = (rest + data).split(b"\n")
            words = [word.decode() for word in whole]
            self._words += [word for word in words if word != ALIVE]
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._news.set)
                if ALIVE in words:  # the loop says it, not this thread
                    self._loop.call_soon_threadsafe(self.say, ALIVE)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace)  # of a thread of its own, that not even a busy process holds up
        os.killpg(0, signal.SIGKILL)


def hold(grace: float) -> Line:
    """From now on the process ends with its supervisor: asked to stop, and killed after so many seconds.

    Does nothing where there is none, and standard input is something else.
    """
    line = Line()
    if _is_line():
        die_with_parent(signal.SIGTERM)
        threading.Thread(target=line.wait, args=(grace,), name="enfilade-line", daemon=True).start()
    return line


class Far:
    """The end of the supervisor."""

    def __init__(self, socket: socket.socket) -> None:
        socket.setblocking(False)
        self.ready = False
        self.took = -1
        """The revision of the plan that the process goes by; -1 where it said none."""
        self._socket = socket
        self._gone = False
        self._alive = False
        self._news = asyncio.Event()
        self._listening = asyncio.create_task(self._listen(), name="line")

    async def say(self, word: str) -> None:
        """Tell the process. Raises OSError where it is gone."""
        await asyncio.get_running_loop().sock_sendall(self._socket, f"{word}\n".encode())

    async def until_ready(self) -> None:
        """Until the process said so; for good where it never does."""
        while not self.ready:
            await self._heard()

    async def until_took(self, revision: int) -> None:
        """Until the process goes by this revision of the plan or a later one, or is gone."""
        while self.took < revision and not self._gone:
            await self._heard()

    async def until_silent(self, seconds: float, clock: Clock) -> None:
        """Until the process, asked again and again, has not answered for so many seconds.

        They are counted by the times that it was asked: while this process itself does not run, held up by the machine
        or stopped, they do not pass.
        """
        silent = 0
        while silent < _ASKED:
            self._alive = False
            with contextlib.suppress(OSError):  # it has ended
                await self.say(ALIVE)
            await clock.sleep(seconds / _ASKED)
            silent = 0 if self._alive else silent + 1

    async def close(self) -> None:
        """Hang up."""
        self._listening.cancel()
        await asyncio.wait([self._listening])
        self._socket.close()

    async def _heard(self) -> None:
        self._news.clear()
        await self._news.wait()

    async def _listen(self) -> None:
        loop, rest = asyncio.get_running_loop(), b""
        while data := await _received(loop, self._socket):
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                word, _, number = line.decode("utf-8", "replace").partition(" ")
                self.ready |= word == READY
                self._alive |= word == ALIVE
                if word == TOOK and number.isdigit():
                    self.took = int(number)
            self._news.set()
        self._gone = True
        self._news.set()


async def _received(loop: asyncio.AbstractEventLoop, socket: socket.socket) -> bytes:
    try:
        return await loop.sock_recv(socket, 4096)
    except OSError:  # it was killed
        return b""


def _is_line() -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(0).st_mode) and os.getpgid(0) == os.getpid()
    except OSError:
        return False

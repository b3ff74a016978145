"""Where processes of ours come from on Linux: one process that has imported the framework, and forks them.

To import the framework takes a second of a processor and 40 MB; who is forked has it, and shares most of the memory.
The nursery imports nothing of an app, has no thread and no event loop, and does nothing between two forks.

A process from there is a child of the supervisor like any other. The one that forks it ends at once, and the supervisor
takes in whom that leaves behind (PR_SET_CHILD_SUBREAPER of prctl(2)): so it is the supervisor who is told of its end,
and the end of the nursery is nothing to it. A nursery that is gone is started again when it is needed next.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import gc
import json
import os
import runpy
import select
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from enfilade.plan.leash import limit, prctl

_SUBREAPER: Final = 36
"""prctl(2): whether this process becomes the parent of orphans below it."""
_MOST: Final = 65536
"""Bytes of what the nursery is asked: a command line, and some variables."""
_FDS: Final = 64
"""Files that a process is given: its line, what it writes to, the listeners of the public port."""
_SOON: Final = 10.0
"""Seconds until a nursery that does not answer is killed; a fork takes milliseconds."""
_MAIN: Final = "from enfilade.plan.nursery import main; main()"


class Nursery:
    """The supervisor's end."""

    def __init__(self, *loaded: str, environment: Mapping[str, str] | None = None) -> None:
        """`loaded` are modules, and functions that fill a cache, as `module:function`; `environment` are variables that
        it has besides, and who comes from it."""
        self._loaded = list(loaded)
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._ready = False

    def start(self) -> None:
        """Have it begin with its imports, unless it runs. Nobody need wait for it before it is asked."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  (ourselves)
                [sys.executable, "-c", _MAIN, *self._loaded],
                stdin=theirs.fileno(),
                env={**os.environ, **self._environment},
                start_new_session=True,
            )

    async def load(self, *names: str) -> None:
        """Have it load more, for those who are forked from now on."""
        if sys.platform != "linux":
            return
        self._loaded += names
        with contextlib.suppress(ConnectionError):  # or it is loaded at its next start
            await self._until_ready()
            assert self._line is not None
            self._line.send(json.dumps({"load": names}).encode())
            self._ready = False

    def close(self) -> None:
        """End it. Those who come from there go on."""
        self._ready = False
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def fork(
        self, command: Sequence[str], environment: Mapping[str, str], fds: Mapping[int, int], memory: int = 0
    ) -> Forked:
        """Run `python -m ...` in a session of its own, with these variables besides, these files by number, and so many
        megabytes of memory. Raises OSError where that cannot be done."""
        asked = {"command": command, "environment": environment, "fds": list(fds), "memory": memory}
        for last in (False, True):  # it may have ended since it was asked last, which shows when it is asked again
            try:
                await self._until_ready()
                # From here on at once: a process that was asked for is known, whatever is cancelled.
                return Forked(self._ask(asked, list(fds.values())))
            except ConnectionError:
                self.close()
                if last:
                    raise
        raise AssertionError

    async def ask(self, command: Sequence[str]) -> tuple[int, bytes]:
        """What a command writes, and its exit code. Standard error is our own."""
        read, write = os.pipe()
        with os.fdopen(read, "rb") as answer, open(os.devnull, "rb") as nothing:  # noqa: ASYNC230, PTH123
            try:
                forked = await self.fork(command, {}, {0: nothing.fileno(), 1: write, 2: 2})
            finally:
                os.close(write)
            said = await asyncio.to_thread(answer.read)
        return await forked.wait(), said

    async def _until_ready(self) -> None:
        self.start()
        while not (self._ready or self._heard(0)):  # noqa: ASYNC110  (no loop of ours owns its socket)
            await asyncio.sleep(0.01)
        self._ready = True

    def _ask(self, asked: Mapping[str, Any], fds: Sequence[int]) -> int:
        assert self._line is not None
        with _taking_in():
            socket.send_fds(self._line, [json.dumps(asked).encode()], fds)
            number = int(self._heard(_SOON) or -errno.ETIMEDOUT)
        if number < 0:
            raise OSError(-number, os.strerror(-number))
        return number

    def _heard(self, seconds: float) -> bytes:
        """What it said, or nothing. Raises ConnectionError where it is gone, or is killed because it says nothing."""
        assert self._line is not None
        readable, _, _ = select.select([self._line], [], [], seconds)
        if not readable and not seconds:
            return b""
        if readable and (said := self._line.recv(_MOST)):
            return said
        raise ConnectionResetError(errno.ECONNRESET, "the nursery is gone")


class Forked:
    """A process that was forked for us, as asyncio has those that it started itself."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._end = os.pidfd_open(pid)
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._end, self._take)

    def send_signal(self, number: int) -> None:
        """Raises ProcessLookupError where it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError(errno.ESRCH, f"process {self.pid} has ended")
        os.kill(self.pid, number)

    async def wait(self) -> int:
        """Until it ends; its exit code, or less than zero: the signal."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def _take(self) -> None:
        asyncio.get_running_loop().remove_reader(self._end)
        os.close(self._end)
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self._ended.set()


def forks(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a command can come from a nursery: `python -m ...` of this very Python.

    With variables of its own it is executed, if others than ours read them: most do once, when they are loaded.
    """
    ours = all(name.startswith("ENFILADE_") for name in environment)
    return sys.platform == "linux" and tuple(command[:2]) == (sys.executable, "-m") and ours


def main() -> None:
    """The nursery, and then each process that comes from it."""
    line = socket.socket(fileno=0)
    _load(line, sys.argv[1:])
    command = _bear(line)
    sys.argv[:] = command[2:]
    if not sys.flags.safe_path:
        sys.path[0] = str(Path.cwd())
    runpy.run_module(command[2], run_name="__main__", alter_sys=True)


def _load(line: socket.socket, names: Sequence[str]) -> None:
    for name in names:
        module, _, function = name.partition(":")
        with contextlib.suppress(ImportError):  # who needs it says what to install
            loaded = import_module(module)
            if function:
                getattr(loaded, function)()
    gc.collect()
    gc.freeze()  # so that the collector writes nothing into what is shared
    line.send(b"ready")


def _bear(line: socket.socket) -> Sequence[str]:
    """Fork whoever is asked for. Comes back in each of these, with its command; ends where nobody can ask any more."""
    while True:
        said, fds, _, _ = socket.recv_fds(line, _MOST, _FDS)
        if not said:
            sys.exit()
        asked = json.loads(said)
        if "load" in asked:
            _load(line, asked["load"])
            continue
        read, write = os.pipe()
        with os.fdopen(read, "rb") as answer:
            between = _fork()
            if between == 0:
                parent = os.getpid()
                if _fork() != 0:
                    os._exit(0)
                line.detach()
                answer.close()
                while os.getppid() == parent:  # the signal at the end of a parent is for that of the next one
                    time.sleep(0.001)
                return _become(asked, fds, write)
            for fd in (write, *fds):
                os.close(fd)
            born = answer.read() or b"%d" % -errno.EAGAIN
            if between > 0:
                os.waitpid(between, 0)
        line.send(born)


def _fork() -> int:
    """As of fork(2); -1 where there can be no more processes."""
    try:
        return os.fork()
    except OSError:
        return -1


def _become(asked: Mapping[str, Any], fds: Sequence[int], told: int) -> Sequence[str]:
    """A process of its own, with what it was given."""
    os.setsid()
    os.write(told, b"%d" % os.getpid())
    os.close(told)
    free = 1 + max(asked["fds"])
    for fd, number in zip(_moved(fds, free), asked["fds"], strict=True):
        os.dup2(fd, number)
        os.close(fd)
    os.environ.update(asked["environment"])
    limit(0, asked["memory"])
    _show(asked["command"])
    return asked["command"]


def _moved(fds: Sequence[int], free: int) -> Sequence[int]:
    """The same with numbers from `free` on, so that none is in the way of another."""
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD, free) for fd in fds]
    for fd in fds:
        os.close(fd)
    return moved


def _show(command: Sequence[str]) -> None:
    """Let `ps` show this command, written over that of the nursery as far as there is room."""
    fields = Path("/proc/self/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    start, end = (
        int(fields[45]),
        int(fields[46]),
    )  # arg_start and arg_end of proc(5), which counts from one, and two more
    if start:
        text = "\0".join(command).encode()[: end - start - 1]
        ctypes.memmove(start, text.ljust(end - start, b"\0"), end - start)


@contextlib.contextmanager
def _taking_in() -> Generator[None]:
    """Inside, this process is the parent of those below it whose own ends."""
    prctl(_SUBREAPER, 1)
    try:
        yield
    finally:
        prctl(_SUBREAPER, 0)

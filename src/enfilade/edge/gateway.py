"""An Envoy at work: started, changed and stopped without losing a request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from enfilade.edge.admin import Admin
from enfilade.edge.binary import Rejected, find, validate
from enfilade.edge.model import Edge
from enfilade.edge.render import ADMIN, BOOTSTRAP, CLUSTERS, LISTENERS, ROUTES, render, union, version

_START: Final = 15.0
"""Seconds till it serves; it takes a quarter of one."""
_TAKE: Final = 10.0
"""Seconds till it works with a file that changed; it takes some milliseconds."""
_LOOK: Final = 0.02
"""Seconds between two looks at whether it does."""
_PATH: Final = 103
"""Bytes of a socket's path: 104 on macOS and 108 on Linux, with the zero at its end."""


class Gateway:
    """One Envoy in a folder of its own, which nobody else may read: certificates' keys are in it.

        async with Gateway(edge, folder) as gateway:
            await gateway.apply(changed)

    It has to be started by the main thread: on Linux Envoy ends with the thread that started it, so that none is left
    behind when a supervisor is killed. `told` is given each line that Envoy logs. With `apart` it has a session of its
    own, where Ctrl-C does not reach it; or else it is ended with the group of processes that it was started in.
    """

    def __init__(
        self,
        edge: Edge,
        folder: Path,
        *,
        binary: Path | None = None,
        workers: int = 0,
        told: Callable[[str], None] | None = None,
        apart: bool = True,
    ) -> None:
        self.edge = edge
        """What it serves now."""
        self.folder = folder.resolve()
        self.process: asyncio.subprocess.Process | None = None
        self.admin: Admin
        self._binary = binary
        self._workers = workers
        self._told = told
        self._apart = apart
        self._lines: deque[str] = deque(maxlen=50)
        self._files: dict[str, bytes] = {}
        self._changing = asyncio.Lock()
        self._torn = False
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it; returns when it serves. Raises Rejected with Envoy's own words, as where a port is taken."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("start the gateway from the main thread: Envoy ends with the thread that started it")
        envoy = self._binary or find()
        if len(os.fsencode(self.folder / ADMIN)) > _PATH:
            raise Rejected(f"{self.folder / ADMIN} is too long for a socket: choose a folder with a shorter path.")
        await validate(self.edge, envoy)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        self._files = render(self.edge, self.folder)
        for name, content in self._files.items():
            self._put(name, content)
        await self._begin(envoy)

    async def again(self) -> None:
        """Start it again after it has ended, with what it served, at once: till then connections are refused.

        Raises Rejected where it does not start, or ended while it was to change: nobody knows then what it served.
        """
        async with self._changing:
            if self._torn:
                raise Rejected(f"Envoy has ended while it was to change. {self._why()}")
            if self._reading is not None:
                await self._reading
            await self.admin.close()
            await self._begin(self._binary or find())

    async def _begin(self, envoy: Path) -> None:
        """Envoy, with the files in the folder."""
        workers = ("--concurrency", str(self._workers)) if self._workers else ()
        self.process = await asyncio.create_subprocess_exec(
            *(*_held(), str(envoy), "-c", str(self.folder / BOOTSTRAP), "-l", "warning", "--disable-hot-restart"),
            *("--reject-unknown-dynamic-fields", "--log-format", "%v", "--drain-time-s", "600"),
            *("--file-flush-interval-msec", "1000", *workers),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=None if self.edge.log == "stdout" else asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=self._apart,  # Ctrl-C is the supervisor's to answer, which stops the edge in its turn
        )
        self._reading = asyncio.create_task(self._read())
        self.admin = Admin(self.folder / ADMIN)
        try:
            async with asyncio.timeout(_START):
                while not await self.ready():
                    self._alive()
                    await asyncio.sleep(_LOOK)
                for name in self._files:
                    await self._taken(name, {})
        except BaseException:
            await self.stop(drain=0.0)
            raise

    async def ready(self) -> bool:
        """Whether it serves."""
        return self.process is not None and self.process.returncode is None and await self.admin.ready()

    async def ended(self) -> str:
        """Returns when Envoy has ended, whoever ended it: what it said last."""
        if self.process is not None:
            await self.process.wait()
        return self._why()

    async def apply(self, edge: Edge) -> None:
        """Serve this from now on. Raises Rejected, and what was served before stays.

        What is new is written before what leads to it, and what is gone is taken away after: no request falls between.
        """
        async with self._changing:
            try:
                await self._apply(edge)
            finally:
                self._torn = self._torn or self.process is None or self.process.returncode is not None

    async def stop(self, drain: float = 10.0) -> None:
        """Take nothing new, finish what runs within `drain` seconds, and end."""
        process = self.process
        if process is None:
            return
        if process.returncode is None and drain > 0:
            with contextlib.suppress(Exception):
                await self._drain(drain)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 5.0)
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading
        await self.admin.close()
        self.process = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _apply(self, edge: Edge) -> None:
        self._alive()
        await validate(edge, self._binary)
        before, after = self._files, render(edge, self.folder)
        if before[BOOTSTRAP] != after[BOOTSTRAP]:
            raise Rejected("the name and the number of connections cannot change while it runs: start another.")
        both = union(before[CLUSTERS], after[CLUSTERS])
        first = {name: content for name, content in after.items() if name not in (BOOTSTRAP, LISTENERS)}
        try:
            for name, content in {**first, CLUSTERS: both}.items():
                await self._change(name, content)
            await self._change(LISTENERS, after[LISTENERS])
            await self._change(CLUSTERS, after[CLUSTERS])
        except BaseException:
            for name, content in before.items():
                self._put(name, content)
            self._files = before
            raise
        for name in before.keys() - after.keys():
            (self.folder / name).unlink(missing_ok=True)
        self._files, self.edge = after, edge

    async def _drain(self, seconds: float) -> None:
        """New requests find other edges; those under way are finished."""
        await self.admin.post("/healthcheck/fail")
        await self.admin.post("/drain_listeners?graceful&skip_exit")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while sum((await self.admin.numbers(r"^http\.edge\.downstream_rq_active$")).values()):  # noqa: ASYNC110  (Envoy has to be asked)
                    await asyncio.sleep(_LOOK)

    async def _change(self, name: str, content: bytes) -> None:
        """Write a file, where it is not so already, and wait until Envoy works with it."""
        if self._files.get(name) == content:
            return
        new, rejected = name not in self._files, await self._rejected()
        self._files = {**self._files, name: content}
        self._put(name, content)
        if not new:  # of a new one nobody has heard yet
            await self._taken(name, rejected)

    async def _taken(self, name: str, rejected: dict[str, int]) -> None:
        """Returns when Envoy works with a file as it was written."""
        subscription = _SUBSCRIPTIONS.get(name)
        if subscription is None:
            return
        wanted = version(self._files[name])
        async with asyncio.timeout(_TAKE):
            while (await self.admin.versions()).get(subscription) != wanted:
                now = await self._rejected()
                if any(count > rejected.get(one, 0) for one, count in now.items()):
                    raise Rejected(self._why())
                self._alive()
                await asyncio.sleep(_LOOK)

    async def _rejected(self) -> dict[str, int]:
        return await self.admin.numbers("update_rejected$")

    def _alive(self) -> None:
        if self.process is None or self.process.returncode is not None:
            raise Rejected(f"Envoy has ended. {self._why()}")

    def _why(self) -> str:
        return "\n".join(self._lines)

    async def _read(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            text = line.decode("utf-8", "replace").rstrip()
            self._lines.append(text)
            if self._told is not None:
                self._told(text)

    def _put(self, name: str, content: bytes) -> None:
        """In one step: Envoy reads a file when another takes its name."""
        made = self.folder / f"{name}.new"
        made.touch(mode=0o600)
        made.write_bytes(content)
        made.replace(self.folder / name)


def _held() -> tuple[str, ...]:
    """Becomes Envoy once it has asked to end with us (prctl(2), PR_SET_PDEATHSIG), unless we are gone already."""
    if sys.platform != "linux":
        return ()
    ask = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15, 0, 0, 0); "
    become = "os.getppid() == int(sys.argv[1]) and os.execv(sys.argv[2], sys.argv[2:])"
    return sys.executable, "-I", "-S", "-c", ask + become, str(os.getpid())


_SUBSCRIPTIONS: Final = {
    CLUSTERS: "cluster_manager.cds",
    ROUTES: "http.edge.rds.edge",
    LISTENERS: "listener_manager.lds",
}
"""What tells the version of each file that Envoy works with."""

"""A process of a stage, as the test has it: forked from a nursery that has the framework and the app's contracts."""

from __future__ import annotations

import asyncio
import atexit
import importlib.util
import json
import os
import pickle
import signal
import socket
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from enfilade.app import App
from enfilade.errors import Finding
from enfilade.plan.nursery import Forked, Nursery, forks
from enfilade.testing.told import Job, of_a_test

_COMMAND: Final = (sys.executable, "-m", "enfilade.testing")
_LOADED: Final = ("enfilade.testing.child", "enfilade.outbound.pinned:authorities", "anyio._backends._asyncio")
"""What all of them need, and what takes so long at a first request that a short deadline would be over."""
_STOP: Final = 6.0
"""Seconds from the word to stop until a process is killed; it kills itself before."""


class Started:
    """One process, from its start to its end."""

    def __init__(self, process: str, folder: Path) -> None:
        self.process = process
        self.url = ""
        """Its public address, where it is the front."""
        self._log = folder / f"{process}.log"
        self._running: Forked | asyncio.subprocess.Process | None = None
        self._line, self._theirs = socket.socketpair()
        self._line.setblocking(False)

    async def start(self, job: Job) -> None:
        """Start it, and tell it what it is."""
        with self._theirs, self._log.open("wb") as log:
            fds = {0: self._theirs.fileno(), 1: log.fileno(), 2: log.fileno()}
            if forks(_COMMAND, {}):
                self._running = await _nursery().fork(_COMMAND, {}, fds)
            else:
                self._running = await asyncio.create_subprocess_exec(
                    *_COMMAND, stdin=fds[0], stdout=log, stderr=log, start_new_session=True
                )
        data = pickle.dumps(job)
        with suppress(ConnectionError):  # its end says why
            await asyncio.get_running_loop().sock_sendall(self._line, len(data).to_bytes(8) + data)

    async def ready(self) -> list[Finding]:
        """Until it is ready; what is wrong otherwise."""
        said = b""
        while not said.endswith(b"\n"):
            if not (more := await self._heard()):
                break
            said += more
        told: dict[str, Any] = json.loads(said) if said else {}
        if "ready" in told:
            self.url = told["ready"]
            return []
        if "findings" in told:
            return msgspec.convert(told["findings"], list[Finding])
        what = told.get("failed") or f"it ended before it was ready.\n{self._written()}"
        return [Finding(f"process {self.process}", what, "Mend what it says.", "shape")]

    async def stop(self) -> None:
        """Let it end, and tell what it has written."""
        running = self._running
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)
        if running is not None and running.returncode is None:
            try:
                async with asyncio.timeout(_STOP):
                    await running.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    os.killpg(running.pid, signal.SIGKILL)
                await running.wait()
        self._line.close()
        if written := self._written():
            sys.stderr.write("".join(f"{self.process}: {one}\n" for one in written.splitlines()))

    async def _heard(self) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self._line, 65536)
        except ConnectionError:
            return b""

    def _written(self) -> str:
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""


async def prepare(app: App) -> None:
    """Have the contracts of an app loaded once, and not in each of its processes."""
    names = {one.__module__ for one in app.services}
    new = sorted(one for one in names - _loaded() if not of_a_test(one) and _there(one))
    if new and forks(_COMMAND, {}):
        _loaded().update(new)
        await _nursery().load(*new, "enfilade.testing.told:read_all")


@cache
def _nursery() -> Nursery:
    """One for all stages of this process."""
    path = os.pathsep.join(one for one in sys.path if one)
    nursery = Nursery(*_LOADED, environment={"PYTHONPATH": path})
    atexit.register(nursery.close)
    return nursery


@cache
def _loaded() -> set[str]:
    return set()


def _there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False

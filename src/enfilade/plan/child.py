"""One process under supervision: started, watched, started again when it ends, and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from enfilade.clock import Clock
from enfilade.plan.leash import limit
from enfilade.plan.line import LEAVE, PLAN, Far
from enfilade.plan.nursery import Forked, Nursery, forks
from enfilade.plan.output import Lines, Output
from enfilade.plan.sockets import accepts

_LEASH: Final = str(Path(__file__).with_name("leash.py"))
_LOOK: Final = 0.05
"""Seconds between two looks whether a command accepts connections."""


@dataclass(frozen=True)
class Patience:
    """How long things may take, in seconds."""

    ready: float = 60.0
    """From its start until a process says that it is ready."""
    first: float = 0.5
    """Before a process that ended is started again; twice as long each time, give or take a half of it."""
    most: float = 15.0
    """The longest of these pauses."""
    steady: float = 30.0
    """A process that ran so long begins with the first pause again."""
    take: float = 5.0
    """From the word that the plan in force has changed until nobody waits any more for a process to go by it."""
    stop: float = 12.0
    """From the word to stop until a process is killed."""
    hung: float = 0.0
    """Without a sign of life until a process of ours is ended and started again; 0 is never."""
    grace: float = 2.0
    """For a process that is ended so, until it is killed: it may come to itself."""

    def pause(self, times: int, chance: float) -> float:
        """Before the start after a process ended so many times in a row; `chance` is from 0 to 1."""
        return min(self.first * 2.0 ** min(times - 1, 20), self.most) * (0.5 + chance)


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is run."""

    name: str
    command: Sequence[str]
    ours: bool = False
    """Whether it knows the line to its supervisor; any other program is put on a leash."""
    ready: str = ""
    """Where another program accepts connections once it is ready; `""`: it is ready when it has begun."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    ports: Sequence[socket.socket] = ()
    """The listeners of the public port, for those that serve it."""
    memory: int = 0
    """Megabytes; 0 is no limit."""
    how: signal.Signals = signal.SIGTERM
    """What another program is stopped by."""
    user: str = "-"
    """Whom another program runs as, by number."""
    chatter: str = ""
    """Lines that have this in them are of no use to anybody, and are left out."""


class Child:
    """A program that runs until `stop`. Use it within one task, in the main thread: see `leash.py`."""

    def __init__(
        self, program: Program, output: Output, clock: Clock, patience: Patience, nursery: Nursery | None = None
    ) -> None:
        self.program = program
        self.name = program.name
        self.pid = 0
        self.ended = 0
        """How many times in a row it has ended."""
        self._output = output
        self._clock = clock
        self._patience = patience
        self._nursery = nursery
        self._process: asyncio.subprocess.Process | Forked | None = None
        self._line: Far | None = None
        self._reading: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._stopping = False
        self._revision = -1
        """Of the plan in force, that it was told of last."""
        self.said = ""
        """The last line that it wrote."""

    async def start(self) -> str:
        """Start it, and wait until it is ready; what went wrong, or `""`."""
        said = await self._begin()
        if not said:
            self._keeping = asyncio.create_task(self._keep(), name=f"keep {self.name}")
        return said

    async def stop(self) -> None:
        """Ask it to stop, and kill it where it does not: it and all that it started."""
        self._stopping = True
        process, keeping = self._process, self._keeping
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(self._patience.stop):
                    await process.wait()
            except TimeoutError:
                self._output.tell(f"{self.name} does not stop, and is killed", wrong=True)
        if keeping is not None:
            keeping.cancel()
            await asyncio.wait([keeping])
        self.kill()
        if self._process is not None:
            with contextlib.suppress(TimeoutError):  # what not even that ends is the system's
                async with asyncio.timeout(self._patience.stop):
                    await self._process.wait()
        await self._end()

    async def take(self, revision: int) -> bool:
        """Have it go by this revision of the plan in force; whether it does, or will when it has started again."""
        self._revision = revision
        line = self._line
        if not self.program.ours or line is None or not line.ready or line.took >= revision:
            return True
        try:
            await line.say(PLAN)
            async with asyncio.timeout(self._patience.take):
                await line.until_took(revision)
        except TimeoutError:
            return False
        except OSError:  # it ended, and reads the plan when it starts
            pass
        return True

    async def leave(self) -> None:
        """Have it finish what comes by connections that are open, and end. Nobody opens more of them."""
        self._stopping = True
        process, line = self._process, self._line
        if self.program.ours and line is not None and process is not None and line.ready:
            with contextlib.suppress(OSError, TimeoutError):
                await line.say(LEAVE)
                async with asyncio.timeout(self._patience.stop * 2):
                    await process.wait()
        await self.stop()

    def kill(self) -> None:
        """End it at once, with all that it started."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    async def _keep(self) -> None:
        """Start it again whenever it ends."""
        while True:
            assert self._process is not None
            began = self._clock.monotonic()
            watching = asyncio.create_task(self._watch(), name=f"watch {self.name}")
            try:
                code = await self._process.wait()
            finally:
                watching.cancel()
            await self._end()
            if self._stopping:
                return
            said = told(code)
            while True:
                self.ended = 1 if self._clock.monotonic() - began > self._patience.steady else self.ended + 1
                pause = self._patience.pause(self.ended, self._clock.random.random())
                often = f", {self.ended} times in a row; its last line: {self.said}" if self.ended > 3 else ""
                self._output.tell(f"{self.name} {said}{often}; it is started again in {pause:.1f} s", wrong=True)
                await self._clock.sleep(pause)
                began = self._clock.monotonic()
                said = await self._begin()
                if not said:
                    break
            self._output.tell(f"{self.name} is ready again")

    async def _watch(self) -> None:
        """End it where it hangs, for `_keep` to start it again."""
        process, line, patience = self._process, self._line, self._patience
        if not (self.program.ours and patience.hung) or line is None or process is None:
            return
        await line.until_silent(patience.hung, self._clock)
        if not self._stopping:  # or somebody else is about to
            self._output.tell(f"{self.name} has hung for {patience.hung:g} s, and is ended", wrong=True)
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await self._clock.sleep(patience.grace)
            self.kill()

    async def _begin(self) -> str:
        """Start it once, and wait until it is ready; what went wrong, or `""`. It runs or is gone afterwards."""
        if self.program.ready and await asyncio.to_thread(accepts, self.program.ready):
            return f"cannot start: somebody else listens at {self.program.ready}"
        try:
            await self._spawn()
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        assert self._process is not None
        ended = asyncio.create_task(self._process.wait())
        ready = asyncio.create_task(self._ready())
        try:
            await asyncio.wait([ended, ready], timeout=self._patience.ready, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                return ""
            said = told(ended.result()) if ended.done() else f"was not ready within {self._patience.ready:g} s"
        finally:
            ready.cancel()
            ended.cancel()
            await asyncio.wait([ready, ended])
        self.kill()
        await self._process.wait()
        await self._end()
        return said

    async def _spawn(self) -> None:
        program = self.program
        ours, theirs = socket.socketpair()
        read, write = os.pipe()  # of our own: the end of the process is its own end, whoever else has the pipe open
        try:
            self._process = await self._run(theirs.fileno(), write)
        except BaseException:
            ours.close()
            os.close(read)
            raise
        finally:
            theirs.close()
            os.close(write)
        self._line = Far(ours)
        self.pid = self._process.pid
        limit(self.pid, program.memory)
        self._reading = asyncio.create_task(self._read(read), name=f"read {self.name}")

    async def _run(self, line: int, write: int) -> asyncio.subprocess.Process | Forked:
        """In a session of its own: Ctrl-C is for the supervisor; and what it starts is ended with it."""
        program = self.program
        ports = [one.fileno() for one in program.ports]
        if self._nursery is not None and program.ours and forks(program.command, program.environment):
            fds = {0: line, 1: write, 2: write, **{port: port for port in ports}}
            return await self._nursery.fork(program.command, program.environment, fds, program.memory)
        leash = (
            sys.executable, "-I", "-S", _LEASH, f"{self._patience.stop - 1:g}", str(int(program.how)), program.user,
        )  # fmt: skip
        return await asyncio.create_subprocess_exec(
            *(() if program.ours else leash),
            *program.command,
            stdin=line,
            stdout=write,
            stderr=write,
            env={**os.environ, **program.environment},
            start_new_session=True,
            pass_fds=ports,
        )

    async def _ready(self) -> None:
        """Until it is ready."""
        if self.program.ours:
            assert self._line is not None
            await self._line.until_ready()
            if self._line.took < self._revision:  # it read the plan before that changed
                await self._line.say(PLAN)
        if self.program.ready:
            while not await asyncio.to_thread(accepts, self.program.ready):  # noqa: ASYNC110  (nothing tells us)
                await asyncio.sleep(_LOOK)

    async def _read(self, pipe: int) -> None:
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(pipe, "rb"))
        lines = Lines(self._heard)
        try:
            while data := await stream.read(65536):
                lines.feed(data)
            lines.end()
        finally:
            transport.close()

    def _heard(self, line: str) -> None:
        if line.strip():
            self.said = line.strip()[-200:]
        if not self.program.chatter or self.program.chatter not in line:
            self._output.line(self.name, line)

    async def _end(self) -> None:
        """After the end of the process: what it started is ended, what it wrote is read."""
        self.kill()
        group, self.pid = self.pid, 0
        if self._line is not None:
            await self._line.close()
            self._line = None
        reading, self._reading = self._reading, None
        if reading is not None:
            await asyncio.wait([reading], timeout=1.0)
            reading.cancel()
            await asyncio.wait([reading])
        if group and self._process is not None and self._process.returncode is not None:
            _take_leave(group)


def _take_leave(group: int) -> None:
    """Of those that a process started and left behind, and who have become our children: see `nursery.py`."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass


def told(code: int) -> str:
    """How a process ended, for people."""
    number = -code if code < 0 else code - 128
    if code < 0 or 128 < code < 160:
        try:
            return f"was ended by {signal.Signals(number).name}"
        except ValueError:
            pass
    return f"ended with exit code {code}"

"""Which of a service's processes does what one of them is enough for, and that one hears of what the others say."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol

from enfilade.clock import Clock

POLL = 1.0
"""Seconds between two tries to lead, and between two looks whether the server still answers."""
PATIENCE = 5.0
"""Seconds that the server has for an answer."""

Ring = Callable[[], None]


def channel(service: str) -> str:
    """What PostgreSQL's NOTIFY calls a service; 63 bytes at most."""
    return f"enfilade_{service}"[:63]


class Watch(Protocol):
    """One process's part in it. It rings when it begins or ceases to lead, and when another process said something."""

    @property
    def leads(self) -> bool | None:
        """Whether this process is the one: the only one, unless another was cut off and does not know yet.

        None while nobody can say. What is only wasteful to do twice is done then, too.
        """
        ...

    async def start(self) -> None:
        """Take part: at once where nobody else leads."""
        ...

    async def stop(self) -> None:
        """Let another one lead."""
        ...


class SqliteWatch:
    """A lock on a file beside the database, which the system gives back whatever the process dies of."""

    def __init__(self, path: str, ring: Ring, clock: Clock) -> None:
        self._path = path
        """`""` for a database in memory, which nobody else has."""
        self._ring = ring
        self._clock = clock
        self._lock: sqlite3.Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self.leads: bool | None = False

    async def start(self) -> None:
        if not self._try():
            self._task = asyncio.create_task(self._wait())

    async def stop(self) -> None:
        await _ended(self._task)
        self.leads = False
        if self._lock is not None:
            self._lock.close()

    def _try(self) -> bool:
        if self._path:
            lock = sqlite3.connect(f"{self._path}-lead", timeout=0, isolation_level=None)
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:
                lock.close()
                return False
            self._lock = lock
        self.leads = True
        self._ring()
        return True

    async def _wait(self) -> None:
        while not self._try():
            await self._clock.sleep(POLL)


class PostgresWatch:
    """One more connection: it listens for NOTIFY, and holds an advisory lock for as long as it lives.

    Where it is lost, nobody leads or is woken until it is there again: each relay goes on by its own poll.
    """

    def __init__(self, url: str, channel: str, lock: int, ring: Ring, clock: Clock) -> None:
        self._url = url
        self._channel = channel
        self._number = lock
        self._ring = ring
        self._clock = clock
        self._connection: Any = None
        self._task: asyncio.Task[None] | None = None
        self.leads: bool | None = None

    async def start(self) -> None:
        with suppress(Exception):  # it is tried again
            await self._begin()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        await _ended(self._task)
        await self._end()

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(POLL)
            try:
                await self._begin()
            except Exception:  # the store's own connections tell of it
                await self._end()

    async def _begin(self) -> None:
        """Be connected, and lead if nobody does."""
        if self._connection is None:
            self._connection = await import_module("asyncpg").connect(
                self._url, timeout=PATIENCE, command_timeout=PATIENCE,
                server_settings={
                    "application_name": f"{self._channel} watch",
                    # A host that is gone without a word is no leader half a minute later.
                    "tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3",
                },
            )  # fmt: skip
            self._connection.add_termination_listener(self._lost)
            await self._connection.add_listener(self._channel, self._told)
        if self.leads:
            await self._connection.execute("SELECT 1")
            return
        self.leads = await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", self._number)
        if self.leads:
            self._ring()

    def _told(self, *_: object) -> None:
        self._ring()

    def _lost(self, connection: object) -> None:
        if connection is self._connection:
            self._connection = None
            self.leads = None
            self._ring()

    async def _end(self) -> None:
        connection, self._connection = self._connection, None
        self.leads = None
        if connection is not None:
            try:
                await connection.close(timeout=PATIENCE)
            except Exception:
                connection.terminate()


async def _ended(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.wait([task])

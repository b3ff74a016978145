"""Other ASGI applications below a path, with their own lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from enfilade.errors import Finding, StartError

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass
class Mount:
    """An ASGI application and where it lies."""

    path: str
    """Without the last slash; `""` is the root."""
    asgi: Asgi
    name: str

    def has(self, path: str) -> bool:
        return path == self.path or path.startswith(f"{self.path}/")

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the mount's path as its root (ASGI `root_path`)."""
        below = dict(scope)
        below["root_path"] = scope.get("root_path", "") + self.path
        await self.asgi(below, receive, send)

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Start it and stop it. An application that knows no lifespan is left alone; one that fails stops the start."""
        said: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        answers: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        life = asyncio.create_task(self._live(said, answers))
        await said.put({"type": "lifespan.startup"})
        started = await _first(life, answers)
        if started is not None and started["type"] == "lifespan.startup.failed":
            await asyncio.wait([life])
            what = f"the mounted application failed to start: {started.get('message') or 'it gave no reason'}"
            raise StartError([Finding(self.name, what, "Look into its own log.", "mount")])
        try:
            yield
        finally:
            if started is not None:
                await said.put({"type": "lifespan.shutdown"})
                await _first(life, answers)
                await asyncio.wait([life])

    async def _live(self, said: asyncio.Queue[Any], answers: asyncio.Queue[Any]) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        await self.asgi(scope, said.get, answers.put)


async def _first(
    life: asyncio.Task[None], answers: asyncio.Queue[MutableMapping[str, Any]]
) -> MutableMapping[str, Any] | None:
    """The next answer, or None where the application ended without one (it does not speak lifespan)."""
    answer = asyncio.create_task(answers.get())
    await asyncio.wait([life, answer], return_when=asyncio.FIRST_COMPLETED)
    if answer.done():
        return answer.result()
    answer.cancel()
    life.exception()  # looked at: an application may refuse the lifespan scope by raising
    return None

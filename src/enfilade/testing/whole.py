"""The shapes `plain` and `codec`: one process."""

from __future__ import annotations

from contextlib import AsyncExitStack

import httpx2

from enfilade.testing.part import Player
from enfilade.testing.play import Play, quiet
from enfilade.testing.scene import Scene


async def open_whole(play: Play, exit: AsyncExitStack) -> Scene:
    """Start the app. Raises StartError."""
    running = quiet(play.app, play.book, play.secrets)
    await running.start()
    exit.push_async_callback(running.stop)
    play.app.running_now = running
    return Scene(play.clock, running, [Player(running, play.count)], play.count, inside(play))


def inside(play: Play) -> httpx2.AsyncBaseTransport:
    """The way to an app of this process, without a network between."""
    return httpx2.ASGITransport(app=play.app, client=("192.0.2.1", 40000))

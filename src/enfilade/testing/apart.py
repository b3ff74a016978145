"""The shape `rpc`: each service is a process in all but name, with its own stores; they meet over Unix sockets.

The test is one more: it serves its fakes, and the app's endpoints.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

from enfilade.endpoint.rpc import listening
from enfilade.plan.sockets import address_of
from enfilade.running import Running
from enfilade.testing.part import Part, Player
from enfilade.testing.play import DRAIN, TESTS, Play, quiet
from enfilade.testing.scene import Scene
from enfilade.testing.whole import inside


async def open_apart(play: Play, exit: AsyncExitStack) -> Scene:
    """Start the app's processes. Raises StartError."""
    layout = play.lay_out(front=True)
    runnings: list[Running] = []
    for process in (*layout.processes, TESTS):
        app = play.part(layout.share(process), layout.services(process))
        app.stations = (play.count.station, *app.stations)
        running = quiet(app, play.book, play.secrets)
        await running.start()
        exit.push_async_callback(running.stop)
        served = running.mesh.serve(running.site)
        await exit.enter_async_context(listening(served, address_of(play.config.folder, process), drain=DRAIN))
        runnings.append(running)
        if process == TESTS:
            play.app.share, play.app.running_now = app.share, running
    for running in runnings:
        exit.callback(running.mesh.close)
    parts: list[Part] = [Player(running, play.count) for running in runnings]
    return Scene(play.clock, runnings[-1], parts, play.count, inside(play))

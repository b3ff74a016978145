"""The shape `split`: each service is a process of its own, and so is the front.

The test is one more: it serves its fakes, and what is said is told to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from enfilade.app import App
from enfilade.endpoint.rpc import Link, listening
from enfilade.errors import Misuse, StartError
from enfilade.plan.sockets import address_of, run_folder
from enfilade.service.mount import Receive, Scope, Send
from enfilade.testing.book import TOLD
from enfilade.testing.gate import Gate, envoy, gateway, public
from enfilade.testing.part import PART, Part, Player, reached, serving
from enfilade.testing.play import DRAIN, SECRETS, TESTS, Laid, Play, quiet
from enfilade.testing.scene import Scene
from enfilade.testing.started import Started, prepare
from enfilade.testing.told import Job, written


async def open_split(play: Play, exit: AsyncExitStack) -> Scene:
    """Start the app's processes. Raises StartError with what is wrong in all of them."""
    layout = play.lay_out(edge=envoy())
    folder = play.config.folder
    run_folder(folder)
    play.secrets.share(Path(folder) / SECRETS)
    jobs = {process: _job(play, layout, process) for process in layout.processes}
    await prepare(play.app)
    children = [Started(process, Path(folder)) for process in layout.processes]
    exit.push_async_callback(_stop, children)
    for child in children:
        await child.start(jobs[child.process])

    app = play.part(layout.share(TESTS), layout.services(TESTS))
    app.stations = (play.count.station, *app.stations)
    running = quiet(app, play.book, play.secrets)
    await running.start()
    exit.push_async_callback(running.stop)
    served = running.mesh.serve(serving(running.site, TOLD, play.book))
    await exit.enter_async_context(listening(served, address_of(folder, TESTS), drain=DRAIN))
    await public(running, TESTS, folder, DRAIN, exit)
    exit.callback(running.mesh.close)

    findings = [finding for child in children for finding in await child.ready()]
    if findings:
        raise StartError(list(dict.fromkeys(findings)))
    parts: list[Part] = []
    for process in layout.processes:
        link = Link(address_of(folder, process), clock=play.clock)
        exit.callback(link.close)
        parts.append(reached(PART, link, play.clock))
    parts.append(Player(running, play.count))
    play.app.__class__ = Elsewhere

    async def opened() -> str:
        url = next((child.url for child in children if child.url), "")
        return url or await gateway(app, layout.layout, exit)

    return Scene(play.clock, running, parts, play.count, Gate(opened, play.count))


class Elsewhere(App):
    """An app that no process of ours serves whole."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise Misuse("stage.app is served by other processes in the shape split: ask them by stage.http.")


def _job(play: Play, layout: Laid, process: str) -> Job:
    share = layout.share(process)
    app, modules = written(play.part(share, layout.services(process)), play.original)
    return Job(
        share=share, config=play.config, start=play.clock.now(), seed=play.seed, folder=str(Path.cwd()),
        modules=modules, app=app,
    )  # fmt: skip


async def _stop(children: Sequence[Started]) -> None:
    await asyncio.gather(*(child.stop() for child in children))

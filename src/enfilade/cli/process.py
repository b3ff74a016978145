"""`enfilade run --plan NAME --process P`: one process of a plan, as the supervisor starts it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from enfilade.cli.refused import start_errors
from enfilade.cli.target import configuration, load_beside

if TYPE_CHECKING:
    from enfilade.app import App
    from enfilade.cli.serve import Reception
    from enfilade.config import Config
    from enfilade.endpoint.http1 import OurEdge
    from enfilade.plan.line import Line
    from enfilade.running import Running


def run_process(said: str | None, process: str) -> None:
    """Serve what the plan gives to `process` until the word to stop: `orders`, or `orders@2`, its second replica."""
    from enfilade.cli.edge import stand
    from enfilade.cli.serve import run_until_stopped
    from enfilade.endpoint.http1 import OurEdge
    from enfilade.plan import hosts, line, share, sockets
    from enfilade.plan.edge import EDGE
    from enfilade.trace import log

    app, beside = load_beside(said, share.code())
    name, _, replica = process.partition("@")
    with start_errors():
        plain = configuration(beside)
        told = share.read(plain.folder)
        app.share = replace(share.share_of(told, process, plain.folder), trust=hosts.workload(told.plan, name))
        config = app.config = configuration(beside, share.over_of(told, name), share.code() and told.plan.toml)
        worker, workers = int(replica or 1), told.plan.layout.processes[name].replicas
        address = sockets.address_of(config.folder, name, worker)
        held = line.hold(config.drain * 2 + 2)
        held.say(line.TOOK, told.revision)
        log.configure(json=told.plan.json)
        if app.share.edge and name == EDGE:
            run_until_stopped(stand(app, config, told, held))
        else:
            edge = OurEdge() if app.share.edge else None
            listen = told.plan.layout.processes[name].listen
            run_until_stopped(_serve(app, config, address, listen, sockets.inherited(), held, edge, worker, workers))


async def _serve(
    app: App,
    config: Config,
    address: str,
    listen: str,
    lanes: Sequence[socket.socket],
    line: Line,
    edge: OurEdge | None,
    worker: int,
    workers: int,
) -> None:
    from enfilade.cli.serve import accepting, collect_less, signals
    from enfilade.endpoint import http1
    from enfilade.endpoint.rpc import listening
    from enfilade.plan.line import READY
    from enfilade.plan.sockets import public_of

    reception: Reception | None = None
    with signals() as stop:
        async with contextlib.AsyncExitStack() as stack:
            trust = app.share.trust
            if trust is not None:
                await stack.enter_async_context(trust)
            running = await stack.enter_async_context(app.running())
            served = running.mesh.serve(running.site)
            await stack.enter_async_context(listening(served, address, drain=config.drain))
            if listen:
                # A new version of it takes its calls at the same port.
                await stack.enter_async_context(listening(served, listen, tls=trust, shared=True, drain=config.drain))
            if edge is not None and app.share.front and app.mounts:
                lanes = [http1.bound(Path(public_of(address).removeprefix("unix:")))]
            elif edge is not None and running.served:
                door = http1.Door(served=running.served, proxies=edge)
                await stack.enter_async_context(http1.listening(door, public_of(address), drain=config.drain))
            if not lanes:
                collect_less()
            else:
                reception = await stack.enter_async_context(
                    accepting(app, running, lanes, config.drain, edge, worker, workers)
                )
            following = asyncio.create_task(_follow(line, running, config.folder, stop, reception), name="line")
            stack.callback(following.cancel)
            line.say(READY)
            await stop.wait()


async def _follow(line: Line, running: Running, folder: str, stop: asyncio.Event, reception: Reception | None) -> None:
    """Do what the supervisor says."""
    from enfilade.plan import share
    from enfilade.plan.line import LEAVE, PLAN, TOOK

    mine = running.app.share
    async for word in line.words():
        if word == PLAN:
            told = share.read(folder)
            if mine.process in told.plan.layout.processes:  # or else it is about to leave
                running.rearrange(share.share_of(told, mine.replica, folder))
                worker, workers = (
                    int(mine.replica.partition("@")[2] or 1),
                    told.plan.layout.processes[mine.process].replicas,
                )
                if reception is not None and worker <= workers:
                    await reception.take(worker, workers)
            line.say(TOOK, told.revision)
        elif word == LEAVE:
            if reception is not None:
                await reception.leave()
            stop.set()

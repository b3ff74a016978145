"""A process of a stage: told by the test what it is, moved by it, and gone with it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import pickle
import signal
import sys
import traceback
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import msgspec

from enfilade.clock import VirtualClock
from enfilade.endpoint import rpc
from enfilade.errors import StartError
from enfilade.plan import line
from enfilade.plan.sockets import address_of
from enfilade.testing.book import TOLD, Book, telling
from enfilade.testing.count import Count
from enfilade.testing.gate import public
from enfilade.testing.part import PART, Player, reached, serving
from enfilade.testing.play import DRAIN, SECRETS, TESTS, quiet
from enfilade.testing.spoken import Heard
from enfilade.testing.told import Job, read_back

_GRACE: Final = 5.0
"""Seconds from the end of the line to the test until the process is killed."""


def main() -> None:
    """Play a part. The line to the test is standard input: what comes first is the job, and its end is the end."""
    length = int.from_bytes(_taken(8))
    job: Job = pickle.loads(_taken(length))  # noqa: S301  (of the test that started us)
    line.hold(_GRACE)
    try:
        asyncio.run(_play(job))
    except StartError as wrong:
        _say({"findings": [msgspec.to_builtins(one) for one in wrong.findings]})
    except Exception:
        _say({"failed": traceback.format_exc()})


def _taken(length: int) -> bytes:
    data = b""
    while len(data) < length:
        if not (more := os.read(0, length - len(data))):
            sys.exit()
        data += more
    return data


def _say(said: dict[str, Any]) -> None:
    os.write(0, json.dumps(said).encode() + b"\n")


async def _play(job: Job) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    app, share, folder = read_back(job), job.share, job.config.folder
    clock = VirtualClock(job.start, _seed(job.seed, share.process))
    book, count = Book(), Count()
    tests = rpc.Link(address_of(folder, TESTS), clock=clock)
    app.config, app.clock, app.share = job.config, clock, share
    app.stations = (count.station, telling(book, reached(TOLD, tests, clock)), *app.stations)
    running = quiet(app, book, Heard(Path(folder) / SECRETS))
    async with AsyncExitStack() as exit:
        exit.callback(tests.close)
        await running.start()
        exit.push_async_callback(running.stop)
        app.running_now = running
        site = serving(running.site, PART, Player(running, count, clock))
        served = running.mesh.serve(site)
        await exit.enter_async_context(rpc.listening(served, address_of(folder, share.process), drain=DRAIN))
        url = await public(running, share.process, folder, DRAIN, exit)
        _say({"ready": url})
        await stop.wait()


def _seed(seed: int, process: str) -> int:
    """Its own chance: or two processes would make the same ids."""
    return int.from_bytes(hashlib.sha256(f"{seed} {process}".encode()).digest()[:8])

"""An Envoy at work: changed under load, refused what is wrong, stopped in good order, never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import textwrap
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from enfilade.edge import Certificate, Edge, Gateway, Listen, Rejected, Route, Share, Upstream, find

pytestmark = pytest.mark.asyncio(loop_scope="session")


def small(town: Any, port: int) -> Edge:
    route = Route(id="all", path="/", below=True, need=None, to=(Share(upstream="first"),))
    upstream = Upstream(name="first", at=(town.first.address,))
    return Edge(name="small", listen=(Listen(port=port),), upstreams=(upstream,), routes=(route,))


async def test_changes_under_load_lose_no_request(town: Any) -> None:
    found: Counter[int] = Counter()
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            found[(await town.outside.get("/parcels/p1")).status_code] += 1

    asking = [asyncio.create_task(ask()) for _ in range(8)]
    for number in range(8):
        extra = Upstream(name=f"extra-{number}", at=(town.first.address,))
        routes = [
            Route(id=f"r{number}-{at}", path=f"/extra/{number}/{at}", to=(Share(upstream=extra.name),))
            for at in range(20)
        ]
        await town.serve(*routes, upstreams=(*town.edge.upstreams, extra), issuers=(town.issuer,), gateways=number + 1)
        assert (await town.outside.get(f"/extra/{number}/7")).status_code == 200
        assert (await town.outside.get(f"/extra/{number - 1}/7")).status_code == 404
    over.set()
    await asyncio.gather(*asking)

    assert set(found) == {200}
    assert sum((await town.gateway.admin.numbers("update_rejected$")).values()) == 0


async def test_what_envoy_does_not_take_changes_nothing(town: Any, tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    wrong = Certificate(chain=tmp_path / "no.pem", key=tmp_path / "no.pem")

    with pytest.raises(Rejected, match=r"(?i)certificate"):
        await town.gateway.apply(replace(town.edge, listen=(*town.edge.listen, Listen(port=1, certificate=wrong))))

    assert town.gateway.edge is town.edge
    assert (await town.outside.get("/parcels/p1")).status_code == 200


async def test_what_runs_is_finished_before_it_stops(town: Any, tmp_path: Path) -> None:
    town.first.delay = 0.5
    port = town.free_port()
    gateway = Gateway(small(town, port), tmp_path / "e", workers=1)
    await gateway.start()
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        running = asyncio.create_task(client.get("/slow"))
        while not town.first.seen:  # noqa: ASYNC110  (the request is on its way)
            await asyncio.sleep(0.01)
        await gateway.stop()

        assert (await running).status_code == 200
        with pytest.raises(httpx2.ConnectError):
            await client.get("/slow")


async def test_nobody_else_may_read_its_files(town: Any) -> None:
    folder = town.gateway.folder

    assert folder.stat().st_mode & 0o077 == 0
    assert {one.name for one in folder.iterdir() if one.stat().st_mode & 0o077} == set()


async def test_a_port_that_is_taken_is_said_at_once(town: Any, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        edge = small(town, taken.getsockname()[1])

        with pytest.raises(Rejected, match="Address already in use"):
            await Gateway(edge, tmp_path / "e", workers=1).start()


async def test_one_that_ended_is_not_ready_till_it_is_started_again(town: Any, tmp_path: Path) -> None:
    async with Gateway(small(town, town.free_port()), tmp_path / "e", workers=1) as gateway:
        assert await gateway.ready()
        assert gateway.process is not None
        gateway.process.kill()
        await gateway.process.wait()

        assert not await gateway.ready()
        await gateway.again()
        assert await gateway.ready()
        await gateway.apply(gateway.edge)

        gateway.process.kill()
        await gateway.process.wait()
        with pytest.raises(Rejected, match="Envoy has ended"):
            await gateway.apply(gateway.edge)
        with pytest.raises(Rejected, match="while it was to change"):
            await gateway.again()


async def test_it_is_started_by_the_main_thread_only(town: Any, tmp_path: Path) -> None:
    def elsewhere() -> None:
        asyncio.run(Gateway(small(town, town.free_port()), tmp_path / "e").start())

    with pytest.raises(RuntimeError, match="main thread"):
        await asyncio.to_thread(elsewhere)


async def test_another_binary_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    theirs = tmp_path / "envoy"
    theirs.write_text("#!/bin/sh\n")
    monkeypatch.setenv("ENFILADE_ENVOY", str(theirs))

    with pytest.raises(Rejected, match="cannot be run"):
        find()

    theirs.chmod(0o700)
    assert find() == theirs


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's part")
async def test_a_killed_supervisor_leaves_none_behind(town: Any, tmp_path: Path) -> None:
    port = town.free_port()
    script = f"""
        import asyncio, pathlib
        from enfilade.edge import *

        async def main():
            route = Route(id="all", path="/", below=True, need=None, to=(Share(upstream="u"),))
            edge = Edge(name="x", listen=(Listen(port={port}),), routes=(route,),
                        upstreams=(Upstream(name="u", at=("{town.first.address}",)),))
            async with Gateway(edge, pathlib.Path("{tmp_path}/e"), workers=1) as gateway:
                print(gateway.process.pid, flush=True)
                await asyncio.sleep(60)

        asyncio.run(main())
    """
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(script), stdout=asyncio.subprocess.PIPE
    )
    assert supervisor.stdout is not None
    envoy = int(await supervisor.stdout.readline())
    os.kill(envoy, 0)
    supervisor.kill()
    await supervisor.wait()

    async with asyncio.timeout(10):
        with contextlib.suppress(ProcessLookupError):
            while _lives(envoy):  # noqa: ASYNC110  (the kernel tells nobody)
                await asyncio.sleep(0.02)


def _lives(pid: int) -> bool:
    os.kill(pid, 0)
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"

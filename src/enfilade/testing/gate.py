"""The way of a test's HTTP requests to an app that other processes serve: by the edge where Envoy is, or to the front.

Envoy lives in real time, and an app under test does not: who calls, how often and how long is left to its processes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

import httpx2

from enfilade.app import App
from enfilade.edge import Edge, Gateway, Listen, Rejected, find
from enfilade.endpoint import http1
from enfilade.plan.border import border_of, edge_of
from enfilade.plan.layout import Layout
from enfilade.plan.sockets import address_of, public_of
from enfilade.running import Running
from enfilade.testing.count import Count

_LONG: Final = 3600.0
"""Seconds that a request may take at the edge: its deadline is told in the time of the test."""


@cache
def envoy() -> str:
    """Where Envoy is, as plans say it; `""` where there is none."""
    try:
        return f"envoy:{find()}"
    except Rejected:
        return ""


async def public(running: Running, process: str, folder: str, drain: float, exit: AsyncExitStack) -> str:
    """Serve what a process has for the public: to the edge, or at a port of the front, whose URL is given then."""
    share, served = running.app.share, running.served
    asgi: Any = running.app if share.front and running.app.mounts else None
    if share.edge and served:
        door = http1.Door(served=served, asgi=asgi, proxies=http1.OurEdge())
        await exit.enter_async_context(http1.listening(door, public_of(address_of(folder, process)), drain=drain))
    elif share.front:
        door = http1.Door(served=served, asgi=asgi)
        return await exit.enter_async_context(http1.listening(door, "127.0.0.1:0", drain=drain))
    return ""


class Gate(httpx2.AsyncBaseTransport):
    """The app's public address, whatever name it is asked by. `open` gives its URL, at the first request."""

    def __init__(self, open: Callable[[], Awaitable[str]], count: Count) -> None:
        self._open = open
        self._count = count
        self._http = httpx2.AsyncHTTPTransport()
        self._opening = asyncio.Lock()
        self._url: httpx2.URL | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        async with self._opening:
            if self._url is None:
                self._url = httpx2.URL(await self._open())
        url = request.url.copy_with(scheme=self._url.scheme, host=self._url.host, port=self._url.port)
        sent = httpx2.Request(
            request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
        )
        with self._count.one():
            return await self._http.handle_async_request(sent)

    async def aclose(self) -> None:
        await self._http.aclose()


async def gateway(app: App, layout: Layout, exit: AsyncExitStack) -> str:
    """Run Envoy before the processes of an app, as one of them knows the others; the URL of it."""
    assert app.config is not None
    border = await border_of(app, app.config, layout, app.share, _nobody)
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
    edge = replace(_timeless(edge_of(border, app.share)), listen=(Listen(port=port),))
    running = Gateway(edge, Path(app.config.folder) / "edge", workers=1)
    await running.start()
    exit.push_async_callback(running.stop, 0.0)
    return f"http://127.0.0.1:{port}"


def _timeless(edge: Edge) -> Edge:
    """An edge that leaves to the processes behind it what has to do with time: tokens, rates and deadlines."""
    routes = tuple(
        replace(one, rates=(), timeout=_LONG, idle=_LONG if one.idle else 0.0, lasting=0.0) for one in edge.routes
    )
    return replace(edge, routes=routes, issuers=(), keys={}, others=True, log=None, otlp="")


async def _nobody(url: str) -> NoReturn:
    raise AssertionError(f"{url} is asked for keys, and no token is checked at the edge of a test")

"""A proxy in Python that only passes on: aiohttp's server and client, on uvloop."""

import sys
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web

BACK = sys.argv[2]


async def answer(request: web.BaseRequest) -> web.Response:
    asked = request.app["client"].request(  # type: ignore[attr-defined]
        request.method, f"http://{BACK}{request.path_qs}", headers=request.headers, data=await request.read() or None
    )
    async with asked as found:
        return web.Response(body=await found.read(), status=found.status, headers=found.headers)


async def client(app: web.Application) -> AsyncIterator[None]:
    async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as app["client"]:
        yield


app = web.Application()
app.cleanup_ctx.append(client)
app.router.add_route("*", "/{path:.*}", answer)
uvloop.install()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)

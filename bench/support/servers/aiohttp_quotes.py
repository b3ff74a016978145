"""The same as JSON over HTTP by aiohttp's server."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
import uvloop
from aiohttp import web
from quotes import Request, quote

uvloop.install()
decode, encode = msgspec.json.Decoder(Request).decode, msgspec.json.Encoder().encode


async def answer(request: web.Request) -> web.Response:
    asked = decode(await request.read())
    body = encode(quote(asked.sku, asked.currency, asked.quantity))
    return web.Response(body=body, content_type="application/json")


app = web.Application()
app.router.add_post("/quote", answer)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)

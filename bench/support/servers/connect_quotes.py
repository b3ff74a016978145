"""The same by connectrpc's server under uvicorn, messages by msgspec, nothing compressed: as cheap as it gets."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import uvicorn
from connectrpc.server import ConnectASGIApplication, Endpoint
from over_connect import METHOD, Codec
from quotes import Request, quote


async def answer(request: Request, _: object) -> object:
    return quote(request.sku, request.currency, request.quantity)


class Application(ConnectASGIApplication):  # pyright: ignore[reportMissingTypeArgument]
    path = "/bench.Pricing"


app = Application(
    service=None, endpoints=lambda _: {"/bench.Pricing/Quote": Endpoint.unary(METHOD, answer)},
    compressions=(), codecs=[Codec()],
)  # fmt: skip
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), lifespan="off", log_level="warning", access_log=False)

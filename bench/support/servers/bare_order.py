"""The least that uvicorn and msgspec can take for it: no routing, no errors, no guards."""

import sys
from typing import Any

import msgspec
import uvicorn
from orders_in_msgspec import NewOrder, placed

decode = msgspec.json.Decoder(NewOrder).decode
encode = msgspec.json.Encoder().encode


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        return
    body = encode(placed(decode((await receive())["body"])))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body})


uvicorn.run(
    app, port=int(sys.argv[1]), log_level="error", access_log=False, lifespan="off", loop="uvloop", http="httptools"
)

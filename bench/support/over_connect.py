"""The measured call as connectrpc has it: msgpack by msgspec instead of protobuf, which is not quicker."""

from __future__ import annotations

from typing import Any

import msgspec
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from quotes import Quote, Request

METHOD: Any = MethodInfo(
    name="Quote", service_name="bench.Pricing", input=Request, output=Quote,
    idempotency_level=IdempotencyLevel.UNKNOWN, stream_type=StreamType.UNARY,
)  # fmt: skip


class Codec:
    def __init__(self) -> None:
        self.encode = msgspec.msgpack.Encoder().encode
        self._decoders = {kind: msgspec.msgpack.Decoder(kind).decode for kind in (Request, Quote)}

    def name(self) -> str:
        return "msgpack"

    def decode(self, data: bytes | bytearray, message_class: Any) -> Any:
        return self._decoders[message_class](data)

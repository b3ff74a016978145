"""Streams of items, and files as values."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TypeAlias, TypeVar

from enfilade.contract.message import Message

T = TypeVar("T")

Stream: TypeAlias = AsyncGenerator[T, None]
"""Items as they come. In the contract `def watch(...) -> Stream[T]`, in the class `async def` with `yield`.

The answer's status waits for the first item, so that a Problem raised before it is an ordinary one.
"""


class Blob(Message):
    """A file as a value: what it is and where it lies, not its bytes. Those are in the plan's blob store.

    As a parameter, REST takes a raw body or a multipart file; as a result, it sends the bytes, with ranges and an ETag.
    """

    id: str
    size: int
    media_type: str = "application/octet-stream"
    sha256: str
    name: str = ""

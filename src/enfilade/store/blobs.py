"""Where the bytes of blobs lie."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Protocol

from enfilade.contract.blob import Blob


class Blobs(Protocol):
    """A place for the bytes of blobs; a blob itself is a value that says what they are."""

    async def put(
        self, chunks: AsyncIterable[bytes], media_type: str = "application/octet-stream", name: str = ""
    ) -> Blob:
        """Store bytes as they come."""
        ...

    def open(self, blob: Blob, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        """Its bytes from `start` up to, not including, `end`. Raises NotFound where they are gone."""
        ...

    async def drop(self, blob: Blob) -> None:
        """Forget its bytes; nothing where they are gone already."""
        ...

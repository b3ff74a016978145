"""Where the bytes of blobs lie: a folder, or memory in tests."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterable
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from enfilade.call import refuse_in_rehearsal
from enfilade.contract.blob import Blob
from enfilade.errors import NotFound
from enfilade.store.scope import tenant
from enfilade.store.unit import refuse_in_unit

_ID: Final = re.compile(r"[0-9a-f]{32}")
_PIECE: Final = 256 * 1024
"""Bytes that are read at once."""


class Blobs(Protocol):
    """A place for the bytes of blobs; a blob itself is a value that says what they are.

    They belong to the tenant of the call that puts them. For other tenants they are not there; an operation that needs
    `any_tenant` reads those of all.
    """

    async def put(
        self, chunks: AsyncIterable[bytes], media_type: str = "application/octet-stream", name: str = ""
    ) -> Blob:
        """Store bytes as they come. Raises InRehearsal where the call is only tried, as `drop` does."""
        ...

    def open(self, blob: Blob, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        """Its bytes from `start` up to, not including, `end`. Raises NotFound where they are gone."""
        ...

    async def drop(self, blob: Blob) -> None:
        """Forget its bytes; nothing where they are gone already."""
        ...


class FolderBlobs:
    """Blobs as files of a folder. A file is there whole or not at all; files are never changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(
        self, chunks: AsyncIterable[bytes], media_type: str = "application/octet-stream", name: str = ""
    ) -> Blob:
        _refuse()
        id, size, digest = secrets.token_hex(16), 0, hashlib.sha256()
        path = self._of(_mine()) / id[:2] / id
        new = path.with_suffix(".new")
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        file = new.open("wb")  # (at once: a thread might make it when whoever asked has gone)
        try:
            try:
                async for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    await asyncio.to_thread(file.write, chunk)
                await asyncio.to_thread(_keep, file)
            finally:
                await asyncio.to_thread(file.close)
            await asyncio.to_thread(new.rename, path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        return Blob(id=id, size=size, media_type=media_type, sha256=digest.hexdigest(), name=name)

    async def open(self, blob: Blob, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        refuse_in_unit("a blob")
        try:
            file = await asyncio.to_thread(self._found(blob, tenant()).open, "rb")
        except FileNotFoundError:
            raise NotFound(detail=f"The bytes of blob {blob.id} are gone.") from None
        try:
            left = (blob.size if end is None else end) - start
            await asyncio.to_thread(file.seek, start)
            while left > 0 and (piece := await asyncio.to_thread(file.read, min(left, _PIECE))):
                left -= len(piece)
                yield piece
        finally:
            file.close()  # at once: nothing is to be written, and whoever hung up would cancel a wait for it

    async def drop(self, blob: Blob) -> None:
        _refuse()
        await asyncio.to_thread(self._found(blob, _mine()).unlink, missing_ok=True)

    def _of(self, whose: str) -> Path:
        """A tenant's folder; its name is not one that a tenant could choose."""
        return self._folder / f"of-{hashlib.sha256(whose.encode()).hexdigest()[:32]}" if whose else self._folder

    def _found(self, blob: Blob, whose: str | None) -> Path:
        """Where it would lie."""
        if not _ID.fullmatch(blob.id):  # an id from outside must not lead out of the folder
            raise NotFound(detail="There is no such blob.")
        place = Path(blob.id[:2]) / blob.id
        if whose is None:
            return next(self._folder.glob(f"of-*/{place}"), self._folder / place)
        return self._of(whose) / place


def _refuse() -> None:
    """A file is not undone: none is made or taken away within a unit of work, nor in rehearsal."""
    refuse_in_unit("a blob")
    refuse_in_rehearsal("a blob")


def _mine() -> str:
    """Whose a blob becomes; in a call of all tenants, of nobody's."""
    return tenant() or ""


def _keep(file: BinaryIO) -> None:
    """To the disk: a row that names the blob must not outlive it."""
    file.flush()
    os.fsync(file.fileno())


class MemoryBlobs:
    """Blobs in memory, for tests."""

    def __init__(self) -> None:
        self._bytes: dict[tuple[str, str], bytes] = {}
        """By tenant and id."""

    async def put(
        self, chunks: AsyncIterable[bytes], media_type: str = "application/octet-stream", name: str = ""
    ) -> Blob:
        _refuse()
        content = b"".join([chunk async for chunk in chunks])
        id = secrets.token_hex(16)
        self._bytes[_mine(), id] = content
        return Blob(
            id=id, size=len(content), media_type=media_type, sha256=hashlib.sha256(content).hexdigest(), name=name
        )

    async def open(self, blob: Blob, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        refuse_in_unit("a blob")
        whose = tenant()
        found = [content for (of, id), content in self._bytes.items() if id == blob.id and whose in (of, None)]
        if not found:
            raise NotFound(detail=f"The bytes of blob {blob.id} are gone.")
        yield found[0][start:end]

    async def drop(self, blob: Blob) -> None:
        _refuse()
        self._bytes.pop((_mine(), blob.id), None)

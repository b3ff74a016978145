"""Bytes of blobs, in a folder and in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from enfilade.errors import Misuse, NotFound
from enfilade.store import atomic
from enfilade.store.blobs import Blobs, FolderBlobs, MemoryBlobs


@pytest.fixture(params=["folder", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return FolderBlobs(tmp_path / "blobs") if request.param == "folder" else MemoryBlobs()


async def chunks(*parts: bytes, fail: bool = False) -> AsyncGenerator[bytes]:
    for part in parts:
        yield part
    if fail:
        raise ConnectionError("the sender went away")


async def read(blobs: Blobs, blob: Any, *span: Any) -> bytes:
    return b"".join([piece async for piece in blobs.open(blob, *span)])


async def test_bytes_come_back_as_they_were_put(blobs: Blobs) -> None:
    content = b"0123456789" * 100_000

    blob = await blobs.put(chunks(content[:7], content[7:]), "text/plain", "digits.txt")

    assert (blob.size, blob.media_type, blob.name) == (1_000_000, "text/plain", "digits.txt")
    assert blob.sha256 == hashlib.sha256(content).hexdigest()
    assert await read(blobs, blob) == content
    assert await read(blobs, blob, 3, 7) == b"3456"
    assert await read(blobs, blob, 999_995) == b"56789"


async def test_what_is_dropped_is_gone(blobs: Blobs) -> None:
    blob = await blobs.put(chunks(b"x"))

    await blobs.drop(blob)
    await blobs.drop(blob)

    with pytest.raises(NotFound):
        await read(blobs, blob)


async def test_a_sender_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError):
        await FolderBlobs(tmp_path).put(chunks(b"half", fail=True))

    assert [name for _, _, names in os.walk(tmp_path) for name in names] == []


@pytest.mark.parametrize("id", ["../../etc/passwd", "", "a/b", "0" * 31 + "."])
async def test_an_id_from_outside_does_not_lead_out(blobs: Blobs, id: str) -> None:
    blob = msgspec.structs.replace(await blobs.put(chunks(b"x")), id=id)  # type: ignore[type-var]

    with pytest.raises(NotFound):
        await read(blobs, blob)


async def test_bytes_are_not_awaited_in_a_unit_of_work(blobs: Blobs, place: Any, calling: Any) -> None:
    store = await place.store()
    blob = await blobs.put(chunks(b"x"))

    for work in (lambda: blobs.put(chunks(b"y")), lambda: read(blobs, blob), lambda: blobs.drop(blob)):
        unit = atomic(_awaiting(work))
        with calling(store), pytest.raises(Misuse, match="a blob inside @atomic"):
            await unit()


def _awaiting(work: Any) -> Any:
    async def unit() -> None:
        await work()

    return unit


async def test_a_blob_belongs_to_the_tenant_of_the_call_that_put_it(blobs: Blobs, calling: Any) -> None:
    with calling(None, tenant="a"):
        blob = await blobs.put(chunks(b"ours"))
    with calling(None, tenant="b"):
        await blobs.drop(blob)
        with pytest.raises(NotFound):
            await read(blobs, blob)
    with pytest.raises(NotFound):
        await read(blobs, blob)
    with calling(None, wide=True):
        assert await read(blobs, blob) == b"ours"
    with calling(None, tenant="a"):
        assert await read(blobs, blob) == b"ours"
        await blobs.drop(blob)
        with pytest.raises(NotFound):
            await read(blobs, blob)

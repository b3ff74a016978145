"""Files in and out: streamed, limited, in parts, and never acting as a page of ours."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from typing import Any, Protocol

import pytest

from enfilade import Blob, Stream, anyone, command, contract, query
from enfilade.errors import Forbidden

CONTENT = b"0123456789abcdefghij"


@contract(needs=anyone, body=100_000)
class Files(Protocol):
    @command("POST /files", status=201)
    async def keep(self, file: Blob, folder: str = "") -> str: ...

    @command("POST /maybe")
    async def perhaps(self, file: Blob | None = None) -> str: ...

    @query("GET /files/{id}")
    async def file(self, id: str) -> Blob: ...

    @query("GET /raw")
    def raw(self) -> Stream[bytes]: ...


class Cabinet:
    def __init__(self) -> None:
        self.blob = Blob(id="lost", size=3, sha256="0")
        self.got: list[Any] = []

    async def keep(self, file: Blob, folder: str = "") -> str:
        self.got.append(file)
        return folder

    async def perhaps(self, file: Blob | None = None) -> str:
        return "none" if file is None else file.name

    async def file(self, id: str) -> Blob:
        return self.blob

    async def raw(self) -> AsyncGenerator[bytes]:
        yield b"one"
        yield b"two"


@pytest.fixture
def cabinet() -> Cabinet:
    return Cabinet()


@pytest.fixture
def files(serve: Any, cabinet: Cabinet) -> Any:
    client = serve({Files: cabinet})
    cabinet.blob = client.stage.blobs.keep(CONTENT, "text/plain; charset=utf-8", "naïve.txt")
    return client


# -- in


async def test_a_raw_body_is_stored_and_given_as_a_value(files, cabinet) -> None:
    headers = {"Content-Type": "image/png", "Content-Disposition": 'attachment; filename="C:\\\\pictures\\\\cat.png"'}
    response = await files.post("/files?folder=cats", content=CONTENT, headers=headers)

    (blob,) = cabinet.got
    assert (response.status_code, response.json()) == (201, "cats")
    assert (blob.size, blob.media_type, blob.name) == (20, "image/png", "cat.png")
    assert blob.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert files.stage.blobs.kept[blob.id] == CONTENT


async def test_a_form_with_the_file_is_stored_alike(files, cabinet) -> None:
    response = await files.post("/files", files={"file": ("../../été.png", CONTENT * 1000, "image/png")})

    (blob,) = cabinet.got
    assert response.status_code == 201
    assert (blob.size, blob.media_type, blob.name) == (20_000, "image/png", "été.png")


async def test_a_form_is_taken_in_pieces_and_never_whole(files, cabinet) -> None:
    boundary = b"frontier"
    head = b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

    async def pieces() -> AsyncGenerator[bytes]:
        for at in range(len(head)):
            yield head[at : at + 1]
        for _ in range(90):
            yield b"x" * 1000
        for byte in b"\r\n--frontier--\r\nepilogue":
            yield bytes([byte])

    headers = {"Content-Type": f"multipart/form-data; boundary={boundary.decode()}"}
    response = await files.post("/files", content=pieces(), headers=headers)

    assert response.status_code == 201
    assert cabinet.got[0].size == 90_000
    assert files.stage.blobs.largest_piece < 80_000


@pytest.mark.parametrize(
    ("form", "parameter"),
    [
        ({"other": ("a", b"x")}, "other"),
        ([("file", ("a", b"x")), ("file", ("b", b"y"))], "file"),
        ([("file", ("a", b"x")), ("more", ("b", b"y"))], "more"),
    ],
)
async def test_a_form_with_other_parts_is_invalid_and_leaves_nothing_stored(
    files, cabinet, form, parameter: str
) -> None:
    before = dict(files.stage.blobs.kept)
    response = await files.post("/files", files=form)

    assert (response.status_code, response.json()["errors"][0]["parameter"]) == (422, parameter)
    assert files.stage.blobs.kept == before
    assert cabinet.got == []


async def test_other_parts_of_a_form_can_be_ignored(serve, cabinet) -> None:
    client = serve({Files: cabinet}, unknown="ignore")
    form = [("csrf", ("c", b"x" * 50_000)), ("file", ("a", b"abc")), ("more", ("b", b"y"))]

    assert (await client.post("/files", files=form)).status_code == 201
    assert list(client.stage.blobs.kept.values()) == [b"abc"]


async def test_a_form_of_any_number_of_parts_is_refused(serve, cabinet) -> None:
    client = serve({Files: cabinet}, unknown="ignore")
    form = [("file", ("a", b"abc")), *(("more", ("b", b"")) for _ in range(100))]

    assert (await client.post("/files", files=form[:100])).status_code == 201
    before = dict(client.stage.blobs.kept)
    response = await client.post("/files", files=form)

    assert (response.status_code, response.json()["detail"]) == (400, "A form has 100 parts at most.")
    assert client.stage.blobs.kept == before


FORM = {"Content-Type": "multipart/form-data; boundary=b"}
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'


@pytest.mark.parametrize(
    "content", [b"nonsense", PART, PART + b"\r\n--b", b"--b\r\nbroken header\r\n\r\nx\r\n--b--\r\n", b""]
)
async def test_a_form_that_is_none_is_malformed_and_leaves_nothing_stored(files, content: bytes) -> None:
    before = dict(files.stage.blobs.kept)
    response = await files.post("/files", content=content, headers=FORM)

    assert response.status_code == 400
    assert files.stage.blobs.kept == before


async def test_a_form_without_a_boundary_is_malformed(files) -> None:
    response = await files.post("/files", content=PART, headers={"Content-Type": "multipart/form-data"})

    assert response.status_code == 400


async def test_a_file_is_required_unless_the_contract_can_do_without(files) -> None:
    assert (await files.post("/files")).status_code == 422
    assert (await files.post("/files", content=b"", headers={"Content-Type": "image/png"})).status_code == 201
    assert (await files.post("/files", content=b"--b--\r\n", headers=FORM)).status_code in (400, 422)
    assert (await files.post("/maybe")).json() == "none"
    assert (await files.post("/maybe", files={"file": ("a.txt", b"x")})).json() == "a.txt"


async def test_a_file_over_the_limit_is_413_and_leaves_nothing_stored(files) -> None:
    before = dict(files.stage.blobs.kept)

    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(200):
            yield b"x" * 1000

    assert (await files.post("/files", content=pieces())).status_code == 413
    assert (await files.post("/files", files={"file": ("a", b"x" * 200_000)})).status_code == 413
    assert files.stage.blobs.kept == before


async def test_the_file_of_a_caller_who_is_refused_is_not_read(files) -> None:
    before = dict(files.stage.blobs.kept)
    files.stage.refuse = Forbidden()

    assert (await files.post("/files", content=CONTENT)).status_code == 403
    assert files.stage.blobs.kept == before


# -- out


async def test_a_file_is_sent_to_be_saved_and_may_do_nothing(files) -> None:
    response = await files.get("/files/a")

    assert (response.status_code, response.content) == (200, CONTENT)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["content-length"] == "20"
    assert (
        response.headers["content-disposition"] == "attachment; filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"
    )
    assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["etag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'


@pytest.mark.parametrize(
    ("range", "part", "content_range"),
    [
        ("bytes=0-4", b"01234", "bytes 0-4/20"),
        ("bytes=15-", b"fghij", "bytes 15-19/20"),
        ("bytes=-3", b"hij", "bytes 17-19/20"),
        ("bytes=-99", CONTENT, "bytes 0-19/20"),
        ("bytes=5-99", CONTENT[5:], "bytes 5-19/20"),
        ("bytes=19-19", b"j", "bytes 19-19/20"),
    ],
)
async def test_a_part_of_a_file_is_sent_as_such(files, range: str, part: bytes, content_range: str) -> None:
    response = await files.get("/files/a", headers={"Range": range})

    assert (response.status_code, response.content) == (206, part)
    assert response.headers["content-range"] == content_range
    assert response.headers["content-length"] == str(len(part))


@pytest.mark.parametrize("range", ["bytes=20-", "bytes=30-40", "bytes=-0"])
async def test_a_part_that_is_not_there_is_416_and_says_the_size(files, range: str) -> None:
    response = await files.get("/files/a", headers={"Range": range})

    assert (response.status_code, response.headers["content-range"]) == (416, "bytes */20")
    assert response.json()["type"] == "/problems/range-not-satisfiable"


@pytest.mark.parametrize("range", ["bytes=5-2", "bytes=-", "items=0-4", "bytes=a-b", "bytes=0-1,4-5"])
async def test_a_range_that_is_none_or_are_several_gives_the_whole(files, range: str) -> None:
    response = await files.get("/files/a", headers={"Range": range})

    assert (response.status_code, response.content) == (200, CONTENT)


async def test_a_part_of_another_version_is_not_sent(files) -> None:
    tag = (await files.get("/files/a")).headers["etag"]
    same = await files.get("/files/a", headers={"Range": "bytes=0-1", "If-Range": tag})
    other = await files.get("/files/a", headers={"Range": "bytes=0-1", "If-Range": '"old"'})

    assert (same.status_code, other.status_code) == (206, 200)


async def test_a_file_that_the_client_has_is_not_sent_again(files) -> None:
    tag = (await files.get("/files/a")).headers["etag"]
    response = await files.get("/files/a", headers={"If-None-Match": tag})

    assert (response.status_code, response.content) == (304, b"")


async def test_a_file_that_the_client_does_not_take_is_406(files) -> None:
    assert (await files.get("/files/a", headers={"Accept": "image/*"})).status_code == 406
    assert (await files.get("/files/a", headers={"Accept": "text/*"})).status_code == 200


async def test_head_of_a_file_opens_none(files, cabinet) -> None:
    cabinet.blob = Blob(id="lost", size=3, sha256="0")
    response = await files.head("/files/a")

    assert (response.status_code, response.headers["content-length"], response.content) == (200, "3", b"")


async def test_a_file_that_is_gone_is_404(files, cabinet) -> None:
    cabinet.blob = Blob(id="lost", size=3, sha256="0")

    assert (await files.get("/files/a")).status_code == 404


async def test_plain_bytes_are_streamed(files) -> None:
    response = await files.get("/raw")

    assert (response.headers["content-type"], response.content) == ("application/octet-stream", b"onetwo")

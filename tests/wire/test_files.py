"""Files that are none, nonsensical forms, streams that break off: each gets its problem, and no file is left."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from typing import Any

import pytest

FORM = {"content_type": "multipart/form-data; boundary=b"}


def kept(desk) -> tuple[list[str], Any]:
    """The files that lie in the folder, and the rows about them."""
    blobs = desk.folder / ".enfilade" / "blobs"
    return sorted(file.name for file in blobs.rglob("*") if file.is_file()), desk.rows()["desk.file"]


@pytest.fixture
def nothing_is_kept(desk) -> Iterator[None]:
    before = kept(desk)
    yield
    for _ in range(100):  # who hangs up does not wait for what follows
        if kept(desk) == before:
            break
        time.sleep(0.05)
    assert kept(desk) == before


def part(name: str = "content", text: str = "tea", more: str = '; filename="a.txt"', kind: str = "text/plain") -> str:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\nContent-Type: {kind}\r\n\r\n{text}\r\n'


def put(desk, body: str | bytes, **fields: Any):
    return desk.ask("PUT", "/files/a", body if isinstance(body, bytes) else body.encode("latin-1"), **fields)


def test_a_file_is_taken_raw_and_in_a_form(desk) -> None:
    raw = put(desk, b"tea", content_type="text/plain", content_disposition='attachment; filename="a.txt"').good()
    form = put(desk, part() + "--b--\r\n", **FORM).good()

    assert raw == form == {"name": "a.txt", "media_type": "text/plain", "size": 3}
    assert len(kept(desk)[0]) == len(kept(desk)[1]) == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("nonsense", 400),
        ("--b", 400),
        ("--b\r\n", 400),
        ("--b\r\n\r\n", 400),
        (part(), 400),
        (part() + "--c--\r\n", 400),
        (part().replace("\r\n", "\n") + "--b--\n", 400),
        ("--b\r\nContent-Disposition: form-data; name=content\r\n", 400),
        ("--b\r\nno colon\r\n\r\ntea\r\n--b--\r\n", 400),
        ("--b\r\n: nameless\r\n\r\ntea\r\n--b--\r\n", 400),
        ("--b--\r\n", 422),
        ("--b\r\n\r\ntea\r\n--b--\r\n", 422),
        (part(name="other") + "--b--\r\n", 422),
        (part(name="") + "--b--\r\n", 422),
        (part() + part(name="other") + "--b--\r\n", 422),
        (part() + part() + "--b--\r\n", 422),
        (part(text="x" * 70_000) + "--b--\r\n", 413),
        ("--b\r\n" + "".join(f"X-{n}: a\r\n" for n in range(2_000)) + "\r\ntea\r\n--b--\r\n", 400),
        (part(more="; " + "a=b; " * 5_000 + 'name="other"') + "--b--\r\n", 400),
    ],
)
def test_a_form_that_is_none_is_refused(desk, nothing_is_kept: None, body: str, status: int) -> None:
    put(desk, body, **FORM).refused(status)


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=c",
        "multipart/form-data; boundary=" + "b" * 2_000,
        "multipart/form-data; boundary=\xff",
    ],
)
def test_a_form_without_its_boundary_is_malformed(desk, nothing_is_kept: None, kind: str) -> None:
    put(desk, part() + "--b--\r\n", content_type=kind).refused(400, "malformed")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\Windows\\\\win.ini", "win.ini"),
        ("a\\nb", "anb"),
        ("a\tb", "ab"),
        ("n" * 1_000, "n" * 255),
        ("..", ".."),
        ("caf\u00c3\u00a9", "café"),
        ("", ""),
    ],
)
def test_the_name_of_a_file_is_only_ever_a_name(desk, said: str, name: str) -> None:
    answer = put(desk, part(more=f'; filename="{said}"') + "--b--\r\n", **FORM)

    assert answer.good()["name"] == name


def test_no_file_at_all_is_told(desk, nothing_is_kept: None) -> None:
    desk.ask("PUT", "/files/a").refused(422, "invalid")


def test_a_file_over_the_limit_is_refused_and_forgotten(desk, nothing_is_kept: None) -> None:
    put(desk, b"x" * 70_000, content_type="text/plain").refused(413, "too-large")
    put(desk, gzip.compress(b"x" * 10_000_000), content_type="text/plain", content_encoding="gzip").refused(413)


def test_a_file_that_never_ends_or_breaks_off_is_forgotten(desk, nothing_is_kept: None) -> None:
    said = {"content_type": "text/plain", "transfer_encoding": "chunked"}
    desk.send(desk.head("PUT", "/files/a", **said), b"3\r\ntea\r\n").refused(408, "too-slow")
    with desk.connect() as connection:
        connection.sendall(desk.head("PUT", "/files/a", content_type="text/plain", content_length=100) + b"tea")


def test_a_stream_is_read_as_it_comes(desk) -> None:
    before = desk.memory()
    said = {"content_type": "application/octet-stream", "content_length": 64 * 1024 * 1024}
    answer = desk.send(desk.head("POST", "/lengths", **said), *[b"x" * 1024 * 1024] * 64)

    assert answer.good() == 64 * 1024 * 1024
    assert desk.memory() - before < 20


def test_a_stream_over_the_limit_is_refused_on_the_way(desk) -> None:
    chunk = b"100000\r\n" + b"x" * 1024 * 1024 + b"\r\n"
    said = {"content_type": "application/octet-stream", "transfer_encoding": "chunked"}
    answer = desk.send(desk.head("POST", "/lengths", **said), *[chunk] * 200)

    assert answer.refused(413, "too-large")["limit"] == 100 * 1024 * 1024
    assert answer.closed

"""Heads that are no HTTP, that are too large, and that never come: refused by the server as bodies are by the app."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

KILOBYTES = 64
"""That a head may have."""


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
        b"BREW /papers HTTP/1.1\r\nhost: a\r\n\r\n",
        b"get /papers HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /papers HTTP/3.7\r\nhost: a\r\n\r\n",
        b"GET /pa pers HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /papers\xff HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /papers HTTP/1.1\r\nhost a\r\n\r\n",
        b"GET /papers HTTP/1.1\r\n: a\r\n\r\n",
        b"GET /papers HTTP/1.1\r\nx y: a\r\n\r\n",
        b"GET /papers HTTP/1.1\r\nx: a\x00b\r\n\r\n",
        b"GET /papers HTTP/1.1\r\nx: a\r\n folded\r\n\r\n",
        b"POST /papers HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /papers HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"POST /papers HTTP/1.1\r\ncontent-length: -1\r\n\r\n{}",
        b"POST /papers HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n{}",
        b"POST /papers HTTP/1.1\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST /papers HTTP/1.1\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /papers HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_the_connection_closed(desk, sent: bytes) -> None:
    before = desk.rows()
    answer = desk.send(sent)

    answer.refused(400, "malformed")
    assert answer.closed
    assert desk.rows() == before


@pytest.mark.parametrize(
    "fields",
    [
        b"x: " + b"a" * 1024 * KILOBYTES + b"\r\n",
        b"a" * 1024 * KILOBYTES + b": x\r\n",
        b"".join(b"x-%d: a\r\n" % number for number in range(20_000)),
        b"x: " + b"a" * 100 * 1024 * 1024,
        b"x: a\r\n" * 10_000_000,
    ],
    ids=["a value", "a name", "many", "a value without end", "many without end"],
)
def test_a_head_that_is_too_large_is_refused_on_the_way(desk, fields: bytes) -> None:
    before = desk.memory()
    answer = desk.send(b"GET /papers HTTP/1.1\r\nhost: a\r\n", fields, b"\r\n")

    answer.refused(431, "head-too-large")
    assert answer.closed
    assert desk.memory() - before < 20


def test_an_address_that_is_too_large_is_refused(desk) -> None:
    desk.send(b"GET /" + b"a" * 1024 * KILOBYTES + b" HTTP/1.1\r\nhost: a\r\n\r\n").refused(431, "head-too-large")


def test_a_large_head_is_not_too_large(desk) -> None:
    fields = b"x: " + b"a" * 1024 * (KILOBYTES - 2) + b"\r\n"

    desk.send(b"GET /papers HTTP/1.1\r\nhost: a\r\n", fields, b"\r\n").good()
    desk.send(
        b"GET /papers HTTP/1.1\r\nhost: a\r\n", *(fields[at : at + 999] for at in range(0, len(fields), 999)), b"\r\n"
    ).good()


def test_a_large_body_right_behind_its_head_is_no_head(desk) -> None:
    body = b"x" * 300_000
    said = {"content_type": "application/octet-stream", "content_length": len(body)}
    with desk.connect() as connection:
        connection.sendall((desk.head("POST", "/lengths", **said) + body) * 2)

        assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_a_head_that_never_comes_is_not_waited_for(desk) -> None:
    with desk.connect() as silent, desk.connect() as slow:
        slow.sendall(b"GET /papers HTTP/1.1\r\n")
        with suppress(ConnectionError):
            for _ in range(30):
                time.sleep(0.5)
                slow.sendall(b"x: a\r\n")
        answer = desk.answer(slow)

        answer.refused(408, "too-slow")
        assert answer.closed
        assert silent.recv(1) == b""


def test_requests_one_behind_the_other_are_answered_in_their_order(desk) -> None:
    with desk.connect() as connection:
        connection.sendall(b"".join(desk.head("GET", path) for path in ("/papers", "/nothing", "/papers/none")))
        statuses = b""
        while statuses.count(b"HTTP/1.1") < 3:
            statuses += connection.recv(65536)

    assert [int(one[1:4]) for one in statuses.split(b"HTTP/1.1")[1:]] == [200, 404, 404]


def test_an_upgrade_to_what_is_not_spoken_is_an_ordinary_request(desk) -> None:
    said = {"connection": "upgrade", "upgrade": "websocket", "sec_websocket_key": "a", "sec_websocket_version": 13}

    assert desk.ask("GET", "/papers", **said).good()["items"] is not None

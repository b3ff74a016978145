"""An issuer's keys: fetched seldom, kept when the issuer is away, followed when they change."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey

from enfilade.clock import VirtualClock
from enfilade.errors import StartError, Unauthenticated, Unavailable
from enfilade.identity import Verifier
from enfilade.outbound import Http, Reach
from enfilade.trace.recorder import Recorder

URL = "https://id.example/jwks.json"


class Publisher:
    """An issuer's key set behind an address; `held` keeps it from answering."""

    def __init__(self, *keys: Any) -> None:
        self.keys = list(keys)
        self.failure: Exception | None = None
        self.body: bytes | None = None
        self.fetches = 0
        self.held = asyncio.Event()
        self.held.set()

    async def fetch(self, url: str) -> bytes:
        assert url == URL
        self.fetches += 1
        await self.held.wait()
        if self.failure is not None:
            raise self.failure
        return self.body or json.dumps({"keys": self.keys}).encode()


async def settle() -> None:
    """Lets what runs on the loop come to rest."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def publisher(forge: Any) -> Publisher:
    return Publisher(*forge.public)


@pytest.fixture
def verifier(forge: Any, publisher: Publisher) -> Verifier:
    return Verifier([forge.issuer(keys=(), jwks_url=URL)], forge.clock, fetch=publisher.fetch)


async def test_keys_are_fetched_when_the_first_token_comes_and_once_for_all_that_wait(
    forge: Any, publisher: Publisher, verifier: Verifier
) -> None:
    publisher.held.clear()
    waiting = [asyncio.create_task(verifier.verify(forge.token(forge.claims(sub=f"u{one}")))) for one in range(20)]
    await settle()
    publisher.held.set()

    assert {principal.subject for principal in await asyncio.gather(*waiting)} == {f"u{one}" for one in range(20)}
    assert publisher.fetches == 1


async def test_a_fetch_goes_on_when_who_asked_for_it_hangs_up(
    forge: Any, publisher: Publisher, verifier: Verifier
) -> None:
    publisher.held.clear()
    first = asyncio.create_task(verifier.verify(forge.token()))
    await settle()
    first.cancel()
    publisher.held.set()

    assert (await verifier.verify(forge.token())).subject == "alice"
    assert publisher.fetches == 1


async def test_an_unknown_key_is_asked_for_again_but_seldom(
    forge: Any, publisher: Publisher, verifier: Verifier, clock: VirtualClock
) -> None:
    await verifier.verify(forge.token())
    unknown = forge.token(header=forge.header(kid="next"))

    for _ in range(50):
        with pytest.raises(Unauthenticated):
            await verifier.verify(unknown)
    assert publisher.fetches == 1

    await clock.advance(10)
    for _ in range(50):
        with pytest.raises(Unauthenticated):
            await verifier.verify(unknown)
    assert publisher.fetches == 2


async def test_a_key_that_was_published_meanwhile_is_found(
    forge: Any, publisher: Publisher, verifier: Verifier, clock: VirtualClock
) -> None:
    await verifier.verify(forge.token())
    new = ECKey.generate_key("P-256", {"kid": "next"})
    publisher.keys.append(new.as_dict(private=False))
    await clock.advance(10)

    token = forge.sign(None, forge.header(alg="ES256", kid="next"), new, "ES256")

    assert (await verifier.verify(token)).subject == "alice"


async def test_a_key_that_was_withdrawn_is_believed_no_longer_than_keys_stay_fresh(
    forge: Any, publisher: Publisher, verifier: Verifier, clock: VirtualClock
) -> None:
    token = forge.token(forge.claims(exp=9999999999))
    await verifier.verify(token)
    publisher.keys.pop(0)
    await clock.advance(600)

    await verifier.verify(token)  # nobody waits for the fetch that this one starts
    await settle()

    with pytest.raises(Unauthenticated):
        await verifier.verify(token)
    assert verifier.recall(token) is None


async def test_known_keys_stay_good_while_the_issuer_is_away(
    forge: Any, publisher: Publisher, verifier: Verifier, clock: VirtualClock
) -> None:
    token = forge.token(forge.claims(exp=9999999999))
    await verifier.verify(token)

    for failure in (OSError("gone"), httpx2.ConnectTimeout("slow")):
        publisher.failure = failure
        await clock.advance(700)
        assert (await verifier.verify(token)).subject == "alice"
        await settle()
    publisher.failure = None
    for body in (b"", b"<html>", b"[]", b"{}", b'{"keys": 1}', b'{"keys": []}', b'{"keys": [{}]}', b"[" * 100_000):
        publisher.body = body
        await clock.advance(700)
        assert (await verifier.verify(token)).subject == "alice"
        await settle()
    assert publisher.fetches == 11


async def test_without_any_key_the_answer_is_unavailable_and_not_that_the_token_is_bad(
    forge: Any, publisher: Publisher, verifier: Verifier, clock: VirtualClock
) -> None:
    publisher.failure = OSError("gone")
    for _ in range(3):
        with pytest.raises(Unavailable, match="cannot be fetched"):
            await verifier.verify(forge.token())
    assert publisher.fetches == 1

    publisher.failure = None
    await clock.advance(10)
    assert (await verifier.verify(forge.token())).subject == "alice"


async def test_keys_in_a_file_are_read_at_the_start_and_again_for_an_unknown_one(
    forge: Any, clock: VirtualClock, tmp_path: Path
) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [forge.public[0]]}))
    verifier = Verifier([forge.issuer(keys=(), jwks_file=str(file))], clock)
    await verifier.verify(forge.token())

    file.write_text(json.dumps({"keys": forge.public}))
    await clock.advance(10)
    token = forge.sign(None, forge.header(alg="ES256", kid="ec-1"), forge.ec, "ES256")

    assert (await verifier.verify(token)).subject == "alice"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"keys": []}', '{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}']
)
def test_a_key_file_that_cannot_be_used_is_a_start_error(forge: Any, tmp_path: Path, content: str) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(content)

    with pytest.raises(StartError, match=r"jwks\.json: this key set cannot be read"):
        Verifier([forge.issuer(keys=(), jwks_file=str(file))], forge.clock)


def test_a_missing_key_file_is_a_start_error(forge: Any) -> None:
    with pytest.raises(StartError, match="correct jwks_file"):
        Verifier([forge.issuer(keys=(), jwks_file="/nowhere/jwks.json")], forge.clock)


async def test_keys_come_over_http_and_an_endless_answer_is_cut_off(forge: Any, clock: VirtualClock) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        body = json.dumps({"keys": forge.public}).encode() if path == b"/good" else b"x" * 1_000_000
        status = b"302 Found\r\nlocation: /good" if path == b"/moved" else b"200 OK"
        writer.write(b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    here = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    http = Http(Recorder(clock, service="test"), Reach.to(here))
    async with server:
        good = Verifier([forge.issuer(keys=(), jwks_url=f"{here}/good")], clock, fetch=http.read)
        assert (await good.verify(forge.token())).subject == "alice"
        for path in ("endless", "moved"):
            other = Verifier([forge.issuer(keys=(), jwks_url=f"{here}/{path}")], clock, fetch=http.read)
            with pytest.raises(Unavailable):
                await other.verify(forge.token())
        await http.aclose()

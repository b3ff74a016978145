"""An issuer that is known by its address alone says itself where its keys are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from enfilade.clock import VirtualClock
from enfilade.errors import Unavailable
from enfilade.identity import Verifier

KEYS = "https://keys.example/jwks.json"
OPENID = "https://id.example/.well-known/openid-configuration"


class Web:
    """What stands at which address; `asked` is what was asked for, in order."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}
        self.asked: list[str] = []

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if url not in self.pages:
            raise OSError(f"404 {url}")
        page = self.pages[url]
        return page if isinstance(page, bytes) else json.dumps(page).encode()


@pytest.fixture
def web(forge: Any) -> Web:
    web = Web()
    web.pages[KEYS] = {"keys": forge.public}
    web.pages[OPENID] = {"issuer": "https://id.example", "jwks_uri": KEYS, "token_endpoint": "https://id.example/token"}
    return web


@pytest.fixture
def verifier(forge: Any, web: Web) -> Verifier:
    return Verifier([forge.issuer(keys=())], forge.clock, fetch=web.fetch)


async def test_nothing_is_asked_before_a_token_comes_and_then_the_metadata_once(
    forge: Any, web: Web, verifier: Verifier, clock: VirtualClock
) -> None:
    assert web.asked == []

    await verifier.verify(forge.token())
    await clock.advance(700)
    await verifier.verify(forge.token())  # nobody waits for the fetch that this one starts
    await clock.advance(0.1)
    await clock.sleep(0)
    await clock.sleep(0)

    assert web.asked == [OPENID, KEYS, KEYS]


@pytest.mark.parametrize(
    ("url", "openid", "oauth"),
    [
        (
            "https://id.example/realms/shop",
            "https://id.example/realms/shop/.well-known/openid-configuration",
            "https://id.example/.well-known/oauth-authorization-server/realms/shop",
        ),
        (
            "https://id.example/",
            "https://id.example/.well-known/openid-configuration",
            "https://id.example/.well-known/oauth-authorization-server",
        ),
    ],
)
async def test_where_there_is_no_openid_the_metadata_of_oauth_is_taken(
    forge: Any, web: Web, url: str, openid: str, oauth: str
) -> None:
    web.pages = {KEYS: {"keys": forge.public}, oauth: {"issuer": url, "jwks_uri": KEYS}}
    verifier = Verifier([forge.issuer(url=url, keys=())], forge.clock, fetch=web.fetch)

    assert (await verifier.verify(forge.token(forge.claims(iss=url)))).issuer == url
    assert web.asked == [openid, oauth, KEYS]


WRONG = {
    "of another issuer": {"issuer": "https://evil.example", "jwks_uri": KEYS},
    "of the issuer with a slash more": {"issuer": "https://id.example/", "jwks_uri": KEYS},
    "without an issuer": {"jwks_uri": KEYS},
    "without keys": {"issuer": "https://id.example"},
    "with keys over plain http": {"issuer": "https://id.example", "jwks_uri": "http://keys.example/jwks.json"},
    "with keys in a file": {"issuer": "https://id.example", "jwks_uri": "file:///etc/passwd"},
    "with a list for an address": {"issuer": "https://id.example", "jwks_uri": [KEYS]},
    "that is a page": b"<html>",
    "that is deep": b"[" * 100_000,
    "that is nothing": b"",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_metadata_that_cannot_be_taken_leaves_the_issuer_without_keys(
    forge: Any, web: Web, verifier: Verifier, wrong: Any
) -> None:
    web.pages[OPENID] = wrong

    with pytest.raises(Unavailable):
        await verifier.verify(forge.token())
    assert KEYS not in web.asked


async def test_keys_that_moved_are_looked_for_again(
    forge: Any, web: Web, verifier: Verifier, clock: VirtualClock
) -> None:
    await verifier.verify(forge.token())
    web.pages["https://new.example/keys"] = web.pages.pop(KEYS)
    web.pages[OPENID]["jwks_uri"] = "https://new.example/keys"
    token = forge.token(forge.claims(exp=9999999999))

    for _ in range(2):
        await clock.advance(700)
        assert (await verifier.verify(token)).subject == "alice"
        await clock.sleep(0)
        await clock.sleep(0)

    assert web.asked[-2:] == [OPENID, "https://new.example/keys"]


async def test_issuers_are_asked_each_for_its_own(forge: Any, web: Web) -> None:
    here = "https://other.example/.well-known/openid-configuration"
    web.pages[here] = {"issuer": "https://other.example", "jwks_uri": "https://other.example/jwks"}
    web.pages["https://other.example/jwks"] = {"keys": [forge.ec.as_dict(private=False)]}
    issuers = [forge.issuer(keys=()), forge.issuer(url="https://other.example", keys=(), prefix="other:")]
    verifier = Verifier(issuers, forge.clock, fetch=web.fetch)
    claims = forge.claims(iss="https://other.example")

    token = forge.sign(claims, forge.header(alg="ES256", kid="ec-1"), forge.ec, "ES256")

    assert (await verifier.verify(token)).subject == "other:alice"
    assert web.asked == [here, "https://other.example/jwks"]

"""What settings may say about an issuer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from enfilade.identity import Issuer

GOOD: dict[str, Any] = {"url": "https://id.example", "audience": "shop", "jwks_url": "https://id.example/jwks.json"}


def test_settings_decode_to_an_issuer() -> None:
    issuer = msgspec.convert({**GOOD, "audience": ["shop", "mail"], "algorithms": ["ES256"]}, Issuer)

    assert issuer.audiences == ("shop", "mail")
    assert issuer.algorithms == ("ES256",)


def test_the_url_and_the_audience_are_enough_where_the_issuer_can_be_asked() -> None:
    assert msgspec.convert({"url": "https://id.example", "audience": "shop"}, Issuer)
    assert msgspec.convert({"url": "http://127.0.0.1:8080", "audience": "shop"}, Issuer)


def test_keys_may_come_over_plain_http_from_this_machine_only() -> None:
    assert msgspec.convert({**GOOD, "jwks_url": "http://127.0.0.1:9/jwks"}, Issuer)
    with pytest.raises(msgspec.ValidationError, match="must be https"):
        msgspec.convert({**GOOD, "jwks_url": "http://id.example/jwks"}, Issuer)


WRONG = {
    "no algorithm at all": {"algorithms": []},
    "no signature": {"algorithms": ["none"]},
    "a shared secret": {"algorithms": ["HS256"]},
    "too much skew": {"skew": 61},
    "no audience": {"audience": ""},
    "an empty audience": {"audience": []},
    "a nameless audience": {"audience": ["shop", ""]},
    "no url": {"url": ""},
    "no type": {"types": []},
    "two sources of keys": {"jwks_file": "jwks.json"},
    "no source of keys, nor an address to ask": {"url": "urn:enfilade:partner", "jwks_url": ""},
    "no source of keys, nor a safe address to ask": {"url": "http://id.example", "jwks_url": ""},
    "https to nobody": {"jwks_url": "https:///jwks"},
    "no address at all": {"jwks_url": "https://[::1"},
    "an unknown claim": {"claims": {"subjekt": "oid"}},
    "a claim without a name": {"claims": {"subject": ""}},
    "an unknown setting": {"algorithm": "RS256"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_settings_that_would_let_anybody_in_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**GOOD, **wrong}, Issuer)

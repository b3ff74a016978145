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
    "no source of keys": {"jwks_url": ""},
    "an unknown setting": {"algorithm": "RS256"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_settings_that_would_let_anybody_in_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**GOOD, **wrong}, Issuer)

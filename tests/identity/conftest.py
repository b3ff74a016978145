"""An issuer with real keys, and tokens made by hand, so that they can be wrong in any way."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from enfilade.clock import VirtualClock
from enfilade.identity import Issuer, Verifier

ISSUER = "https://id.example"


def b64(data: bytes | str) -> str:
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


class Forge:
    """Makes tokens of one issuer: right ones, unless told otherwise."""

    b64 = staticmethod(b64)

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.rsa = RSAKey.generate_key(2048, {"kid": "rsa-1"})
        self.ec = ECKey.generate_key("P-256", {"kid": "ec-1"})

    @property
    def public(self) -> tuple[Any, ...]:
        return self.rsa.as_dict(private=False), self.ec.as_dict(private=False)

    def issuer(self, **changes: Any) -> Issuer:
        settings = {"url": ISSUER, "audience": "shop", "keys": self.public}
        return Issuer(**{**settings, **changes})

    def verifier(self, **changes: Any) -> Verifier:
        return Verifier([self.issuer(**changes)], self.clock)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(self.clock.now().timestamp())
        claims = {"iss": ISSUER, "sub": "alice", "aud": "shop", "iat": now, "exp": now + 600, **changes}
        return {name: value for name, value in claims.items() if value is not None}

    def header(self, **changes: Any) -> dict[str, Any]:
        header = {"alg": "RS256", "typ": "at+jwt", "kid": "rsa-1", **changes}
        return {name: value for name, value in header.items() if value is not None}

    def token(self, claims: Any = None, header: Any = None) -> str:
        """Signed with the RSA key, whatever the header says; texts go in as they are."""
        return self.sign(claims, header, self.rsa, "RS256")

    def sign(self, claims: Any, header: Any, key: Any, algorithm: str) -> str:
        claims = self.claims() if claims is None else claims
        header = self.header(alg=algorithm) if header is None else header
        texts = [part if isinstance(part, (str, bytes)) else json.dumps(part) for part in (header, claims)]
        signed = ".".join(map(b64, texts))
        signature = jws.JWSRegistry.algorithms[algorithm].sign(signed.encode(), key)
        return f"{signed}.{b64(signature)}"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(scope="session")
def _forge() -> Forge:
    return Forge(VirtualClock())  # making an RSA key takes its time, so once


@pytest.fixture
def forge(_forge: Forge, clock: VirtualClock) -> Forge:
    _forge.clock = clock
    return _forge

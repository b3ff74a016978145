"""What the provider is told of its app, and the few things that it does with secrets."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from enfilade.secrets.seal import Seal
from enfilade.secrets.secret import Keeper

_FORMS: Final = b"enfilade provider forms"


class Host:
    """The app that the provider is in; injected by its type."""

    def __init__(self, audience: str, secret: bytes, address: str = "", keeper: Keeper | None = None) -> None:
        self.audience = audience
        """Who a token is for that asks for nobody else."""
        self.address = address
        """What the app is reached by."""
        self.keeper = keeper
        """Who has the app's secrets."""
        self.seal = Seal(secret, "provider keys")
        self._forms = hmac.digest(secret, _FORMS, "sha256")

    def mark(self, *parts: str) -> str:
        """A mark that nobody else can make for these texts."""
        said = b"".join(b"%d:%s" % (len(text), text) for text in (part.encode() for part in parts))
        return hmac.new(self._forms, said, hashlib.sha256).hexdigest()


def digest(secret: str) -> str:
    """What is kept of a code, token or secret: 256 bits of chance need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two texts are equal, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())

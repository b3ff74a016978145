"""How a key is written: `ek_<id>_<secret>`.

The prefix lets scanners of source code find one that was left somewhere, and the id lets us find its row without a
search by its digest. The secret has 256 bits, so one round of SHA-256 keeps it: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Final

PREFIX: Final = "ek_"
_WRITTEN = re.compile(r"ek_([a-z0-9]{16})_([A-Za-z0-9_-]{43})")
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"


def new() -> tuple[str, str]:
    """A new key: its id, and the whole of it."""
    id = "".join(secrets.choice(_LETTERS) for _ in range(16))
    return id, f"{PREFIX}{id}_{secrets.token_urlsafe(32)}"


def id_of(key: str) -> str | None:
    """The id in a key; None where it is no key of ours."""
    written = _WRITTEN.fullmatch(key)
    return None if written is None else written[1]


def digest(key: str) -> str:
    """What is kept of a key: SHA-256, in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


def same(key: str, kept: str) -> bool:
    """Whether a key is the one that was kept, in a time that does not tell."""
    return hmac.compare_digest(digest(key), kept)

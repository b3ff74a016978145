"""Sealed with AES-256-GCM (NIST SP 800-38D): what is stored and must neither be read nor exchanged where it lies.

`Seal` seals under one key that is made of the app's own secret. `DataKeys` is envelope encryption: each value has a key
of its own, and that key is wrapped by a data key, of which there are several versions; a new version only has to wrap
the small keys again.
"""

from __future__ import annotations

import hmac
import os
import re
from base64 import b64decode, b64encode
from functools import cached_property
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

DATA_KEY: Final = "enfilade/data-key"
"""The secret that has the data keys: `1:<base64> 2:<base64>`, the highest number being the one that encrypts."""

_NONCE: Final = 12
"""Bytes, by chance: one key seals far less than the 2^32 values after which two might be alike (SP 800-38D, 8.3)."""
_TAG: Final = 16
_KEY: Final = 32
_WRAPPED: Final = _NONCE + _KEY + _TAG
_FORM: Final = b"\x01"
_HEAD: Final = len(_FORM) + 4
"""The form and the version of the data key, in four bytes."""


class Unsealable(Exception):
    """It was not sealed with this key, or not for this place: it is broken, exchanged, or its key is gone."""


class Seal:
    """Seals under keys made of one secret, by HKDF (RFC 5869) for a purpose, and from there by HMAC for each place."""

    def __init__(self, secret: bytes, purpose: str) -> None:
        self._secret = secret
        self._info = b"enfilade " + purpose.encode()

    @cached_property
    def _key(self) -> bytes:
        return HKDF(algorithm=SHA256(), length=_KEY, salt=None, info=self._info).derive(self._secret)

    def digest(self, value: bytes) -> str:
        """What the value can be known again by, and not be guessed from."""
        return hmac.digest(self._key, b"digest\0" + value, "sha256").hex()

    def seal(self, value: bytes, about: bytes) -> bytes:
        """The value, sealed for the place that `about` names."""
        nonce = os.urandom(_NONCE)
        return nonce + self._box(about).encrypt(nonce, value, about)

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """The value again. Raises Unsealable."""
        return _open(self._box(about), sealed, about)

    def _box(self, about: bytes) -> AESGCM:
        return AESGCM(hmac.digest(self._key, b"place\0" + about, "sha256"))


class DataKeys:
    """Envelope encryption under the versions of a data key.

    A sealed value is: form (1 byte), version (4), wrapped key (nonce, key, tag: 60), nonce (12), ciphertext, tag (16);
    93 bytes more than the value.
    """

    def __init__(self, said: str) -> None:
        """Raises ValueError where the secret is not as `DATA_KEY` says."""
        self._keys: dict[int, AESGCM] = {}
        self.learn(said)
        self.newest = max(self._keys)
        """The version that is written with."""

    def learn(self, said: str) -> None:
        """Read with these versions, too. Raises ValueError."""
        self._keys.update({version: AESGCM(key) for version, key in _parsed(said).items()})

    def promote(self) -> None:
        """Write with the newest version from now on."""
        self.newest = max(self._keys)

    def seal(self, value: bytes, about: bytes) -> bytes:
        """The value, sealed for the place that `about` names."""
        key, nonce = os.urandom(_KEY), os.urandom(_NONCE)
        return self._wrap(key, about) + nonce + AESGCM(key).encrypt(nonce, value, about)

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """The value again. Raises Unsealable."""
        return _open(AESGCM(self._unwrap(sealed, about)), sealed[_HEAD + _WRAPPED :], about)

    def rewrap(self, sealed: bytes, about: bytes) -> bytes | None:
        """The same under the newest data key, the value untouched; None where it is so already. Raises Unsealable."""
        if _version(sealed) == self.newest:
            return None
        return self._wrap(self._unwrap(sealed, about), about) + sealed[_HEAD + _WRAPPED :]

    def _wrap(self, key: bytes, about: bytes) -> bytes:
        head = _FORM + self.newest.to_bytes(4)
        nonce = os.urandom(_NONCE)
        return head + nonce + self._keys[self.newest].encrypt(nonce, key, head + about)

    def _unwrap(self, sealed: bytes, about: bytes) -> bytes:
        version = _version(sealed)
        box = self._keys.get(version)
        if box is None:
            raise Unsealable(f"{DATA_KEY} has no version {version}, which this was sealed with")
        return _open(box, sealed[_HEAD : _HEAD + _WRAPPED], sealed[:_HEAD] + about)


def next_key(said: str) -> str:
    """The secret of data keys with a new version beside those that it has."""
    keys = _parsed(said) if said.strip() else {}
    keys[max(keys, default=0) + 1] = os.urandom(_KEY)
    return " ".join(f"{version}:{b64encode(key).decode()}" for version, key in sorted(keys.items()))


def made_key(secret: bytes) -> str:
    """A secret of data keys that follows from the app's own secret: for development."""
    return f"1:{b64encode(Seal(secret, 'data key')._key).decode()}"


def _parsed(said: str) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for part in said.split():
        match = re.fullmatch(r"([1-9][0-9]{0,8}):([A-Za-z0-9+/]{43}=)", part)
        if match is None or int(match[1]) in found:
            raise ValueError("it is not made of versions such as `1:<32 bytes in base64>`")
        found[int(match[1])] = b64decode(match[2])
    if not found:
        raise ValueError("it has no key")
    return found


def _version(sealed: bytes) -> int:
    if len(sealed) < _HEAD + _WRAPPED + _NONCE + _TAG or not sealed.startswith(_FORM):
        raise Unsealable("this was not sealed by a data key")
    return int.from_bytes(sealed[len(_FORM) : _HEAD])


def _open(box: AESGCM, sealed: bytes, about: bytes) -> bytes:
    try:
        return box.decrypt(sealed[:_NONCE], sealed[_NONCE:], about)
    except (InvalidTag, ValueError):
        raise Unsealable("this was not sealed here with this key") from None

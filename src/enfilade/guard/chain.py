"""A chain of lines: each ends with a seal over itself and the seal before it, so that no line can be changed, moved or
taken out without breaking the seal that follows.

    {"at":"2026-01-01T12:00:00Z","operation":"orders.place",...,"seal":"9f86d0..."}

The seals are HMAC-SHA256 under a key that is derived from the app's secret: who can write the files and does not know
the secret cannot make a chain of his own. Because a chain that ends early is still whole, its head is kept beside the
file: how many lines there are and the last seal, under a seal of its own.
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from typing import Final

import msgspec

FIRST: Final = ""
"""What stands for the seal before the first."""
_SEAL: Final = re.compile(rb'^(\{.+),"seal":"([0-9a-f]{64})"\}$')


class Head(msgspec.Struct, frozen=True):
    """Where a chain ended when its file was last known to be written."""

    lines: int
    seal: str
    proof: str = ""


class Opening(msgspec.Struct, frozen=True):
    """What the first line of a file says: which file it is, and those that were before it, with their last seals."""

    file: str
    process: int
    at: str
    after: dict[str, str]


class Key:
    """The key of an app's chains. It is put into the two hashes of HMAC (RFC 2104) once, and not for each line."""

    def __init__(self, secret: bytes) -> None:
        key = hmac.digest(secret, b"enfilade audit", "sha256").ljust(64, b"\0")
        self._inner = sha256(bytes(one ^ 0x36 for one in key))
        self._outer = sha256(bytes(one ^ 0x5C for one in key))

    def sign(self, text: bytes) -> str:
        """HMAC-SHA256 of a text, in hexadecimal digits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.hexdigest()


def seal(key: Key, before: str, text: bytes) -> str:
    """Of a line's text, after the seal of the line before."""
    return key.sign(before.encode() + text)


def sealed(text: bytes, mark: str) -> bytes:
    """The line, of a JSON object with its seal."""
    return b'%b,"seal":"%b"}\n' % (text[:-1], mark.encode())


def unsealed(line: bytes) -> tuple[bytes, str] | None:
    """(text, seal) of a line; None where it is none of ours."""
    found = _SEAL.match(line)
    return None if found is None else (found[1] + b"}", found[2].decode())


def head_of(key: Key, file: str, lines: int, mark: str) -> Head:
    """The head of a file's chain, proved."""
    return Head(lines, mark, seal(key, f"head {file} {lines}", mark.encode()))


def opening(line: bytes) -> Opening | None:
    """What a file's first line says."""
    try:
        return msgspec.json.decode(line, type=Opening)
    except msgspec.MsgspecError:
        return None

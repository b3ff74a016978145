"""The development issuer: a key of the app's own, so that tokens can be had with nothing else installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, cast

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from enfilade.errors import Finding, StartError
from enfilade.identity.issuer import Issuer
from enfilade.secrets import kept

DEVELOPMENT: Final = "urn:enfilade:development"
"""`iss` of its tokens: no address, so that no real issuer can be taken for it."""
FILE: Final = "issuer.json"


class DevelopmentIssuer:
    """Signs tokens and says how they are verified: a P-256 key, made once and kept in `folder/issuer.json`.

    Without a folder the key lives as long as the object, for tests. ES256, because making a key and signing cost a
    fraction of RSA's, and what a verification costs more is saved by the verifier's memory.
    """

    def __init__(self, folder: Path | None, audience: str) -> None:
        self.audience = audience
        self.key = _new() if folder is None else _kept(folder)
        self.key.ensure_kid()  # the thumbprint of RFC 7638

    @property
    def kid(self) -> str:
        return cast("str", self.key.kid)

    @property
    def issuer(self) -> Issuer:
        """What a verifier is to know: the public half."""
        public = cast("dict[str, object]", self.key.as_dict(private=False))
        return Issuer(url=DEVELOPMENT, audience=self.audience, keys=(public,), algorithms=("ES256",), skew=0.0)


def _new() -> ECKey:
    return ECKey.generate_key("P-256")


def _kept(folder: Path) -> ECKey:
    path = folder / FILE
    try:
        data = kept.once(path, lambda: json.dumps(_new().as_dict(private=True)).encode())
    except OSError as error:
        remedy = f"Make {folder} a directory that this user can write, or say another `folder` in enfilade.toml."
        what = f"the key of the development issuer cannot be kept there: {error}"
        raise StartError([Finding(str(folder), what, remedy, "issuer-key")]) from error
    try:
        return _read(data)
    except (JoseError, ValueError, KeyError) as error:
        remedy = "Delete the file; a new key is made at the next start, and tokens of the old one are void."
        what = f"the key of the development issuer cannot be read: {error}"
        raise StartError([Finding(str(path), what, remedy, "issuer-key")]) from error


def _read(data: bytes) -> ECKey:
    key = ECKey.import_key(msgspec.json.decode(data, type=dict[str, str | list[str]]))
    if not key.is_private or key.curve_name != "P-256":
        raise ValueError("it is not a private P-256 key")
    return key

"""Secrets in the repository: one file, encrypted with age (age-encryption.org/v1) to everybody who may read it.

`secrets.age` is JSON inside, armored text outside. `secrets.recipients` beside it names who may read it, one public key
a line, what follows it being whose it is. The private key comes from the variable `ENFILADE_AGE_KEY`, or from the file
that `ENFILADE_AGE_KEY_FILE` names, by default `~/.config/enfilade/age.key`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from enfilade.errors import Finding, StartError
from enfilade.secrets import kept
from enfilade.secrets.plain import Watched
from enfilade.secrets.unreadable import Unreadable

KEY: Final = "ENFILADE_AGE_KEY"
KEY_FILE: Final = "ENFILADE_AGE_KEY_FILE"


class AgeFile:
    """The source, and what `enfilade secrets` works on."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        """Raises StartError where the extra is not installed."""
        self.path = path
        self.recipients_path = path.with_suffix(".recipients")
        self._environ = environ
        self._age = _pyrage()
        self._watched = Watched(path, self._decrypted)

    async def find(self, name: str) -> str | None:
        return ((await self._watched.get()) or {}).get(name)

    def remedy(self, name: str) -> str:
        return f"run `enfilade secrets set {name}`"

    async def aclose(self) -> None:
        """Nothing was taken."""

    # -- for the command line

    def read(self) -> dict[str, str]:
        """All of it; nothing where there is no file yet. Raises Unreadable."""
        return self._decrypted(self.path.read_bytes()) if self.path.exists() else {}

    def write(self, values: Mapping[str, str]) -> None:
        """Put these in the place of all, encrypted to the recipients as they are now; whole or not at all."""
        text = msgspec.json.format(msgspec.json.encode(dict(sorted(values.items()))), indent=2)
        sealed: bytes = self._age.encrypt(text, self._recipients(), armored=True)
        kept.write(self.path, sealed, 0o644)

    def init(self, whose: str) -> tuple[Path, str]:
        """A private key where this user has none, its public half among the recipients. (key file, public key)."""
        file = self._key_file()
        if KEY not in self._environ and not file.exists():
            made = self._age.x25519.Identity.generate()
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            kept.write(file, f"# public key: {made.to_public()}\n{made}\n".encode(), 0o600)
        public = str(self._identities()[0].to_public())
        known = self.recipients_path.read_text("utf-8") if self.recipients_path.exists() else ""
        if public not in known.split():
            kept.write(self.recipients_path, f"{known}{public} {whose}\n".encode(), 0o644)
        return file, public

    def _decrypted(self, sealed: bytes) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._age.decrypt(sealed, self._identities()), type=dict[str, str])
        except self._age.DecryptError as wrong:
            remedy = f"Let somebody who can read it add your public key to {self.recipients_path}, "
            remedy += "and run `enfilade secrets rotate`."
            raise Unreadable(f"{self.path} is not encrypted to this key: {wrong}", remedy) from wrong
        except msgspec.MsgspecError:
            raise Unreadable(f"{self.path} is no file of ours inside", "Make it with `enfilade secrets`.") from None

    def _identities(self) -> list[Any]:
        """The private keys of this user, or of this machine. Raises Unreadable."""
        file = self._key_file()
        try:
            said = self._environ.get(KEY) or file.read_text("utf-8")
            lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("#")]
            found = [self._age.x25519.Identity.from_str(line) for line in lines]
        except (OSError, UnicodeDecodeError, self._age.IdentityError):
            found = []
        if not found:
            what = f"{self.path} needs a private key of age, and {file} has none"
            raise Unreadable(what, f"Set {KEY} to one, or run `enfilade secrets init`.")
        return found

    def _recipients(self) -> list[Any]:
        found: list[Any] = []
        try:
            lines = self.recipients_path.read_text("utf-8").splitlines()
        except OSError:
            lines = []
        for line in lines:
            key = line.partition("#")[0].split()
            if not key:
                continue
            try:
                found.append(self._age.x25519.Recipient.from_str(key[0]))
            except self._age.RecipientError as wrong:
                remedy = "Write a public key that starts with age1, and whose it is behind it."
                raise Unreadable(f"{self.recipients_path} has {key[0]!r}, which is no public key", remedy) from wrong
        if not found:
            raise Unreadable(f"{self.recipients_path} names nobody who may read", "Run `enfilade secrets init`.")
        return found

    def _key_file(self) -> Path:
        said = self._environ.get(KEY_FILE)
        home = self._environ.get("XDG_CONFIG_HOME") or "~/.config"
        return Path(said) if said else Path(home).expanduser() / "enfilade" / "age.key"


def _pyrage() -> Any:
    try:
        return importlib.import_module("pyrage")
    except ModuleNotFoundError as missing:
        remedy = "Install it: pip install 'enfilade[age]'."
        raise StartError([Finding("secrets", "age files need the package pyrage.", remedy, "secret")]) from missing

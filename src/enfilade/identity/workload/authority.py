"""The authority of an app: issues the certificates that its processes know one another by.

Roots are exchanged while everything runs, each step a certificate's life after the one before, so that nobody has to be
asked how far he is: whoever has not renewed in that time has no good certificate any more.

    rotate()        the new root is made known beside the old one, which goes on signing
    + 1 life        the new one signs
    + 2 lives       nothing that the old one signed is good any more: it is believed no longer
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from enfilade.clock import Clock
from enfilade.errors import Finding, StartError
from enfilade.identity.workload import files
from enfilade.identity.workload.peer import UNREADABLE, PeerRefused, verify_peer
from enfilade.identity.workload.root import ROOT_LIFE, SKEW, Kept, Root, key_pem, new_key
from enfilade.identity.workload.spiffe import SpiffeId
from enfilade.secrets.seal import Seal, Unsealable

log = logging.getLogger("enfilade.identity")

FILE: Final = "authority.sealed"
LIFE: Final = timedelta(hours=1)
LOOK: Final = 30.0
"""Seconds between two looks at what is due."""


class Authority:
    """Signs for one trust domain. Its keys are kept in `folder`, sealed with the app's secret.

    One process of an app has it, the supervisor. Raises ValueError where `domain` is no trust domain, and StartError
    where its file cannot be had.
    """

    def __init__(self, domain: str, secret: bytes, folder: Path, clock: Clock, *, life: timedelta = LIFE) -> None:
        self.domain = SpiffeId(domain).domain
        self._seal = Seal(secret, "workload authority")
        self._path = folder / FILE
        self._clock = clock
        self._life = life
        try:
            self._roots = [Root(one) for one in self._read()]
            self._tidy(clock.now())
        except (OSError, Unsealable, ValueError) as error:
            raise StartError([_finding(self._path, error)]) from error

    @property
    def bundle(self) -> bytes:
        """The certificates that are believed now (PEM), the newest last."""
        self._tidy(self._clock.now())
        return "".join(one.kept.certificate for one in self._roots).encode()

    def issue(self, process: str, services: Collection[str]) -> bytes:
        """A new key for a process and its certificate (PEM)."""
        key = new_key()
        return key_pem(key) + self._signed(key.public_key(), process, frozenset(services))

    def sign(self, request: bytes, process: str, services: Collection[str]) -> bytes:
        """The certificate (PEM) of a process on another host, whose key stays there.

        `request` is a PKCS#10 request (PEM); nothing is taken from it but the key. Who may send one, and for which
        process, is the caller's affair. Raises PeerRefused where it does not prove that it has a P-256 key.
        """
        try:
            read = x509.load_pem_x509_csr(request)
            public, proven = read.public_key(), read.is_signature_valid
        except UNREADABLE as error:
            raise PeerRefused(f"its request cannot be read: {error}") from error
        if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
            raise PeerRefused("it has another key than P-256")
        if not proven:
            raise PeerRefused("its request is not signed with its key")
        return self._signed(public, process, frozenset(services))

    def rotate(self) -> None:
        """Begin to exchange the root, unless that is under way."""
        now = self._clock.now()
        self._tidy(now)
        if len(self._roots) == 1:
            self._keep([*self._roots, Root.new(self.domain, now, now + self._life)])

    def renew(self, folder: Path, processes: Mapping[str, Collection[str]]) -> list[str]:
        """Write what is due: the bundle, and the certificates that are missing, at half their time, or not as they are
        to be. `processes` says which services each holds. Returns the names of those that got a new one."""
        now = self._clock.now()
        self._tidy(now)
        if now >= self._roots[-1].certificate.not_valid_after_utc - ROOT_LIFE / 2:
            self.rotate()
        files.changed(folder / files.BUNDLE, self.bundle)
        due = [name for name, services in processes.items() if self._due(folder, name, frozenset(services), now)]
        for name in due:
            files.put(files.file_of(folder, name), self.issue(name, processes[name]))
        return due

    async def keep(self, folder: Path, processes: Mapping[str, Collection[str]]) -> None:
        """Do so from now on, until cancelled. What cannot be written is tried again."""
        while True:
            try:
                self.renew(folder, processes)
            except OSError as error:
                log.warning("certificates cannot be written: %s", error)
            await self._clock.sleep(LOOK)

    def _signed(self, public: ec.EllipticCurvePublicKey, process: str, services: frozenset[str]) -> bytes:
        now = self._clock.now()
        self._tidy(now)
        signer = next(one for one in reversed(self._roots) if one.kept.signs <= now.timestamp())
        return signer.sign(public, SpiffeId.of(self.domain, process, services), services, now, now + self._life)

    def _due(self, folder: Path, process: str, services: frozenset[str], now: datetime) -> bool:
        try:
            read = x509.load_pem_x509_certificate(files.file_of(folder, process).read_bytes())
            peer = verify_peer(read.public_bytes(Encoding.DER), self.domain, now)
        except (OSError, PeerRefused, *UNREADABLE):
            return True
        if not any(read.issuer == one.certificate.subject for one in self._roots):
            return True
        wanted = SpiffeId.of(self.domain, process, services)
        return (peer.id, peer.services) != (wanted, services) or now >= read.not_valid_after_utc - self._life / 2

    # -- the roots

    def _tidy(self, now: datetime) -> None:
        """Leave out the roots that are over, and have one."""
        signing = [one.kept.signs for one in self._roots if one.kept.signs <= now.timestamp()]
        over = (now - self._life - SKEW).timestamp()
        last = max((one for one in signing if one <= over), default=0.0)
        left = [
            one for one in self._roots if one.kept.signs >= last and one.certificate.not_valid_after_utc > now + SKEW
        ]
        if not any(one.kept.signs <= now.timestamp() for one in left):
            left.insert(0, Root.new(self.domain, now, now))
        if left != self._roots:
            self._keep(left)

    def _read(self) -> list[Kept]:
        if not self._path.exists():
            return []
        said = self._seal.open(self._path.read_bytes(), self.domain.encode())
        return msgspec.json.decode(said, type=list[Kept])

    def _keep(self, roots: list[Root]) -> None:
        said = msgspec.json.encode([one.kept for one in roots])
        files.put(self._path, self._seal.seal(said, self.domain.encode()))
        self._roots = roots


def _finding(path: Path, error: Exception) -> Finding:
    if isinstance(error, OSError):
        remedy = f"Make {path.parent} a directory that this user can read and write."
    else:
        remedy = (
            "Start with the secret that it was made with; or delete the file: a new authority is made, and processes "
            "of other hosts have to join again."
        )
    return Finding(str(path), f"the keys of the app's authority cannot be had: {error}", remedy, "authority")

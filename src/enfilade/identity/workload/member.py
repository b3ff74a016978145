"""A host that has no authority: its keys are made there and stay there, what it asks for are certificates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from enfilade.clock import Clock
from enfilade.identity.workload import files
from enfilade.identity.workload.peer import UNREADABLE, PeerRefused
from enfilade.identity.workload.root import key_pem, new_key


class Member:
    """The certificates of the processes of one host, in a folder."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}

    def requests(self, processes: Collection[str]) -> Mapping[str, str]:
        """Requests (PKCS#10, PEM) for those whose certificate is missing, or is at half of its time."""
        due = [name for name in processes if self._due(name)]
        self._keys = {name: new_key() for name in due}
        return {name: _request(key) for name, key in self._keys.items()}

    def take(self, certificates: Mapping[str, str], roots: str) -> None:
        """Write down what was given for these requests. Raises PeerRefused where it is something else."""
        for name, certificate in certificates.items():
            if name not in self._keys or not _of(certificate, self._keys[name]):
                raise PeerRefused(f"what was given for {name} is no certificate of its key")
        files.changed(self._folder / files.BUNDLE, roots.encode())
        for name, certificate in certificates.items():
            files.put(files.file_of(self._folder, name), key_pem(self._keys[name]) + certificate.encode())

    def _due(self, process: str) -> bool:
        try:
            read = x509.load_pem_x509_certificate(files.file_of(self._folder, process).read_bytes())
        except (OSError, *UNREADABLE):
            return True
        left = read.not_valid_after_utc - self._clock.now()
        return left < (read.not_valid_after_utc - read.not_valid_before_utc) / 2


def _request(key: ec.EllipticCurvePrivateKey) -> str:
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, SHA256())
    return made.public_bytes(Encoding.PEM).decode()


def _of(certificate: str, key: ec.EllipticCurvePrivateKey) -> bool:
    try:
        return x509.load_pem_x509_certificate(certificate.encode()).public_key() == key.public_key()
    except UNREADABLE:
        return False

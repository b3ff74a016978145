"""What a process has at one time: its certificate and the roots, as read from its files, and TLS contexts of them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from enfilade.clock import Clock, SystemClock
from enfilade.identity.workload.files import BUNDLE, file_of
from enfilade.identity.workload.peer import UNREADABLE, PeerRefused, verify_peer

_TRIES: Final = 3
_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, for which `ssl` has no name."""


class Held:
    """Raises PeerRefused where the files cannot be used: they are missing, broken, open to anybody, or over."""

    def __init__(self, domain: str, process: str, folder: Path, clock: Clock) -> None:
        self._path, self._roots = file_of(folder, process), folder / BUNDLE
        self.late = False
        """Whether it was said that it is not renewed."""
        self._moved = not isinstance(clock, SystemClock)
        for tries in range(1, _TRIES + 1):
            try:
                self.said = self.read()
                if self._path.stat().st_mode & 0o007:
                    raise PeerRefused("anybody may read its key: make it 0600")
                certificate = x509.load_pem_x509_certificate(self.said[0])
                self.own = verify_peer(certificate.public_bytes(Encoding.DER), domain, clock.now())
                self.life = self.own.until - clock.now().timestamp()
                self.client, self.server = (
                    self._context(ssl.PROTOCOL_TLS_CLIENT),
                    self._context(ssl.PROTOCOL_TLS_SERVER),
                )
                self.server.num_tickets = 0  # nobody looks again at the certificate of a session that is resumed
                if self.read() == self.said:  # or the contexts may have something of both
                    return
            except (OSError, *UNREADABLE) as error:
                if tries == _TRIES:
                    raise PeerRefused(str(error)) from error
        raise PeerRefused("its files are exchanged all the time")

    def read(self) -> tuple[bytes, bytes]:
        """The files as they are now."""
        return self._path.read_bytes(), self._roots.read_bytes()

    def _context(self, side: int) -> ssl.SSLContext:
        """TLS 1.3, a certificate asked of the peer, and these roots alone."""
        made = ssl.SSLContext(side)
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        made.verify_mode = ssl.CERT_REQUIRED
        made.verify_flags |= ssl.VERIFY_X509_STRICT
        if self._moved:  # OpenSSL knows the machine's time only; `verify_peer` asks the clock
            made.verify_flags |= _NO_CHECK_TIME
        made.load_verify_locations(cadata=self.said[1].decode())
        made.load_cert_chain(self._path, password="")  # or OpenSSL would ask the terminal for one
        return made

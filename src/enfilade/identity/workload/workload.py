"""One process: what it shows of itself, and whom it lets in."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from enfilade.clock import Clock
from enfilade.errors import Finding, Forbidden, StartError, Unauthenticated
from enfilade.identity.workload.files import file_of
from enfilade.identity.workload.held import Held
from enfilade.identity.workload.peer import Peer, PeerRefused, host_of, verify_peer
from enfilade.identity.workload.spiffe import OUTSIDE

log = logging.getLogger("enfilade.identity")

LOOK: Final = 10.0
"""Seconds between two looks at the files."""
_RENEWED: Final = 0.25
"""Part of its certificate's life before whose end a process complains that it has no new one."""


class Workload:
    """A process of the app, known by its certificate, and what it believes of others.

        async with Workload("shop", "front", folder, clock) as me:
            async with listening(served, "0.0.0.0:7443", tls=me), Link(address, tls=me, services=["payments"]) as link:
                ...

    While it is entered it looks at its files every ten seconds and takes what is new. Whoever uses it otherwise asks
    for `peer_of` at both ends of each connection, before anything else, and lets each call in by `admit`.
    """

    def __init__(self, domain: str, process: str, folder: Path, clock: Clock) -> None:
        """Raises StartError where the process has no good certificate in the folder."""
        self.domain = domain
        self.process = process
        self._folder = folder
        self._clock = clock
        self._held = self._first()
        self.server = self._held.server
        """For whatever listens. It stays the same: each handshake shows and believes what is good at that time."""
        self.server.sni_callback = self._show

    @property
    def own(self) -> Peer:
        """What its own certificate says."""
        return self._held.own

    @property
    def client(self) -> ssl.SSLContext:
        """For the next connection to another process; ask for it each time."""
        return self._held.client

    def host(self, service: str) -> str:
        """The `server_hostname` to connect with: TLS fails where the other end does not hold that service."""
        return host_of(service, self.domain)

    def peer_of(self, ssl_object: ssl.SSLObject | ssl.SSLSocket | None) -> Peer:
        """Who is at the other end (`transport.get_extra_info("ssl_object")`). Raises PeerRefused: then close it."""
        now = self._clock.now()
        shown = ssl_object.getpeercert(binary_form=True) if ssl_object is not None else None
        peer = verify_peer(shown, self.domain, now)
        return msgspec.structs.replace(peer, leave=(now.timestamp() + min(peer.until, self.own.until)) / 2)

    def admit(self, peer: Peer, caller: str, callee: str) -> None:
        """Let one call in, of the service `caller` to `callee`, which is served here; `""` calls from outside.

        A peer speaks for the services that it holds, and passes on what was asked of them: a process that holds the
        callee, too, may hand over its calls. Raises Unauthenticated where its certificate is over, Forbidden where it
        does not hold the caller. Whether that one has declared the call is asked by whoever serves it.
        """
        if self._clock.now().timestamp() >= peer.until:
            raise Unauthenticated(detail=f"The certificate of {peer.id} is over: connect again.")
        if (caller or OUTSIDE) not in peer.services and callee not in peer.services:
            who = f"does not hold {caller!r}" if caller else "does not pass on what comes from outside"
            raise Forbidden(detail=f"{peer.id} {who}.")

    def refresh(self) -> bool:
        """Take what is new in the files, now; whether there was anything. Where it cannot be used that is logged, and
        the certificate that there is stays."""
        try:
            if self._held.read() == self._held.said:
                return False
            self._held = self._read()
        except (OSError, PeerRefused) as error:
            log.warning("the new certificate of %s cannot be used: %s", self.process, error)
            return False
        return True

    async def __aenter__(self) -> Self:
        self._timer = self._clock.later(LOOK, self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        self._timer = self._clock.later(LOOK, self._look)
        self.refresh()
        left = self.own.until - self._clock.now().timestamp()
        if left < self._held.life * _RENEWED and not self._held.late:
            self._held.late = True
            log.warning("the certificate of %s was not renewed: it is good for %d s", self.process, left)

    def _show(self, handshake: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        handshake.context = self._held.server

    def _first(self) -> Held:
        try:
            return self._read()
        except PeerRefused as error:
            where = str(file_of(self._folder, self.process))
            remedy = "The app's supervisor writes certificates: see that it runs, and that its plan has this process."
            what = f"the certificate of {self.process} cannot be used: {error}"
            raise StartError([Finding(where, what, remedy, "certificate")]) from error

    def _read(self) -> Held:
        return Held(self.domain, self.process, self._folder, self._clock)

"""Who is at the other end of a TLS connection: the rules for its certificate (X.509-SVID, sections 2 to 5).

TLS itself has seen to it that a root of our own trust domain signed it and that the peer has its key. What is left is
what makes it a certificate of one workload, and not of somebody who may sign.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from enfilade.identity.workload.spiffe import SpiffeId

E = TypeVar("E", bound=x509.ExtensionType)

_BOTH: Final = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


UNREADABLE: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises over bytes that are no certificate or request."""


class PeerRefused(Exception):
    """Why a peer is not believed: for our log. Close the connection."""


class Peer(msgspec.Struct, frozen=True):
    """A process that has shown who it is."""

    id: SpiffeId
    services: frozenset[str]
    """The services that it holds, and may serve and speak for."""
    until: float
    """When its certificate ends, in seconds since 1970: no call after that, however long the connection stays."""
    leave: float = 0.0
    """When to use another connection, in seconds since 1970: half of the time that both certificates have left."""


def host_of(service: str, domain: str) -> str:
    """The name that a service has in certificates, to connect to it by: `orders.shop`."""
    return f"{service}.{domain}"


def verify_peer(certificate: bytes | None, domain: str, now: datetime) -> Peer:
    """Who a certificate (DER) names. Raises PeerRefused."""
    if not certificate:
        raise PeerRefused("it shows no certificate")
    try:
        read = x509.load_der_x509_certificate(certificate)
        extensions = read.extensions
    except UNREADABLE as error:
        raise PeerRefused(f"its certificate cannot be read: {error}") from error
    _leaf(extensions)
    names = _of(extensions, x509.SubjectAlternativeName)
    id = _id(names.get_values_for_type(x509.UniformResourceIdentifier), domain)
    if not read.not_valid_before_utc <= now < read.not_valid_after_utc:
        raise PeerRefused(f"the certificate of {id} is good until {read.not_valid_after_utc}, and not now")
    services = _services(names.get_values_for_type(x509.DNSName), domain)
    return Peer(id, services, read.not_valid_after_utc.timestamp())


def _leaf(extensions: x509.Extensions) -> None:
    if _of(extensions, x509.BasicConstraints).ca:
        raise PeerRefused("its certificate is that of an authority")
    usage = _of(extensions, x509.KeyUsage)
    if not usage.digital_signature or usage.key_cert_sign or usage.crl_sign:
        raise PeerRefused("the key of its certificate is not there for signatures alone")
    if not set(_BOTH) <= set(_of(extensions, x509.ExtendedKeyUsage)):
        raise PeerRefused("its certificate is not for both ends of a connection")


def _id(said: list[str], domain: str) -> SpiffeId:
    if len(said) != 1:
        raise PeerRefused(f"its certificate has {len(said)} ids, not one")
    try:
        id = SpiffeId.parse(said[0])
    except ValueError as error:
        raise PeerRefused(str(error)) from error
    if id.domain != domain:
        raise PeerRefused(f"{id} is of another trust domain than {domain}")
    if not id.path:
        raise PeerRefused(f"{id} names a trust domain and no workload")
    return id


def _services(hosts: list[str], domain: str) -> frozenset[str]:
    strange = [one for one in hosts if not one.endswith(f".{domain}") or "*" in one]
    if strange:
        raise PeerRefused(f"its certificate is for {strange[0]!r}, which is no service of {domain}")
    return frozenset(one.removesuffix(f".{domain}") for one in hosts)


def _of(extensions: x509.Extensions, kind: type[E]) -> E:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        raise PeerRefused(f"its certificate has no {kind.__name__}") from None

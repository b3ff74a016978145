"""One root of an authority: its key, its certificate, and the certificates that it signs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, cast

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from enfilade.identity.workload.peer import host_of
from enfilade.identity.workload.spiffe import SpiffeId

SKEW: Final = timedelta(seconds=60)
"""How far the clocks of two hosts may be apart."""
ROOT_LIFE: Final = timedelta(days=90)


class Kept(msgspec.Struct, frozen=True):
    """What is stored of a root."""

    key: str
    certificate: str
    signs: float
    """From when on it signs, in seconds since 1970: before that it is only made known."""


class Root:
    """A key that signs for one trust domain."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.certificate = x509.load_pem_x509_certificate(kept.certificate.encode())
        self._key = cast("ec.EllipticCurvePrivateKey", load_pem_private_key(kept.key.encode(), None))

    @classmethod
    def new(cls, domain: str, now: datetime, signs: datetime) -> Root:
        """A root that is good from now and signs from a later time."""
        key = new_key()
        serial = x509.random_serial_number()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{domain[:40]} {serial % 2**32:08x}")])
        made = (
            _builder(name, key.public_key(), key.public_key(), serial)
            .subject_name(name)
            .not_valid_before(now - SKEW)
            .not_valid_after(now + ROOT_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(SpiffeId(domain)))]), critical=False
            )
            .sign(key, SHA256())
        )
        return cls(Kept(key_pem(key).decode(), made.public_bytes(Encoding.PEM).decode(), signs.timestamp()))

    def sign(
        self, public: ec.EllipticCurvePublicKey, id: SpiffeId, services: frozenset[str], now: datetime, until: datetime
    ) -> bytes:
        """A certificate (PEM) for a workload: one id, and the services that it holds as names of hosts."""
        hosts = [x509.DNSName(host_of(one, id.domain)) for one in sorted(services)]
        made = (
            _builder(self.certificate.subject, public, self._key.public_key(), x509.random_serial_number())
            .subject_name(x509.Name([]))
            .not_valid_before(max(now - SKEW, self.certificate.not_valid_before_utc))
            .not_valid_after(min(until, self.certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            # Critical, because there is no subject (RFC 5280, 4.2.1.6).
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(id)), *hosts]), critical=True
            )
            .sign(self._key, SHA256())
        )
        return made.public_bytes(Encoding.PEM)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PKCS#8, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _builder(
    issuer: x509.Name, public: ec.EllipticCurvePublicKey, signer: ec.EllipticCurvePublicKey, serial: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(serial)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip

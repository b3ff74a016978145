"""The authority: what it keeps, what it signs, and when it writes."""

from __future__ import annotations

import stat
from base64 import encodebytes
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from enfilade.clock import VirtualClock
from enfilade.errors import StartError
from enfilade.identity.workload import Authority, PeerRefused, verify_peer
from enfilade.identity.workload.authority import FILE
from enfilade.identity.workload.root import new_key

SECRET = b"a secret of thirty-two characters"


def request(key: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "payments")])
    return x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, SHA256()).public_bytes(Encoding.PEM)


def roots(bundle: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(bundle)


def test_a_process_of_one_service_has_its_id_and_one_of_several_has_its_own(town: Any) -> None:
    found = [str(town.workload(process).own.id) for process in ("payments", "front", "edge")]

    assert found == ["spiffe://shop/service/payments", "spiffe://shop/process/front", "spiffe://shop/process/edge"]


def test_a_certificate_is_of_p_256_and_good_for_an_hour(town: Any) -> None:
    certificate = x509.load_pem_x509_certificate(town.authority.issue("front", ["orders"]))

    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert certificate.not_valid_after_utc == town.clock.now() + timedelta(hours=1)


def test_only_this_user_may_read_what_is_written(town: Any) -> None:
    written = [*town.folder.iterdir(), town.folder.parent / FILE]

    assert {stat.S_IMODE(one.stat().st_mode) for one in written} == {0o600}
    assert stat.S_IMODE(town.folder.stat().st_mode) == 0o700
    assert sorted(one.name for one in written) == [FILE, "edge.pem", "front.pem", "payments.pem", "roots.crt"]


def test_the_authoritys_key_is_sealed_at_rest(town: Any, tmp_path: Path) -> None:
    data = (tmp_path / FILE).read_bytes()

    assert b"PRIVATE" not in data
    assert b"CERTIFICATE" not in data


def test_an_authority_is_the_same_after_a_restart(town: Any, clock: VirtualClock, tmp_path: Path) -> None:
    again = Authority("shop", SECRET, tmp_path, clock)

    assert again.bundle == town.authority.bundle


@pytest.mark.parametrize(
    ("domain", "secret", "left"),
    [
        ("shop", b"another secret than it was before", 9999),
        ("bank", SECRET, 9999),
        ("shop", SECRET, -1),
        ("shop", SECRET, 0),
    ],
)
def test_an_authority_that_cannot_be_opened_says_what_to_do(
    town: Any, clock: VirtualClock, tmp_path: Path, domain: str, secret: bytes, left: int
) -> None:
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:left])

    with pytest.raises(StartError, match="Start with the secret that it was made with") as refused:
        Authority(domain, secret, tmp_path, clock)

    assert refused.value.findings[0].where == str(tmp_path / FILE)


def test_a_folder_that_cannot_be_written_is_said_at_once(clock: VirtualClock, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StartError, match="a directory that this user can read and write"):
        Authority("shop", SECRET, tmp_path / "file", clock)


@pytest.mark.parametrize("domain", ["", "My Shop", "shop/orders"])
def test_a_trust_domain_is_one(clock: VirtualClock, tmp_path: Path, domain: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        Authority(domain, SECRET, tmp_path, clock)


@pytest.mark.parametrize("process", ["", "../front", "front desk"])
def test_a_process_has_a_name_that_can_be_one(town: Any, process: str) -> None:
    with pytest.raises(ValueError, match="is no SPIFFE id"):
        town.authority.issue(process, ["orders"])


def test_a_key_that_stays_where_it_is_gets_a_certificate(town: Any) -> None:
    key = new_key()

    signed = x509.load_pem_x509_certificate(town.authority.sign(request(key), "payments", ["payments"]))

    assert signed.public_key() == key.public_key()
    signed.verify_directly_issued_by(roots(town.authority.bundle)[0])
    peer = verify_peer(signed.public_bytes(Encoding.DER), "shop", town.clock.now())
    assert str(peer.id) == "spiffe://shop/service/payments"


def test_a_request_must_prove_that_it_has_a_p_256_key(town: Any) -> None:
    right = x509.load_pem_x509_csr(request(new_key())).public_bytes(Encoding.DER)
    spoiled = x509.load_der_x509_csr(right[:-1] + bytes([right[-1] ^ 1])).public_bytes(Encoding.PEM)
    wrong = [
        b"", b"nothing", request(rsa.generate_private_key(65537, 2048)),
        request(ec.generate_private_key(ec.SECP384R1())), spoiled,
    ]  # fmt: skip

    for one in wrong:
        with pytest.raises(PeerRefused):
            town.authority.sign(one, "payments", ["payments"])


@pytest.mark.filterwarnings("ignore::UserWarning")  # of cryptography, about what it reads
def test_a_spoiled_request_is_refused_and_nothing_else_goes_wrong(town: Any) -> None:
    key = new_key()
    whole, chance = x509.load_pem_x509_csr(request(key)).public_bytes(Encoding.DER), Random(1)

    for _ in range(500):
        spoiled = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            spoiled[chance.randrange(len(spoiled))] ^= chance.randint(1, 255)
        with pytest.raises(PeerRefused):
            pem = b"-----BEGIN CERTIFICATE REQUEST-----\n%b-----END CERTIFICATE REQUEST-----\n"
            town.authority.sign(pem % encodebytes(bytes(spoiled)), "payments", ["payments"])


async def test_a_certificate_is_renewed_at_half_its_time(town: Any, clock: VirtualClock) -> None:
    assert town.write() == []
    await clock.advance(timedelta(minutes=29))
    assert town.write() == []
    await clock.advance(timedelta(minutes=1))

    assert town.write() == ["front", "payments", "edge"]
    assert town.write() == []


def test_a_process_whose_services_change_gets_another_certificate(town: Any) -> None:
    due = town.authority.renew(town.folder, {"front": ("orders",), "payments": ("payments",), "stock": ("stock",)})

    assert due == ["front", "stock"]
    assert str(town.workload("front").own.id) == "spiffe://shop/service/orders"


def test_what_is_broken_or_of_another_authority_is_written_anew(town: Any, clock: VirtualClock, tmp_path: Path) -> None:
    (town.folder / "front.pem").write_text("spoiled")
    assert town.write() == ["front"]
    (tmp_path / FILE).unlink()
    town.authority = Authority("shop", SECRET, tmp_path, clock)

    assert town.write() == ["front", "payments", "edge"]
    assert town.workload("front").own.services == {"orders", "catalog"}


async def test_a_new_root_is_known_a_life_before_it_signs_and_the_old_one_till_nothing_of_it_is_left(
    town: Any, clock: VirtualClock, tmp_path: Path
) -> None:
    def signer() -> x509.Name:
        return x509.load_pem_x509_certificate(town.authority.issue("front", ["orders"])).issuer

    (old,) = roots(town.authority.bundle)
    town.authority.rotate()
    town.authority.rotate()  # while it is under way nothing more happens
    _, new = roots(town.authority.bundle)
    steps: list[tuple[int, bool]] = []
    for minutes in (0, 59, 1, 60, 2):
        await clock.advance(timedelta(minutes=minutes))
        town.authority = Authority("shop", SECRET, tmp_path, clock)  # a restart changes nothing
        steps.append((len(roots(town.authority.bundle)), signer() == new.subject))

    assert signer() == new.subject
    assert old.subject != new.subject
    assert steps == [(2, False), (2, False), (2, True), (2, True), (1, True)]


async def test_a_root_is_exchanged_in_time_without_being_asked(town: Any, clock: VirtualClock) -> None:
    first = town.authority.bundle
    sizes: list[int] = []
    for _ in range(46 * 24):
        await clock.advance(timedelta(hours=1))
        town.authority.renew(town.folder, {})
        sizes.append(len(roots(town.authority.bundle)))

    assert sizes.count(2) in (2, 3)
    assert first not in town.authority.bundle


async def test_an_authority_that_was_off_for_a_year_starts_with_a_new_root(
    town: Any, clock: VirtualClock, tmp_path: Path
) -> None:
    first = town.authority.bundle
    await clock.advance(timedelta(days=365))
    town.authority = Authority("shop", SECRET, tmp_path, clock)

    assert town.write() == ["front", "payments", "edge"]
    assert len(roots(town.authority.bundle)) == 1
    assert town.authority.bundle != first
    assert town.workload("front").own.services == {"orders", "catalog"}

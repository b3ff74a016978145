"""The rules for a certificate of a workload, and for its name."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from enfilade.identity.workload import Peer, PeerRefused, SpiffeId, domain_of, verify_peer


def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def test_a_right_certificate_names_a_process_and_its_services(town: Any, forge: Any) -> None:
    now = town.clock.now()

    peer = verify_peer(der(forge(hosts=["orders.shop", "catalog.shop"])), "shop", now)

    services = frozenset(("orders", "catalog"))
    assert peer == Peer(SpiffeId("shop", "/process/front"), services, now.timestamp() + 3600)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"uris": ["spiffe://shop/process/front", "spiffe://shop/service/payments"]}, "2 ids"),
        ({"uris": ["spiffe://shop/process/front"] * 2}, "2 ids"),
        ({"uris": []}, "0 ids"),
        ({"uris": ["spiffe://bank/process/front"]}, "another trust domain"),
        ({"uris": ["spiffe://shop"]}, "no workload"),
        ({"uris": ["https://shop/process/front"]}, "no SPIFFE id"),
        ({"hosts": ["orders.bank"]}, "no service of shop"),
        ({"hosts": ["*.shop"]}, "no service of shop"),
        ({"ca": True}, "of an authority"),
        ({"signs": True}, "signatures alone"),
        ({"names": False}, "SubjectAlternativeName"),
        ({"purposes": [ExtendedKeyUsageOID.CLIENT_AUTH]}, "both ends"),
    ],
)
def test_a_certificate_is_refused(town: Any, forge: Any, wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(PeerRefused, match=why):
        verify_peer(der(forge(**wrong)), "shop", town.clock.now())


@pytest.mark.parametrize("moved", [timedelta(hours=1), timedelta(seconds=-1)])
def test_a_certificate_is_good_for_its_time_alone(town: Any, forge: Any, moved: timedelta) -> None:
    with pytest.raises(PeerRefused, match="good until"):
        verify_peer(der(forge()), "shop", town.clock.now() + moved)


@pytest.mark.parametrize("junk", [None, b"", b"\x30", b"no certificate", b"\x30\x82\xff\xff" + b"\0" * 1000])
def test_what_is_no_certificate_is_refused(town: Any, junk: bytes | None) -> None:
    with pytest.raises(PeerRefused):
        verify_peer(junk, "shop", town.clock.now())


@pytest.mark.parametrize("cut", range(0, 600, 13))
def test_half_a_certificate_is_refused(town: Any, forge: Any, cut: int) -> None:
    whole = der(forge())

    with pytest.raises(PeerRefused):
        verify_peer(whole[: min(cut, len(whole) - 1)], "shop", town.clock.now())


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_spoiled_certificate_is_refused_and_nothing_else_goes_wrong(town: Any, forge: Any) -> None:
    whole, chance = der(forge()), Random(1)

    for _ in range(1000):
        spoiled = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
        with suppress(PeerRefused):  # or it is spoiled where TLS looks: at key and signature
            verify_peer(bytes(spoiled), "shop", town.clock.now())


def test_an_id_is_read_as_it_is_written() -> None:
    id = SpiffeId.parse("spiffe://shop.example/service/orders")

    assert id == SpiffeId("shop.example", "/service/orders")
    assert str(id) == "spiffe://shop.example/service/orders"


@pytest.mark.parametrize(
    "text",
    [
        "", "spiffe://", "spiffe:///orders", "spiffe://shop/", "spiffe://shop//orders", "spiffe://shop/orders/",
        "spiffe://shop/./orders", "spiffe://shop/../bank", "SPIFFE://shop/orders", "spiffe://Shop/orders",
        "spiffe://shop:443/orders", "spiffe://me@shop/orders", "spiffe://shop/orders?a", "spiffe://shop/orders#a",
        "spiffe://shop/%6frders", "spiffe://shop/ördérs", "spiffe://shop/orders\n", "https://shop/orders",
        f"spiffe://{'a' * 256}/orders", f"spiffe://shop/{'a' * 2048}",
    ],
)  # fmt: skip
def test_what_is_no_spiffe_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        SpiffeId.parse(text)


@pytest.mark.parametrize(
    ("app", "domain"), [("shop", "shop"), ("My Shop", "my-shop"), ("shop_2.eu", "shop_2.eu"), ("Ö", "app")]
)
def test_an_apps_name_makes_a_trust_domain(app: str, domain: str) -> None:
    assert domain_of(app) == domain
    assert SpiffeId(domain).domain == domain

"""Where a client may go, as an operator says it."""

from __future__ import annotations

import httpx2
import pytest

from enfilade.outbound import Blocked, Reach
from enfilade.outbound.addresses import read_address


def admits(reach: Reach, host: str, address: str, port: int = 443) -> bool:
    return reach.admits(host, read_address(address), port)


def test_without_a_word_only_public_addresses_and_the_ports_of_the_web_are_open() -> None:
    reach = Reach()

    assert admits(reach, "a.example", "93.184.216.34", 443)
    assert admits(reach, "a.example", "93.184.216.34", 80)
    assert not admits(reach, "a.example", "93.184.216.34", 25)
    assert not admits(reach, "a.example", "10.0.0.1")
    assert not admits(reach, "localhost", "127.0.0.1")


def test_a_name_opens_that_host_on_all_ports_or_on_one() -> None:
    assert admits(Reach(["psp.internal"]), "psp.internal", "10.0.0.1", 9000)
    assert admits(Reach(["PSP.internal.:9000"]), "psp.internal", "10.0.0.1", 9000)
    assert admits(Reach(["psp.example:8443"]), "psp.example", "93.184.216.34", 8443)
    assert not admits(Reach(["psp.internal:9000"]), "psp.internal", "10.0.0.1", 9001)
    assert not admits(Reach(["psp.internal"]), "other.internal", "10.0.0.1")
    assert not admits(Reach(["internal"]), "psp.internal", "10.0.0.1")


def test_a_name_never_opens_where_clouds_keep_credentials() -> None:
    for address in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "0.0.0.0", "224.0.0.1"):
        assert not admits(Reach(["psp.internal"]), "psp.internal", address)
        assert admits(Reach([address]), "psp.internal", address)


@pytest.mark.parametrize(
    ("entry", "open", "shut"),
    [
        ("127.0.0.1:9000", ("127.0.0.1", 9000), ("127.0.0.1", 9001)),
        ("10.2.0.0/16", ("10.2.3.4", 1), ("10.3.0.1", 1)),
        ("10.2.0.0/16:443", ("10.2.3.4", 443), ("10.2.3.4", 80)),
        ("::1", ("::1", 80), ("::2", 80)),
        ("[::1]:9000", ("::1", 9000), ("::1", 80)),
        ("fd12::/16", ("fd12::1", 80), ("fd13::1", 80)),
        ("127.0.0.1", ("::ffff:127.0.0.1", 80), ("127.0.0.2", 80)),
    ],
)
def test_an_address_or_a_network_is_open_under_any_name(
    entry: str, open: tuple[str, int], shut: tuple[str, int]
) -> None:
    assert admits(Reach([entry]), "whatever.example", *open)
    assert not admits(Reach([entry]), "whatever.example", *shut)


@pytest.mark.parametrize(
    "entry",
    ["", " ", "http://psp.internal", "psp.internal:", "psp.internal:http", "psp:0", "psp:65536", "10.0.0.1/8", "*",
     "a b", "user@psp.internal", "psp.internal/v1", ":9000", "psp:²"],
)  # fmt: skip
def test_an_entry_that_is_none_is_refused(entry: str) -> None:
    with pytest.raises(ValueError):
        Reach([entry])


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://psp.internal:9000/v1", "psp.internal", 9000),
        ("https://psp.internal/v1", "psp.internal", 443),
        ("http://[fd12::5]:81/", "fd12::5", 81),
    ],
)
def test_what_an_operator_wrote_down_is_open_and_nothing_beside_it(url: str, host: str, port: int) -> None:
    reach = Reach.to(url)

    assert admits(reach, host, "fd12::5" if ":" in host else "10.0.0.1", port)
    assert not admits(reach, host, "fd12::5" if ":" in host else "10.0.0.1", port + 1)
    assert not admits(reach, "other.internal", "10.0.0.1", port)


def test_what_an_operator_wrote_down_must_be_an_address() -> None:
    for url in ("psp.internal/v1", "urn:enfilade:development", "", "https://[psp/", "https://user@psp.internal/"):
        with pytest.raises(ValueError, match="cannot be asked"):
            Reach.to(url)


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example/", "file:///etc/passwd", "gopher://a.example/", "//a.example/", "a.example", "", "http:///x",
     "http://user@a.example/", "http://user:word@a.example/", "http://a%00.example/", "http://[fe80::1%25eth0]/"],
)  # fmt: skip
def test_an_address_that_no_network_makes_good_is_blocked(url: str) -> None:
    with pytest.raises(Blocked):
        Reach(["a.example"]).check(httpx2.URL(url))

"""Whose an address is."""

from __future__ import annotations

import pytest

from enfilade.outbound.addresses import kind, read_address

PUBLIC = "8.8.8.8 93.184.216.34 1.1.1.1 223.255.255.254 2606:4700::1111 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::808:808"
PRIVATE = """
    127.0.0.1 127.255.255.254 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.127.255.255 ::1 fc00::1
    fd12::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1
"""
CLOSED = """
    0.0.0.0 0.1.2.3 169.254.169.254 169.254.170.2 192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
    239.255.255.250 240.0.0.1 255.255.255.255 100.100.100.200 168.63.129.16 192.88.99.1
    :: ::7f00:1 fe80::1 fec0::1 ff02::1 2001:db8::1 2001::1 2002:7f00:1::1 64:ff9b:1::1 100::1 5f00::1 4000::1
    fd00:ec2::254 fd20:ce::254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe ::ffff:0:127.0.0.1
"""


@pytest.mark.parametrize(
    ("text", "whose"),
    [
        (text, whose)
        for whose, all in (("public", PUBLIC), ("private", PRIVATE), ("closed", CLOSED))
        for text in all.split()
    ],
)
def test_an_address_is_anybodys_somebodys_or_nobodys(text: str, whose: str) -> None:
    assert kind(read_address(text)) == whose

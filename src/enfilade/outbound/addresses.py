"""Which network addresses are the public's (IANA's registries of special addresses, RFC 6890).

public   anybody's
private  of this machine, this house or this cluster: for who is named
closed   nobody's, everybody's at once, or where clouds keep a machine's credentials: only for who is named by number
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Kind: TypeAlias = Literal["public", "private", "closed"]


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


_METADATA: Final = _networks(
    "100.100.100.200/32",  # Alibaba
    "168.63.129.16/32",  # Azure, an address that is public by number
    "fd00:ec2::/32",  # AWS
    "fd20:ce::/32",  # Google
)
"""Where clouds keep a machine's credentials, besides 169.254/16."""
_PRIVATE: Final = _networks(
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7",
)  # fmt: skip
_CLOSED: Final = _networks(
    "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)  # fmt: skip
_PUBLIC6: Final = IPv6Network("2000::/3")
"""The whole of what is given out; the rest is special or nobody's."""
_NAT64: Final = IPv6Network("64:ff9b::/96")


def read_address(text: str) -> Address:
    """An address, and where it only carries an IPv4 one (mapped, or translated by NAT64) the one it carries.

    Raises ValueError."""
    found = ip_address(text)
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return found.ipv4_mapped
        if found in _NAT64:
            return IPv4Address(int(found) & 0xFFFFFFFF)
    return found


def kind(address: Address) -> Kind:
    """Whose an address is."""
    if _within(address, _METADATA):
        return "closed"
    if _within(address, _PRIVATE):
        return "private"
    if _within(address, _CLOSED) or (isinstance(address, IPv6Address) and address not in _PUBLIC6):
        return "closed"
    return "public"


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)

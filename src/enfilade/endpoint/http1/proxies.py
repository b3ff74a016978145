"""Whom to believe about the client's address: `X-Forwarded-For` and `X-Forwarded-Proto` of proxies that are named."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, Protocol

CLIENT: Final = b"enfilade-edge-client"
"""Says who asks, as the edge knows it; nobody outside may say it. `X-Forwarded-For` has no loopback addresses."""


class Forwarded(Protocol):
    """Knows who asks by a proxy."""

    def client(self, address: str, scheme: str, fields: dict[bytes, bytes]) -> tuple[str, str]:
        """The address and the scheme that the client came with, of a connection that has these."""
        ...


class OurEdge:
    """Whoever reaches the listener is our own edge: what it says holds."""

    def client(self, address: str, scheme: str, fields: dict[bytes, bytes]) -> tuple[str, str]:
        """What the edge says, or what is known without it."""
        if (said := fields.get(b"x-forwarded-proto", b"")) in (b"http", b"https"):
            scheme = said.decode()
        return fields.get(CLIENT, b"").decode("latin-1") or address, scheme


class Proxies:
    """Addresses and networks of proxies, such as `127.0.0.1, 10.0.0.0/8`; `*` is every address.

    Raises ValueError where one of them is neither.
    """

    def __init__(self, said: str) -> None:
        names = [name.strip() for name in said.split(",") if name.strip()]
        self._all = "*" in names
        self._networks = tuple(ip_network(name, strict=False) for name in names if name != "*")

    def client(self, address: str, scheme: str, fields: dict[bytes, bytes]) -> tuple[str, str]:
        """The address and the scheme that the client came with; those of the connection where nobody can tell."""
        if not self._trusts(address):
            return address, scheme
        said = fields.get(b"x-forwarded-proto", b"").strip().lower()
        if said in (b"http", b"https"):
            scheme = said.decode()
        # Each proxy adds whom it was asked by: the last one that is no proxy of ours is the client.
        for hop in reversed(fields.get(b"x-forwarded-for", b"").decode("latin-1").split(",")):
            found = _address(hop)
            if found is None:
                break
            address = str(found)
            if not self._trusts(address):
                break
        return address, scheme

    def _trusts(self, address: str) -> bool:
        if self._all:
            return True
        found = _address(address)
        return found is not None and any(found in network for network in self._networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address in one entry, which may have a port: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`."""
    return _read(text.strip()) if len(text) < 64 else None


@lru_cache(maxsize=1024)
def _read(text: str) -> IPv4Address | IPv6Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return ip_address(text)
    except ValueError:
        return None

"""Where a client may go: anywhere that is public, and where it is allowed to by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Final, NamedTuple

import httpx2

from enfilade.outbound.addresses import Address, Network, kind, read_address

PORTS: Final = (80, 443)

_HOST: Final = re.compile(r"[A-Za-z0-9._:-]{1,255}")
"""A name, in IDNA's letters where it has others, or an address."""


class Blocked(Exception):
    """The address may not be asked from here: nothing was sent."""


class _Rule(NamedTuple):
    host: str
    network: Network | None
    port: int
    """0 means any."""


class Reach:
    """Where a client may go.

        Reach(["psp.internal", "10.2.0.0/16", "127.0.0.1:9000"])

    Without a word: `http` and `https` to public addresses, ports 80 and 443. An entry of `allow` opens a host by its
    name, an address or a network, each with or without a port. A name opens what is private, and never what is closed
    (see `addresses.py`): who rules over a name shall not choose the machine's own credentials for us to fetch.
    """

    def __init__(self, allow: Iterable[str] = (), ports: Iterable[int] = PORTS) -> None:
        """Raises ValueError for an entry that is none."""
        self._rules = tuple(_rule(entry) for entry in allow)
        self._ports = frozenset(ports)

    @classmethod
    def to(cls, *urls: str) -> Reach:
        """What an operator wrote down, and whatever is public. Raises ValueError for what is no address."""
        return cls([_entry(url) for url in urls])

    def check(self, url: httpx2.URL) -> None:
        """Raises Blocked for an address that no network can make good."""
        if url.scheme not in ("http", "https"):
            raise Blocked(f"{url.scheme or 'no scheme'} is not spoken here: only http and https are")
        if not _HOST.fullmatch(url.host):
            raise Blocked("the address names no host, or one that cannot be")
        if url.userinfo:
            raise Blocked(f"the address of {url.host} has a user in it: send credentials in a field")

    def admits(self, host: str, address: Address, port: int) -> bool:
        """Whether a connection for `host` may be made to this address."""
        whose = kind(address)
        if whose == "public" and port in self._ports:
            return True
        return any(
            rule.port in (0, port)
            and (address in rule.network if rule.network is not None else rule.host == host and whose != "closed")
            for rule in self._rules
        )


def bare(host: str) -> str:
    """A host's name as it is compared: in lower case, without the root's dot and an address's brackets."""
    return host.lower().strip("[]").removesuffix(".")


def _entry(address: str) -> str:
    try:
        url = httpx2.URL(address)
        Reach().check(url)
    except (httpx2.InvalidURL, Blocked) as wrong:
        raise ValueError(f"{address.rpartition('@')[2]!r} cannot be asked: {wrong}") from wrong
    host = f"[{bare(url.host)}]" if ":" in url.host else url.host
    return f"{host}:{url.port or (443 if url.scheme == 'https' else 80)}"


def _rule(entry: str) -> _Rule:
    """`host`, `host:port`, `10.0.0.0/8`, `127.0.0.1:9000`, `::1` or `[::1]:9000`."""
    text, port = entry, 0
    head, colon, tail = entry.rpartition(":")
    if colon and (":" not in head or head.endswith("]")):
        if not (tail.isascii() and tail.isdecimal() and 0 < int(tail) < 65536):
            raise ValueError(f"{entry!r} has no port behind its colon")
        text, port = head, int(tail)
    text = bare(text)
    if not text or any(one in text for one in " @?#*") or "//" in text:
        raise ValueError(f"{entry!r} is no host, address or network, such as psp.internal:8443 or 10.2.0.0/16")
    try:
        return _Rule("", ip_network(read_address(text) if "/" not in text else text), port)
    except ValueError:
        if "/" in text:
            raise
        return _Rule(text, None, port)

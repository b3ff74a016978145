"""Where the provider is asked: which address is for what, by which methods."""

from __future__ import annotations

from typing import NamedTuple


class Address(NamedTuple):
    """One address."""

    path: str
    name: str
    """What is answered there."""
    methods: tuple[str, ...]
    shared: bool = False
    """Whether pages of other origins may ask, and so ask by `OPTIONS` before."""


def addresses(path: str) -> tuple[Address, ...]:
    """All addresses of a provider whose own begin with `path`, such as `/id`."""
    read, write, page = ("GET", "HEAD"), ("POST",), ("GET", "POST")
    return (
        # OpenID puts it behind the issuer's path, RFC 8414 before it.
        Address(f"{path}/.well-known/openid-configuration", "metadata", read, shared=True),
        Address(f"/.well-known/oauth-authorization-server{path}", "metadata", read, shared=True),
        Address(f"{path}/jwks.json", "keys", read, shared=True),
        Address(f"{path}/userinfo", "userinfo", page, shared=True),
        Address(f"{path}/token", "token", write, shared=True),
        Address(f"{path}/device_authorization", "device_authorization", write, shared=True),
        Address(f"{path}/introspect", "introspect", write),
        Address(f"{path}/revoke", "revoke", write, shared=True),
        Address(f"{path}/register", "register", write, shared=True),
        Address(f"{path}/authorize", "authorize", page),
        Address(f"{path}/device", "device", page),
        Address(f"{path}/logout", "logout", page),
        Address(f"{path}/sign-in", "sign_in", write),
        Address(f"{path}/consent", "consent", write),
    )

"""Clients that the operator keeps with the settings, as the provider knows them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from enfilade.identity.provider.rows import ClientRow
from enfilade.identity.provider.settings import ClientSettings, Grant

CODE: Final = "authorization_code"
REFRESH: Final = "refresh_token"
MACHINE: Final = "client_credentials"
DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
NAMES: Final[dict[Grant, str]] = {
    "code": CODE, "refresh": REFRESH, "machine": MACHINE, "device": DEVICE, "exchange": EXCHANGE,
}  # fmt: skip
"""What the standards call the ways to ask."""


def declared(said: ClientSettings, since: datetime) -> ClientRow:
    """The client, not checked yet; its secret is asked for when it is needed. Raises OSError and UnicodeError."""
    return ClientRow(
        id=said.id, name=said.name or said.id, realm=said.tenant, secret="",
        method="none" if said.public else "private_key_jwt" if said.keys else "client_secret",
        jwks=Path(said.keys).read_text("utf-8") if said.keys else "", redirects=said.redirects, logouts=said.logouts,
        grants=tuple(NAMES[one] for one in said.asks), scopes=said.scopes, resources=said.resources,
        kind="agent" if said.agent else "service", consent=not said.trusted, since=since,
    )  # fmt: skip

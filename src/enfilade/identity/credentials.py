"""What a request came with, for those who know callers by something else than a bearer token."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Final, TypeAlias

from enfilade.call import Call
from enfilade.contract.principal import Principal

_BETWEEN: Final = re.compile("[;,] *")
"""Between two cookies, also where several fields were joined: no value has a comma in it (RFC 6265, 4.1.1)."""


class Credentials:
    """The head of a request, as far as it may say who calls. Nothing of it is in its `repr`."""

    def __init__(self, call: Call) -> None:
        self._fields = call.fields or {}
        self.authorization = call.credentials
        """The `Authorization` field, `""` where there is none."""
        self.method = call.operation.method
        """`POST`, `GET`; a HEAD is a GET here."""
        self.address = call.address
        """Where the request came from."""

    def header(self, name: str) -> str:
        """A field by its name, in whatever case; `""` where there is none."""
        return self._fields.get(name.lower().encode(), b"").decode("latin-1")

    @cached_property
    def cookies(self) -> dict[str, str]:
        """The cookies by their names; of several with one name the first."""
        found: dict[str, str] = {}
        for pair in _BETWEEN.split(self.header("cookie")):
            name, equals, value = pair.partition("=")
            if equals:
                found.setdefault(name.strip(), value.strip().strip('"'))
        return found


Resolver: TypeAlias = Callable[[Credentials], Awaitable[Principal | None]]
"""Another way to know who calls. Answers None where these are none of its credentials; raises Unauthenticated where
they are, and are wrong."""

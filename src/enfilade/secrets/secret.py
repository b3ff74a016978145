"""What a service has in its hands of a secret: its name, and the way to its value."""

from __future__ import annotations

import re
from typing import Final, NoReturn, Protocol

from enfilade.errors import Misuse

_NAME: Final = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")
"""A part of a name; no part starts with a dot, so that none leads out of a folder."""


class Revealed(str):
    """The value of a secret: text like any other in use, `'***'` where something shows its `repr`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Keeper(Protocol):
    """Who has the values."""

    async def reveal(self, name: str) -> Revealed: ...

    async def changed(self, name: str, known: str) -> Revealed: ...


class Secret:
    """A secret by its name, taken as a default of a service's field and bound to the app's sources by injection.

        psp_key: Secret = Secret("payments/psp-key")        # in the service
        await self.psp_key.reveal()                         # where it is used

    A name has parts between slashes; `orders/database#password` is one field of a secret that has several. It is never
    pickled, and shows its name only.
    """

    __slots__ = ("_keeper", "name")

    def __init__(self, name: str, keeper: Keeper | None = None) -> None:
        path, mark, field = name.partition("#")
        if not all(_NAME.fullmatch(part) for part in (*path.split("/"), *([field] if mark else []))):
            raise Misuse(
                f"{name!r} names no secret: write letters, digits and - . _ in parts, such as payments/psp-key"
            )
        self.name = name
        self._keeper = keeper

    def bound(self, keeper: Keeper) -> Secret:
        """The same secret, of an app that runs."""
        return Secret(self.name, keeper)

    async def reveal(self) -> Revealed:
        """The value as it is now. Never keep it longer than its use needs: the next call has it after a rotation.

        Raises Unavailable where its source cannot be reached and has not been before.
        """
        return await self._bound().reveal(self.name)

    async def changed(self, known: str) -> Revealed:
        """Wait until the value is another than the known one: for pools that hold connections made with it."""
        return await self._bound().changed(self.name, known)

    def _bound(self) -> Keeper:
        if self._keeper is None:
            raise Misuse(
                f"{self!r} belongs to no app: take it as the default of a field of a service, or in its __init__"
            )
        return self._keeper

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} cannot be pickled or copied: reveal it where it is used")

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

"""Secrets: injected by name, read late, shown nowhere.

    class PspKey(Secret, name="payments/psp-key"):
        \"\"\"The key of our account at the payment provider.\"\"\"

    key: PspKey                     # in the service
    await self.key.reveal()         # where it is used

The value is the variable `ENFILADE_SECRET_PAYMENTS_PSP_KEY`, or the file `payments/psp-key` below the folder that
`ENFILADE_SECRETS` names. An app whose secrets are missing does not start; it names them all.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar


class Secret:
    """Base of a secret; its subclass gives the name."""

    name: ClassVar[str] = ""

    def __init_subclass__(cls, *, name: str = "") -> None:
        cls.name = name or cls.name

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def present(self) -> bool:
        """Whether there is a value, without reading it."""
        return self.variable in self._environ or (self._file is not None and self._file.is_file())

    async def reveal(self) -> str:
        """The value. Never keep it longer than its use needs."""
        if self.variable in self._environ:
            return self._environ[self.variable]
        if self._file is None:
            raise LookupError(
                f"the secret {self.name} is not set: set {self.variable}, or ENFILADE_SECRETS to a folder"
            )
        return (await asyncio.to_thread(self._file.read_text, "utf-8")).rstrip("\n")

    @property
    def variable(self) -> str:
        return "ENFILADE_SECRET_" + re.sub(r"[^A-Z0-9]", "_", self.name.upper())

    @property
    def _file(self) -> Path | None:
        folder = self._environ.get("ENFILADE_SECRETS")
        return Path(folder) / self.name if folder else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    __str__ = __repr__

"""Who may log in."""

from __future__ import annotations

from typing import Protocol

from enfilade import contract
from enfilade.identity.people import People


@contract(owner="post", version=1)
class Staff(People, Protocol): ...

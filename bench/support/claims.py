"""What every bench prints: claims with their values, as a table or, with `--json`, as a list of objects."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Claim:
    claim: str
    value: float
    unit: str
    target: str
    """`<= 3`, `>= 2.2`, or `` where there is none and the value is for information."""

    @property
    def holds(self) -> bool:
        if not self.target:
            return True
        relation, number = self.target.split()
        return self.value <= float(number) if relation == "<=" else self.value >= float(number)


def tell(claims: Sequence[Claim]) -> None:
    """Print the claims; the exit status is 1 when one does not hold."""
    if "--json" in sys.argv:
        print(json.dumps([{**asdict(one), "holds": one.holds} for one in claims], indent=1))
    else:
        for one in claims:
            mark = "  " if not one.target else "ok" if one.holds else "NO"
            print(f"{mark}  {one.value:10.3f} {one.unit:12} {one.target:8}  {one.claim}")
    sys.exit(0 if all(one.holds for one in claims) else 1)

"""What may be read by the way: logs, spans and dead letters get a value with its Sensitive fields masked."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from enfilade.contract.rewrite import Step, dumper
from enfilade.contract.shape import shape


def masked(value: object, type: Any) -> Any:
    """Builtins of a value of this type, with `"***"` in place of every Sensitive field, however deep."""
    step = _masker(type)
    return msgspec.to_builtins(value if step is None else step(value), str_keys=True)


@cache
def _masker(type_: Any) -> Step | None:
    return dumper(shape(type_), "snake", mask=True)

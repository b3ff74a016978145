"""Where two outcomes of one call differ: as paths, without what stands there, which may be anybody's secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from enfilade.errors import Problem


def differences(one: Any, other: Any, ignore: Sequence[str] = ()) -> tuple[str, ...]:
    """The paths at which two answers, or problems, are not the same: `/total`, `/items/*/price`.

    `*` stands for each item of an array and for each key of a mapping, `/` for the whole. What lies at or below a path
    of `ignore` may differ.
    """
    found = dict.fromkeys(path or "/" for path in _differ(one, other, ""))
    return tuple(path for path in found if not any(path == may or path.startswith(f"{may}/") for may in ignore))


def _differ(one: Any, other: Any, path: str) -> Iterator[str]:
    here, there = _parts(one), _parts(other)
    if type(one) is not type(other):
        yield path
    elif here is None or there is None:
        if one != other:
            yield path
    else:
        for key in dict.fromkeys((*here, *there)):
            (name, mine), (_, yours) = here.get(key) or there[key], there.get(key) or here[key]
            if key in here and key in there:
                yield from _differ(mine, yours, f"{path}/{name}")
            else:
                yield f"{path}/{name}"


def _parts(value: Any) -> Mapping[Any, tuple[str, Any]] | None:
    """What a value consists of: how a path names it, and what it is. None for what is one piece."""
    if isinstance(value, Problem):
        return {name: (name, getattr(value, name)) for name in value.members}
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        return {name: (said, getattr(value, name)) for name, said in names}
    if isinstance(value, Mapping):
        return {key: ("*", part) for key, part in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, tuple | list):
        return {at: ("*", part) for at, part in enumerate(cast("Sequence[Any]", value))}
    return None

"""Facts about one field or parameter, said in its annotation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta as Meta

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mark:
    """A fact about a field, read by the station that it concerns."""

    name: str
    value: str = ""


Key: TypeAlias = Annotated[T, Mark("key")]
"""Row: part of the primary key. Parameter: what calls are told apart by (order, stickiness)."""

Unique: TypeAlias = Annotated[T, Mark("unique")]
"""Row: no other row has this value."""

Index: TypeAlias = Annotated[T, Mark("index")]
"""Row: found by this value."""

Version: TypeAlias = Annotated[int, Mark("version")]
"""Row: counted by the store. Message: the ETag of the answer. Parameter: what the caller expects (`If-Match`)."""

Owned: TypeAlias = Annotated[T, Mark("owner")]
"""Row: the subject whose row it is. Operations that need `Owner` see and write only the caller's rows."""

Sensitive: TypeAlias = Annotated[T, Mark("sensitive")]
"""Masked wherever it could be read by the way: logs, spans, errors, dead letters."""

Encrypted: TypeAlias = Annotated[T, Mark("encrypted")]
"""Row: encrypted in the database, and masked like Sensitive. It can be read, and not searched or sorted by."""

Body: TypeAlias = Annotated[T, Mark("body")]
"""Parameter: is the whole body of the request, not a member of it."""

Header: TypeAlias = Annotated[T, Mark("header")]
"""Parameter: travels in the header of its name, `accept_language` in `Accept-Language`."""

Maybe: TypeAlias = T | msgspec.UnsetType
"""A field that may be left out, which differs from null: `name: Maybe[str | None] = UNSET`."""


def Named(name: str) -> Any:  # noqa: N802  (reads as a mark: Annotated[str, Named("filter[x]")])
    """Another name on the wire: `Annotated[str, Named("filter[state]")]`."""
    return Mark("named", name)


def marks_of(annotation: object) -> tuple[Mark, ...]:
    """The marks of an annotation, those of nested `Annotated` included."""
    if get_origin(annotation) is Annotated:
        inner, *extra = get_args(annotation)
        return (*marks_of(inner), *(one for one in extra if isinstance(one, Mark)))
    return ()


def has_mark(annotation: object, name: str) -> bool:
    return any(mark.name == name for mark in marks_of(annotation))

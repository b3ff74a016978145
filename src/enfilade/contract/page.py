"""Pages: a part of a long answer, and where the next one starts."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from msgspec import Meta

from enfilade.contract.message import Message

T = TypeVar("T")


class Paging(Message):
    """Which page is asked for. A parameter of this type becomes `?after=` and `?limit=` in REST.

    `after` is a cursor from an earlier page: sealed, and good for the same operation, caller and filter only.
    """

    after: str = ""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 50


FIRST = Paging()
"""The first page: the default of a paging parameter."""


class Page(Message, Generic[T]):
    """A part of a long answer. `next` is the cursor of the part that follows, empty at the end.

    REST also gives it as a `Link` of relation `next` (RFC 8288).
    """

    items: tuple[T, ...]
    next: str = ""


class Offset(Message):
    """Plain paging by number, for short lists and where a user jumps to page 7: `?offset=` and `?limit=`."""

    offset: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 50


class Slice(Message, Generic[T]):
    """The answer to an `Offset`: the items there, and how many there are in all."""

    items: tuple[T, ...]
    total: int

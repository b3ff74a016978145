"""What types mean on the platform's wires, in annotations that are text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time
from typing import Annotated, Any, Generic, NewType, TypeVar

import msgspec
import pytest

from enfilade import Message, Meta, Page
from enfilade.contract.codec import codec
from enfilade.contract.shape import shape, walk
from enfilade.errors import Invalid

T = TypeVar("T")
Count = NewType("Count", int)


class Moment(Message):
    at: datetime


class Tagged(Message, tag="x"):
    at: datetime | None = None


class Other(Message, tag="y"):
    opens: time


class Inherited(Moment):
    until: datetime


class Recursive(Message):
    at: datetime
    below: tuple[Recursive, ...] = ()


class Pair(Message, Generic[T]):
    one: T
    two: Mapping[str, T]


class Moments(Page[datetime]):
    pass


class Local(Message):
    at: Annotated[datetime, Meta(tz=False)]
    count: Annotated[int, Meta(ge=0)] = 0
    counted: Count = Count(1)


BARE = "2026-01-01T00:00:00"
ZONED = BARE + "Z"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (datetime, '"AT"'),
        (datetime | None, '"AT"'),
        (Moment, '{"at":"AT"}'),
        (Tagged | Other, '{"type":"x","at":"AT"}'),
        (Inherited, '{"at":"AT","until":"2026-01-01T00:00:00Z"}'),
        (Inherited, '{"at":"2026-01-01T00:00:00Z","until":"AT"}'),
        (Recursive, '{"at":"2026-01-01T00:00:00Z","below":[{"at":"AT"}]}'),
        (Page[Moment], '{"items":[{"at":"AT"}]}'),
        (Page[datetime], '{"items":["AT"]}'),
        (Moments, '{"items":["AT"]}'),
        (Pair[datetime], '{"one":"AT","two":{}}'),
        (Pair[datetime], '{"one":"2026-01-01T00:00:00Z","two":{"a":"AT"}}'),
        (tuple[datetime, ...], '["AT"]'),
        (Mapping[str, Moment], '{"a":{"at":"AT"}}'),
    ],
)
def test_a_moment_has_a_zone_wherever_it_stands(kind: Any, text: str) -> None:
    with pytest.raises(Invalid):
        codec(kind).decode(text.replace("AT", BARE).encode())

    codec(kind).decode(text.replace("AT", ZONED).encode())


def test_a_time_has_a_zone() -> None:
    with pytest.raises(Invalid):
        codec(Other).decode(b'{"type":"y","opens":"09:00:00"}')

    codec(Other).decode(b'{"type":"y","opens":"09:00:00Z"}')


def test_what_is_said_explicitly_stays() -> None:
    local = codec(Local)

    assert local.decode(b'{"at":"2026-01-01T00:00:00"}').at.tzinfo is None
    for bad in (b"-1", b"9223372036854775808"):
        with pytest.raises(Invalid):
            local.decode(b'{"at":"2026-01-01T00:00:00","count":' + bad + b"}")
        with pytest.raises(Invalid):
            local.decode(b'{"at":"2026-01-01T00:00:00","counted":9223372036854775808}')


def test_a_message_without_moments_keeps_its_annotations() -> None:
    assert Page.__annotations__["next"] in (str, "str")


def test_a_walk_visits_each_message_once_by_its_path() -> None:
    paths = [path for path, one in walk(shape(Page[Recursive])) if one.kind in ("datetime", "struct")]

    assert paths == ["", ".items[]", ".items[].at", ".items[].below[]"]


def test_other_types_pass_the_codec_for_use_within_the_platform() -> None:
    class Loose(msgspec.Struct):
        at: Any
        names: list[str] = []

    assert codec(list[Moment]).decode(b'[{"at":"2026-01-01T00:00:00Z"}]')
    assert codec(dict[str, datetime]).encode({"a": codec(datetime).decode(b'"2026-01-01T00:00:00Z"')}) == (
        b'{"a":"2026-01-01T00:00:00.000000Z"}'
    )
    assert codec(Loose).decode(b'{"at":[1],"names":["a"]}').names == ["a"]


class Coded(Message):
    code: Annotated[str, Meta(pattern="^[a-z]+$", examples=["abc"])] = "a"
    either: Annotated[str, Meta(pattern=r"^\$?[$]?a$|^b$")] = "a"


@pytest.mark.parametrize("text", [r"abc\n", r"abc\r", r"abc\u2028", r"abc\n\n", r"\nabc"])
def test_a_pattern_ends_at_the_end_of_the_text(text: str) -> None:
    """Where Python's own `$` lets one line feed more pass, and JSON Schema's does not."""
    with pytest.raises(Invalid, match=r"'\^\[a-z\]\+\$'"):  # it is told as it was written
        codec(Coded).decode(f'{{"code": "{text}"}}'.encode())


def test_a_pattern_stays_what_it_is() -> None:
    for text in ("a", "$a", "$$a", "b"):
        assert codec(Coded).decode(f'{{"either": "{text}"}}'.encode()).either == text
    for text in (r"a\n", r"b\n", "c"):
        with pytest.raises(Invalid):
            codec(Coded).decode(f'{{"either": "{text}"}}'.encode())
    with pytest.raises(Invalid):
        codec(Annotated[str, Meta(pattern="^[a-z]+$")]).from_text(["abc\n"])
    code, either = (field.shape.constraint("pattern") for field in shape(Coded).fields)
    assert (code, either) == ("^[a-z]+$", r"^\$?[$]?a$|^b$")

"""How rates, sizes, periods and needs are written."""

from __future__ import annotations

import pytest

from enfilade import Header, Key, Owner, Rate, Role, Scope, Sensitive, anyone, peers, signed_in
from enfilade.contract.limit import period, size
from enfilade.contract.marks import has_mark, marks_of
from enfilade.contract.shape import camel


@pytest.mark.parametrize(
    ("text", "calls", "seconds"),
    [("20/minute", 20, 60), ("5/10s", 5, 10), ("1/h", 1, 3600), (" 1000/day ", 1000, 86400), ("3/2m", 3, 120)],
)
def test_a_rate_is_calls_in_seconds(text: str, calls: int, seconds: float) -> None:
    quota = Rate(text).quota()

    assert (quota.amount, quota.unit, quota.seconds) == (calls, "calls", seconds)


@pytest.mark.parametrize("text", ["", "20", "20/", "0/s", "20/fortnight", "-1/s", "1.5/s", "20 / minute"])
def test_what_is_no_rate_is_told_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="written like"):
        Rate(text).quota()


@pytest.mark.parametrize(
    ("text", "count"), [("1MiB", 1024**2), ("64KB", 64_000), ("10", 10), (7, 7), ("1 gib", 1024**3)]
)
def test_a_size_is_bytes(text: str | int, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1.5h", 5400), ("7d", 604800), (2.5, 2.5), ("forever", float("inf"))]
)
def test_a_period_is_seconds(text: str | float, seconds: float) -> None:
    assert period(text) == seconds


@pytest.mark.parametrize("text", ["", "much", "1 house", "-1MiB"])
def test_what_is_no_size_and_no_period_is_told_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="written like"):
        size(text)
    with pytest.raises(ValueError, match="written like"):
        period(text)


def test_needs_read_as_they_are_said() -> None:
    assert str(Scope("a") & (Role("b") | Owner)) == "scope a and (role b or owner)"
    assert [str(one) for one in (anyone, signed_in, peers)] == ["anyone", "signed in", "peers"]
    assert Scope("a") == Scope("a")


def test_marks_add_up() -> None:
    assert [mark.name for mark in marks_of(Sensitive[Key[str]])] == ["key", "sensitive"]
    assert has_mark(Header[str], "header")
    assert not has_mark(str, "header")


@pytest.mark.parametrize(
    ("name", "spelled"), [("sku", "sku"), ("created_at", "createdAt"), ("a_b_c", "aBC"), ("x_", "x")]
)
def test_camel_case_begins_small(name: str, spelled: str) -> None:
    assert camel(name) == spelled

import pytest

from enfilade.trace.context import format_traceparent, parse_traceparent, parse_tracestate

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("flags", ["00", "01", "02", "03", "ff"])
def test_a_traceparent_is_read_whatever_its_flags(flags: str) -> None:
    assert parse_traceparent(f"00-{TRACE}-{SPAN}-{flags}") == (int(TRACE, 16), int(SPAN, 16))


def test_a_later_version_may_have_more_after_it() -> None:
    assert parse_traceparent(f"01-{TRACE}-{SPAN}-01-what-comes") == (int(TRACE, 16), int(SPAN, 16))
    assert parse_traceparent(f"cc-{TRACE}-{SPAN}-01") == (int(TRACE, 16), int(SPAN, 16))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01.",
        f"01-{TRACE}-{SPAN}-01.",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-०१",
    ],
)
def test_a_malformed_traceparent_starts_a_new_trace(text: str) -> None:
    assert parse_traceparent(text) == (0, 0)


def test_what_is_written_is_read_back() -> None:
    text = format_traceparent(7, 8, True)

    assert text == f"00-{7:032x}-{8:016x}-01"
    assert parse_traceparent(text) == (7, 8)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("congo=t61rcWkgMzE", "congo=t61rcWkgMzE"),
        ("rojo=00f067, \tcongo=t61 ,,a@b=c d", "rojo=00f067,congo=t61,a@b=c d"),
        ("", ""),
        ("no value", ""),
        ("Upper=1", ""),
        ("a=1,a=2", ""),
        ("a=b=c", ""),
        ("a=1\r\nX-Evil: 1", ""),
        ("a=é", ""),
        (",".join(f"k{number}=1" for number in range(33)), ""),
        ("a=" + "x" * 257, ""),
    ],
)
def test_a_tracestate_goes_on_as_it_came_where_it_is_well_formed(text: str, kept: str) -> None:
    assert parse_tracestate(text) == kept


def test_a_long_tracestate_loses_its_last_members_whole() -> None:
    members = [f"k{number}=" + "x" * 95 for number in range(10)]

    assert parse_tracestate(",".join(members)) == ",".join(members[:5])

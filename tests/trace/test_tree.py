import msgspec

from enfilade.trace.span import Phase, Span
from enfilade.trace.traces import Trace, assemble, document
from enfilade.trace.tree import listing, time, tree


def span(number: int, parent: int, name: str, start: float, duration: float, **changes: object) -> Span:
    made = Span(7, number, parent, name, name.split(".")[0], "internal", "", 0.0, 1767225600 + start, {}, duration)
    for change, value in changes.items():
        setattr(made, change, value)
    return made


def purchase() -> Trace:
    route: dict[str, str | int | float | bool] = {"http.request.method": "POST", "http.route": "/orders"}
    (trace,) = assemble(
        [
            span(4, 2, "catalog.product", 0.0005, 0.0001),
            span(3, 1, "payments.charge", 0.002, 0.0099, outcome="declined", status=402),
            span(
                5,
                3,
                "POST carrier",
                0.0025,
                0.009,
                facts={"host": "pay.example", "status": 503},
                outcome="unavailable",
                status=503,
            ),
            span(1, 0, "orders.place", 0, 0.0124, kind="server", facts=route, status=201),
            span(2, 1, "cart.cart", 0.0004, 0.0004, phases=(Phase("read", 0, 0.000085),)),
        ]
    )
    return trace


def test_a_trace_is_a_tree_with_times() -> None:
    assert tree(purchase()).splitlines() == [
        "POST /orders  orders.place          201    +0 µs  12.4 ms",
        "├─ cart.cart                             +400 µs   400 µs  read 85 µs",
        "│  └─ catalog.product                    +500 µs   100 µs",
        "└─ payments.charge             declined  +2.0 ms   9.9 ms",
        "   └─ POST carrier          unavailable  +2.5 ms   9.0 ms  status=503",
    ]


def test_each_line_names_its_process_where_there_are_several() -> None:
    trace = purchase()
    for one in trace.spans:
        one.process = {"payments": "money@2", "POST carrier": "money@2"}.get(one.service, "front")

    assert tree(trace).splitlines() == [
        "POST /orders  orders.place  front            201    +0 µs  12.4 ms",
        "├─ cart.cart                front                 +400 µs   400 µs  read 85 µs",
        "│  └─ catalog.product       front                 +500 µs   100 µs",
        "└─ payments.charge          money@2     declined  +2.0 ms   9.9 ms",
        "   └─ POST carrier          money@2  unavailable  +2.5 ms   9.0 ms  status=503",
    ]
    assert listing([trace]).endswith("5 spans in 2 processes")


def test_one_process_is_not_named() -> None:
    trace, plain = purchase(), tree(purchase())
    for one in trace.spans:
        one.process = "shop"

    assert tree(trace) == plain


def test_traces_are_listed_one_a_line() -> None:
    text = listing([purchase(), Trace((span(9, 0, "sweep", 1, 2.5),))])

    assert text.splitlines() == [
        "2026-01-01 00:00:00  0000000000000000  POST /orders  orders.place  201   12.4 ms     5 spans",
        "2026-01-01 00:00:01  0000000000000000  sweep                        ok    2.50 s     1 span",
    ]


def test_colors_change_nothing_but_the_color() -> None:
    import re

    plain = re.sub(r"\x1b\[\d+m", "", tree(purchase(), color=True))

    assert plain == tree(purchase())
    assert "\x1b[31m" in tree(purchase(), color=True)


def test_spans_whose_parents_are_elsewhere_stand_at_the_top_after_the_root() -> None:
    (trace,) = assemble([span(1, 99, "orders.early", 0, 1), span(2, 0, "orders.place", 1, 1)])

    assert [line.split()[0] for line in tree(trace).splitlines()] == ["orders.place", "orders.early"]


def test_a_trace_may_be_as_deep_as_it_likes_and_even_a_circle() -> None:
    deep = [span(number, number - 1, "deep", number, 1) for number in range(1, 3000)]
    circle = [span(1, 2, "a", 0, 1), span(2, 1, "b", 1, 1)]

    assert len(tree(assemble(deep)[0]).splitlines()) == 2999
    assert len(tree(assemble(circle)[0]).splitlines()) == 2


def test_a_fact_from_outside_cannot_steer_the_terminal() -> None:
    (trace,) = assemble([span(1, 0, "call", 0, 1, facts={"host": "a\x1b[2J\nb"})])

    assert len(tree(trace, color=False).splitlines()) == 1
    assert "\x1b" not in tree(trace, color=False)


def test_no_traces_are_no_lines() -> None:
    assert listing([]) == ""


def test_times_are_told_in_the_unit_that_fits() -> None:
    assert [time(seconds) for seconds in (-1, 0, 0.0000854, 0.0009996, 0.0124, 0.99996, 61)] == [
        "0 µs", "0 µs", "85 µs", "1.0 ms", "12.4 ms", "1.00 s", "61.00 s",
    ]  # fmt: skip


def test_another_program_reads_a_trace_by_the_ids_that_are_written_everywhere() -> None:
    shown = msgspec.json.decode(msgspec.json.encode(document(purchase())))

    assert shown["trace_id"] == f"{7:032x}"
    root, cart, *_ = shown["spans"]
    assert (root["span_id"], root["parent_id"], root["status"]) == (f"{1:016x}", "", 201)
    assert cart["phases"] == [{"name": "read", "start": 0.0, "duration": 0.000085}]

import pytest

from enfilade.clock import VirtualClock
from enfilade.trace.metrics import Metrics
from enfilade.trace.process import watch_process


def lines(metrics: Metrics) -> list[str]:
    return metrics.exposition().decode().splitlines()


def test_a_counter_is_one_line_a_series() -> None:
    metrics = Metrics()
    metrics.counter("orders_total", "Orders that were placed.", shop="north").add()
    metrics.counter("orders_total", shop="north").add(2)
    metrics.counter("orders_total", shop="south").add(0.5)

    assert lines(metrics) == [
        "# HELP orders_total Orders that were placed.",
        "# TYPE orders_total counter",
        'orders_total{shop="north"} 3',
        'orders_total{shop="south"} 0.5',
    ]


def test_the_order_of_labels_does_not_matter() -> None:
    metrics = Metrics()

    assert metrics.gauge("depth", a="1", b="2") is metrics.gauge("depth", b="2", a="1")


def test_a_histogram_counts_all_values_up_to_each_bound() -> None:
    metrics = Metrics()
    times = metrics.histogram("wait_seconds", "Waiting.", queue="mail")
    for value in (0.0001, 0.003, 0.003, 99.0):
        times.record(value)

    shown = lines(metrics)
    assert 'wait_seconds_bucket{queue="mail",le="0.0001"} 1' in shown
    assert 'wait_seconds_bucket{queue="mail",le="0.0025"} 1' in shown
    assert 'wait_seconds_bucket{queue="mail",le="0.005"} 3' in shown
    assert 'wait_seconds_bucket{queue="mail",le="10"} 3' in shown
    assert 'wait_seconds_bucket{queue="mail",le="+Inf"} 4' in shown
    assert 'wait_seconds_sum{queue="mail"} 99.0061' in shown
    assert 'wait_seconds_count{queue="mail"} 4' in shown
    assert times.count == 4


def test_labels_cannot_break_out_of_their_line() -> None:
    metrics = Metrics()
    metrics.gauge("g", "two\nlines \\ here", path='a"b\\c\nd').set(1)

    assert lines(metrics) == ["# HELP g two\\nlines \\\\ here", "# TYPE g gauge", 'g{path="a\\"b\\\\c\\nd"} 1']


def test_numbers_that_are_none_are_written_as_prometheus_reads_them() -> None:
    metrics = Metrics()
    for name, value in (("a", float("inf")), ("b", float("-inf")), ("c", float("nan")), ("d", 1e300)):
        metrics.gauge(name).set(value)

    assert [line for line in lines(metrics) if line[0] != "#"] == ["a +Inf", "b -Inf", "c NaN", "d 1e+300"]


def test_series_over_the_limit_share_one() -> None:
    metrics = Metrics(limit=3)
    for number in range(10):
        metrics.counter("hits_total", path=f"/{number}").add()

    series = [line for line in lines(metrics) if line[0] != "#"]
    assert series == [*(f'hits_total{{path="/{number}"}} 1' for number in range(3)), 'hits_total{path="_other"} 7']


def test_a_name_is_one_kind_of_metric() -> None:
    metrics = Metrics()
    metrics.counter("x_total")

    with pytest.raises(ValueError, match="x_total is a counter already"):
        metrics.gauge("x_total")


def test_a_value_may_be_asked_for_when_it_is_looked_at() -> None:
    metrics = Metrics()
    queue = [1, 2, 3]
    metrics.read(metrics.gauge("queue_length"), lambda: len(queue))

    assert "queue_length 3" in lines(metrics)
    queue.clear()
    assert "queue_length 0" in lines(metrics)


def test_the_process_tells_what_it_takes() -> None:
    metrics, clock = Metrics(), VirtualClock()
    watch_process(metrics, clock)
    metrics.exposition()

    assert metrics.gauge("process_resident_memory_bytes").value > 1_000_000
    assert metrics.counter("process_cpu_seconds_total").value > 0
    assert metrics.gauge("process_start_time_seconds").value == clock.now().timestamp()

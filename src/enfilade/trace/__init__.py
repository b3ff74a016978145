"""Telemetry: what happened, how often and how long.

recorder    the station that makes the span and the metrics of each call; the ring of recent spans
span        one span, and `phase`, a part of it
metrics     counters, gauges, histograms; the page that Prometheus reads. process: those of the process itself
context     W3C trace context, in and out
log         JSON lines, or readable ones, with trace and span
feed        spans on their way out: to file, the local trace file, and to a collector, as otlp
traces      spans put together again. tree: a trace as text
"""

from enfilade.trace.metrics import Metrics as Metrics
from enfilade.trace.recorder import Recorder as Recorder
from enfilade.trace.span import Span as Span
from enfilade.trace.span import phase as phase

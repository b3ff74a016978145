"""Telemetry: what happened, how often and how long.

span.py      one span, and `phase`, a part of it
recorder.py  the station that makes the span and the metrics of each call; the ring of recent spans
metrics.py   counters, gauges, histograms; the page that Prometheus reads
context.py   W3C trace context, in and out
"""

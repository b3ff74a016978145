"""What the process itself takes: memory, processor time, its age. The names are those of Prometheus clients."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

from enfilade.clock import Clock
from enfilade.trace.metrics import Metrics

_STATM = Path("/proc/self/statm")


def watch_process(metrics: Metrics, clock: Clock) -> None:
    """Add the process's own numbers; they are read when the metrics are."""
    start = clock.now().timestamp()
    metrics.gauge("process_start_time_seconds", "When the process started, in Unix time.").set(start)
    metrics.read(metrics.counter("process_cpu_seconds_total", "Processor time that was spent."), time.process_time)
    metrics.read(metrics.gauge("process_resident_memory_bytes", "Memory in use."), resident)


def resident() -> float:
    """Bytes of memory in use; the most there ever were, where the system tells no more."""
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

"""Metrics of the processes themselves and of the store, taken when they are asked for: no request pays for them.

A single process is examined when Prometheus asks. Workers cannot examine each other, so each copies its own metrics
every few seconds to where they share theirs, and they are summed.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from taskservice.database.measurement import Measurement

LAG_INTERVAL = 0.1
"""Seconds between two measurements of the event loop's lag: each costs some microseconds."""

COPY_INTERVAL = 5.0
"""Seconds between two copies of a worker's metrics: counting 10,000 descriptors takes milliseconds."""

RESTARTS_FILE = "restarts"
"""A file in the folder of the workers, with a byte for each worker that died and was replaced."""

_START = "process_start_time_seconds"


def make_collectors(measurements: Callable[[], Iterable[Measurement]]) -> list[Collector]:
    """Return the collectors of this process and of its store."""
    return [StoreCollector(measurements), ProcessCollector(registry=None), GCCollector(CollectorRegistry())]


class StoreCollector(Collector):
    """The measurements of the store's engine."""

    def __init__(self, measurements: Callable[[], Iterable[Measurement]]) -> None:
        self._measurements = measurements

    def collect(self) -> Iterator[Metric]:
        """Yield each measurement."""
        for found in self._measurements():
            family = CounterMetricFamily if found.is_counter else GaugeMetricFamily
            yield family(f"taskservice_{found.name}", found.text, value=found.value)


class LogSize(Collector):
    """The size of the store's log, read on demand: workers share it."""

    def __init__(self, log_bytes: Callable[[], int | None]) -> None:
        self._log_bytes = log_bytes

    def collect(self) -> Iterator[Metric]:
        """Yield the size, if the store has a log."""
        if (size := self._log_bytes()) is not None:
            yield GaugeMetricFamily(
                "taskservice_wal_bytes", "The size of SQLite's write-ahead log", value=size)


class Supervision(Collector):
    """A worker's view of its parent: when it started, and how many workers it has replaced."""

    def __init__(self, folder: str) -> None:
        self._restarts = Path(folder, RESTARTS_FILE)
        self._parent = ProcessCollector(pid=os.getppid, registry=None)

    def collect(self) -> Iterator[Metric]:
        """Yield both; only the first once the folder, which is removed first at the end, has gone."""
        yield from (family for family in self._parent.collect() if family.name == _START)
        try:
            restarts = self._restarts.stat().st_size
        except OSError:
            return
        yield CounterMetricFamily(
            "taskservice_worker_restarts", "Workers that died and were replaced", value=restarts)


class WorkersCopy:
    """Copies what the collectors of this process give into the files that workers share.

    What a worker counted that died stays counted; what it was at, its gauges, `forget_worker` drops.
    """

    def __init__(self, collectors: Iterable[Collector]) -> None:
        self._collectors = collectors
        self._registry = CollectorRegistry()  # nobody calls it: the files are read
        self._gauges: dict[str, Gauge] = {}
        self._counters: dict[str, Counter] = {}
        self._counted: dict[tuple[str, ...], float] = {}

    def update(self) -> None:
        """Copy them."""
        for collector in self._collectors:
            for family in collector.collect():
                if family.type == "counter":
                    self._count(family)
                elif family.name != _START:  # their sum would be no time
                    self._set(family)

    def _set(self, family: Metric) -> None:
        if family.name not in self._gauges:
            self._gauges[family.name] = Gauge(
                family.name, family.documentation, registry=self._registry, multiprocess_mode="livesum")
        self._gauges[family.name].set(family.samples[0].value)

    def _count(self, family: Metric) -> None:
        if family.name not in self._counters:
            self._counters[family.name] = Counter(
                family.name, family.documentation, tuple(family.samples[0].labels), registry=self._registry)
        counter = self._counters[family.name]
        for sample in family.samples:
            values = tuple(sample.labels.values())
            more = sample.value - self._counted.get((family.name, *values), 0)
            if more < 0:  # its counter has started over
                more = sample.value
            (counter.labels(*values) if values else counter).inc(more)
            self._counted[family.name, *values] = sample.value


@contextmanager
def repeated(interval: float, call: Callable[[float], None]) -> Iterator[None]:
    """Call `call` every `interval` seconds on the running event loop, with the seconds by which the call is late."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None

    def begin() -> None:
        nonlocal timer
        timer = loop.call_later(interval, run, time.monotonic() + interval)

    def run(due: float) -> None:
        late = time.monotonic() - due  # the loop's own time may be that of the round's beginning
        begin()
        call(max(late, 0.0))

    begin()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()

"""The metrics that Prometheus reads at `/metrics`.

With several workers the values are in files of a shared folder, and each worker answers for all. The files are named
for the worker's number: its successor goes on counting in them, so that the counts of a dead worker are not lost, and
there are never more files.
"""

import os
import platform
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import accumulate
from pathlib import Path

from prometheus_client import (
    CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest, values)
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from tornado.web import RequestHandler

from taskservice import __version__, code
from taskservice.database.measurement import Measurement
from taskservice.tornado.vitals import (
    COPY_INTERVAL, LAG_INTERVAL, RESTARTS_FILE, LogSize, Supervision, WorkersCopy, make_collectors, repeated)
from taskservice.utils.queued_stream import count_drops

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The variable in which prometheus-client looks for the folder; the parent sets it for its workers."""

WORKER_VARIABLE = "TASKSERVICE_WORKER"
"""The variable with a worker's number, from 1; unset if a single process serves."""

_FILES = {"histogram": 1 << 19, "counter": 1 << 16, "gauge_livesum": 1 << 16, "gauge_max": 1 << 16,
          "gauge_min": 1 << 16}
"""prometheus-client's kinds of files, with sizes in bytes that exceed what the values take."""

_REQUEST_BUCKETS = (.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)
_STORE_BUCKETS = (.00001, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 5)
_LAG_BUCKETS = (.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5)


disable_created_metrics()  # type: ignore[no-untyped-call]  # not with several processes


class LoopHistogram(Collector):
    """A histogram of one process, counted on its event loop.

    Two are counted in each request: with its lock, prometheus-client's takes four times as long, some 3 µs more each.
    """

    def __init__(
        self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> None:
        self._described = (name, text)
        self._labels = labels
        self._buckets = buckets
        # By values of the labels: the counts of each bucket and beyond the last, and then the sum.
        self._children: dict[tuple[object, ...], list[float]] = {}

    def observe(self, value: float, labels: tuple[object, ...]) -> None:
        """Observe a value."""
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = [0] * (len(self._buckets) + 2)
        child[bisect_left(self._buckets, value)] += 1
        child[-1] += value

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the counts in prometheus-client's form: each bucket includes those below it."""
        family = HistogramMetricFamily(*self._described, labels=self._labels)
        bounds = [*map(floatToGoString, self._buckets), "+Inf"]
        for labels, (*counts, total) in self._children.items():
            family.add_metric(
                [*map(str, labels)], list(zip(bounds, accumulate(counts), strict=True)), total)
        yield family


class SharedHistogram:
    """The same over several processes, in prometheus-client's files."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._children: dict[tuple[object, ...], Histogram] = {}

    def observe(self, value: float, labels: tuple[object, ...]) -> None:
        """Observe a value."""
        child = self._children.get(labels)
        if child is None:  # finding one by its labels takes as long as counting
            child = self._children[labels] = self._histogram.labels(*labels) if labels else self._histogram
        child.observe(value)


class Metrics:
    """The measurements of one service; times are in seconds."""

    def __init__(
        self, engine: str, log_bytes: Callable[[], int | None] = lambda: None,
        measurements: Callable[[], Iterable[Measurement]] = lambda: ()
    ) -> None:
        self._engine = engine
        self._log_size = LogSize(log_bytes)
        self._registry = CollectorRegistry()
        worker = os.environ.get(WORKER_VARIABLE)
        self._shared = worker is not None
        # Documented for uWSGI's workers, which have numbers, too.
        values.ValueClass = values.MutexValue if worker is None else (
            values.MultiProcessValue(lambda: worker))  # type: ignore[no-untyped-call]  # no types
        self._requests = self._histogram(
            "taskservice_request_duration_seconds", "How long requests took",
            ("method", "route", "status"), _REQUEST_BUCKETS)
        self._store = self._histogram(
            "taskservice_store_operation_duration_seconds", "How long operations of the store took",
            ("engine", "operation"), _STORE_BUCKETS)
        self.in_flight = 0
        self._in_flight = self._gauge("taskservice_requests_in_flight", "Requests in flight")
        self.event_streams = self._gauge("taskservice_event_streams", "Open event streams")
        self._body_memory = self._gauge(
            "taskservice_body_memory_bytes", "Memory that large request bodies take")
        self._body_memory_peak = Gauge(
            "taskservice_body_memory_peak_bytes", "The most that they took at once in a process",
            registry=self._registry, multiprocess_mode="max")
        self._most_body_memory = 0
        self._body_memory_peak.set(0)
        self._ended_streams = self._counter(
            "taskservice_event_streams_ended", "Event streams that have ended")
        self._reads_waiting = self._gauge(
            "taskservice_reads_waiting", "Lists, searches and changes that wait for a reader")
        self._reads_refused = self._counter(
            "taskservice_reads_refused", "Reads refused, as too many waited")
        self._reads_timed_out = self._counter(
            "taskservice_reads_timed_out", "Reads that took longer than http.query-timeout")
        self._reloads = Counter(
            "taskservice_config_reloads", "Reloads of the config, added up over the workers", ("result",),
            registry=self._registry)
        for result in ("ok", "failed"):
            self._reloads.labels(result)
        self._reloaded = Gauge(
            "taskservice_config_last_reload_success_timestamp_seconds",
            "When the config that is in use was read, by the worker where that is the longest ago",
            registry=self._registry, multiprocess_mode="min")
        self._reloaded.set_to_current_time()
        self._reload_successful = Gauge(
            "taskservice_config_last_reload_successful", "Whether the last reload succeeded, in all workers",
            registry=self._registry, multiprocess_mode="min")
        self._reload_successful.set(1)
        count_drops(self._counter(
            "taskservice_log_records_dropped", "Log records that nobody read in time").inc)
        self._lag = self._histogram(
            "taskservice_event_loop_lag_seconds", "How late the event loop was, looked at ten times a second", (),
            _LAG_BUCKETS)
        own = make_collectors(measurements)
        self._copy = WorkersCopy(own if self._shared else ())
        if not self._shared:
            for collector in (self._log_size, *own):
                self._registry.register(collector)
        build = Gauge(
            "taskservice_build_info", "What is running", ("version", "python", "engine", "code"),
            registry=self._registry, multiprocess_mode="max")
        build.labels(__version__, platform.python_version(), engine, code()).set(1)

    def _histogram(
        self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> LoopHistogram | SharedHistogram:
        if self._shared:
            return SharedHistogram(
                Histogram(name, text, labels, registry=self._registry, buckets=buckets))
        histogram = LoopHistogram(name, text, labels, buckets)
        self._registry.register(histogram)
        return histogram

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self._registry, multiprocess_mode="livesum")

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self._registry)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """In the block observe the running event loop, and share this worker's measurements with the others."""
        with ExitStack() as timers:
            timers.enter_context(repeated(LAG_INTERVAL, lambda late: self._lag.observe(late, ())))
            if self._shared:
                self._copy.update()
                timers.enter_context(repeated(COPY_INTERVAL, lambda _: self._copy.update()))
            yield

    def began(self) -> None:
        """Count a request that has arrived."""
        self.in_flight += 1
        if self._shared:
            self._in_flight.set(self.in_flight)

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that had begun and has been answered."""
        self.left()
        self._count(method, route, status, seconds)

    def stream_ended(self) -> None:
        """Count a request whose answer was an event stream: its duration depends on its client alone."""
        self.left()
        self._ended_streams.inc()

    def left(self) -> None:
        """Count the end of a request that had begun."""
        self.in_flight -= 1
        if self._shared:
            self._in_flight.set(self.in_flight)

    def refused(self, method: str, status: int, seconds: float) -> None:
        """Count a request that the connection has answered."""
        self._count(method, "refused", status, seconds)

    def _count(self, method: str, route: str, status: int, seconds: float) -> None:
        known = method if method in RequestHandler.SUPPORTED_METHODS else "other"
        self._requests.observe(seconds, (known, route, status))

    def observe_body_memory(self, size: int) -> None:
        """Set how many bytes large bodies take now."""
        self._body_memory.set(size)
        if size > self._most_body_memory:
            self._most_body_memory = size
            self._body_memory_peak.set(size)

    def observe_store(self, operation: str, seconds: float) -> None:
        """Count an operation of the store."""
        self._store.observe(seconds, (self._engine, operation))

    def reloaded(self, succeeded: bool) -> None:
        """Count a reload of the config."""
        self._reloads.labels("ok" if succeeded else "failed").inc()
        self._reload_successful.set(succeeded)
        if succeeded:
            self._reloaded.set_to_current_time()

    def reads_wait(self, more: int) -> None:
        """Change the number of reads that wait for a reader by this much."""
        self._reads_waiting.inc(more)

    def read_refused(self) -> None:
        """Count a read that was refused."""
        self._reads_refused.inc()

    def read_timed_out(self) -> None:
        """Count a read that reached its deadline."""
        self._reads_timed_out.inc()

    def render(self) -> bytes:
        """Return the metrics of all workers, as Prometheus' text."""
        self._in_flight.set(self.in_flight)
        registry = self._registry
        if self._shared:
            self._copy.update()
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no types
            registry.register(self._log_size)
            registry.register(Supervision(os.environ[FOLDER_VARIABLE]))
        return generate_latest(registry)


def make_files(folder: str, workers: int) -> None:
    """Create the files of this many workers; raises OSError, e.g. if there is no room.

    They have no holes: on a full disk writing into one ends a process at once (SIGBUS).
    """
    for number in range(1, workers + 1):
        for kind, size in _FILES.items():
            Path(folder, f"{kind}_{number}.db").write_bytes(bytes(size))
    Path(folder, RESTARTS_FILE).touch()


def forget_worker(number: int, folder: str) -> None:
    """Drop the gauges of a worker that has ended: none of its files is in use any more."""
    with suppress(OSError), open(Path(folder, f"gauge_livesum_{number}.db"), "r+b") as file:
        file.write(bytes(4))


def count_restart(folder: str) -> None:
    """Record that a worker died; if there is no room for that, it is not recorded."""
    with suppress(OSError), open(Path(folder, RESTARTS_FILE), "ab") as file:
        file.write(b".")

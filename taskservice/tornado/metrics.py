"""What Prometheus reads at `/metrics`.

With several workers the values are in files that they share (PROMETHEUS_MULTIPROC_DIR, which the
parent sets), and each worker answers for all.
"""

import os
import platform
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from taskservice import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_REQUEST_BUCKETS = (.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)
_STORE_BUCKETS = (.00001, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 5)


class Metrics:
    """The measurements of one service; times are in seconds."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._registry = CollectorRegistry()
        self._requests = self._histogram(
            "taskservice_request_duration_seconds", "How long requests took",
            ("method", "route", "status"), _REQUEST_BUCKETS)
        self._store = self._histogram(
            "taskservice_store_operation_duration_seconds", "How long operations of the store took",
            ("engine", "operation"), _STORE_BUCKETS)
        self._children: dict[tuple[str, ...], Histogram] = {}
        self.in_flight = 0
        self._in_flight = self._gauge("taskservice_requests_in_flight", "Requests in flight")
        self.event_streams = self._gauge("taskservice_event_streams", "Open event streams")
        build = Gauge(
            "taskservice_build_info", "What is running", ("version", "python", "engine"),
            registry=self._registry, multiprocess_mode="max")
        build.labels(__version__, platform.python_version(), engine).set(1)

    def _histogram(
        self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> Histogram:
        return Histogram(name, text, labels, registry=self._registry, buckets=buckets)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self._registry, multiprocess_mode="livesum")

    def began(self) -> None:
        """Count a request that has come."""
        self.in_flight += 1
        self._in_flight.inc()

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that had begun and has been answered."""
        self.in_flight -= 1
        self._in_flight.dec()
        self._observe(self._requests, seconds, method, route, str(status))

    def refused(self, status: int) -> None:
        """Count a request that never reached the application."""
        self._observe(self._requests, 0.0, "other", "refused", str(status))

    def observe_store(self, operation: str, seconds: float) -> None:
        """Count an operation of the store."""
        self._observe(self._store, seconds, self._engine, operation)

    def _observe(self, histogram: Histogram, seconds: float, *labels: str) -> None:
        child = self._children.get(labels)
        if child is None:  # to find one by its labels takes as long as to count
            child = self._children[labels] = histogram.labels(*labels)
        child.observe(seconds)

    def render(self) -> bytes:
        """Return the measurements of all workers, as Prometheus' text."""
        registry = self._registry
        if FOLDER_VARIABLE in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no types
        return generate_latest(registry)


def forget_worker(pid: int, folder: str) -> None:
    """Drop what a worker that has ended was in the middle of."""
    mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]  # it has no types

"""What is measured, as Prometheus reads it."""

import asyncio
import os
import platform
import subprocess
import sys
import tempfile
import time
import unittest
from typing import Any
from unittest import mock

from prometheus_client import CollectorRegistry, Histogram, generate_latest, values
from prometheus_client.parser import text_string_to_metric_families

from taskservice import __version__, code
from taskservice.database.measurement import Measurement
from taskservice.tornado.metrics import (
    CONTENT_TYPE, FOLDER_VARIABLE, WORKER_VARIABLE, LoopHistogram, Metrics, SharedHistogram, count_restart,
    forget_worker, make_files)
from taskservice.tornado.vitals import repeated
from tests.helpers.app import ROOT
from tests.helpers.running import samples, total


class MetricsTest(unittest.TestCase):

    def setUp(self) -> None:
        self.metrics = Metrics("memory")

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a name that have these labels."""
        return total(samples(self.metrics.render().decode())[f"taskservice_{name}"], **labels)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.metrics.began()
        self.metrics.ended(method, route, status, seconds)

    def test_requests_are_counted_by_method_route_and_status(self) -> None:
        for seconds in (0.0004, 0.002, 0.02, 20):
            self.count("GET", "/tasks/{id}", 200, seconds)
        self.count("GET", "/tasks/{id}", 404, 0.001)
        self.count("POST", "/tasks", 201, 0.001)
        name, of = "request_duration_seconds", {"method": "GET", "route": "/tasks/{id}", "status": "200"}
        self.assertEqual(self.value(f"{name}_count", **of), 4)
        self.assertAlmostEqual(self.value(f"{name}_sum", **of), 20.0224)
        self.assertEqual(self.value(f"{name}_count"), 6)
        for bound, count in (("0.0005", 1), ("0.0025", 2), ("0.025", 3), ("10.0", 3), ("+Inf", 4)):
            self.assertEqual(self.value(f"{name}_bucket", le=bound, **of), count, bound)

    def test_operations_of_the_store_are_counted_by_engine_and_name(self) -> None:
        self.metrics.observe_store("read", 0.001)
        self.metrics.observe_store("read", 0.003)
        self.metrics.observe_store("create", 0.5)
        name = "store_operation_duration_seconds"
        self.assertEqual(self.value(f"{name}_count", engine="memory", operation="read"), 2)
        self.assertAlmostEqual(self.value(f"{name}_sum", operation="read"), 0.004)
        self.assertEqual(self.value(f"{name}_count", engine="memory"), 3)

    def test_requests_in_flight_go_up_and_down(self) -> None:
        self.metrics.began()
        self.metrics.began()
        self.assertEqual((self.metrics.in_flight, self.value("requests_in_flight")), (2, 2))
        self.metrics.ended("GET", "/tasks", 200, 0.1)
        self.assertEqual((self.metrics.in_flight, self.value("requests_in_flight")), (1, 1))

    def test_open_event_streams_go_up_and_down(self) -> None:
        streams = self.metrics.event_streams
        with streams.track_inprogress(), streams.track_inprogress():
            self.assertEqual(self.value("event_streams"), 2)
        self.assertEqual(self.value("event_streams"), 0)

    def test_what_the_connection_refused_is_counted_and_was_not_in_flight(self) -> None:
        for method in ("", "POST", "any of a client's"):
            self.metrics.refused(method, 431, 2.0)
        for method, count in (("POST", 1), ("other", 2)):
            labels = {"method": method, "route": "refused", "status": "431"}
            self.assertEqual(self.value("request_duration_seconds_count", **labels), count)
            self.assertEqual(self.value("request_duration_seconds_sum", **labels), 2.0 * count)
        self.assertEqual(self.value("requests_in_flight"), 0)

    def test_what_runs_is_reported(self) -> None:
        self.assertEqual(
            self.value("build_info", version=__version__, python=platform.python_version(),
                       engine="memory", code=code()), 1)

    def test_each_measurement_says_what_it_is(self) -> None:
        self.metrics.observe_store("read", 0.001)
        for family in text_string_to_metric_families(self.metrics.render().decode()):
            self.assertTrue(family.documentation, family.name)
            self.assertRegex(family.name, "^(taskservice|process|python_gc)_")
            self.assertIn(family.type, ("histogram", "gauge", "counter"))

    def test_two_services_in_one_process_do_not_share_them(self) -> None:
        Metrics("memory").began()
        self.assertEqual(self.value("requests_in_flight"), 0)

    def test_one_process_has_no_use_for_a_folder_that_its_environment_names(self) -> None:
        code = "from taskservice.tornado.metrics import Metrics; Metrics('memory').began()"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, FOLDER_VARIABLE: "/none"},
            capture_output=True, text=True, timeout=60)
        self.assertEqual((done.stderr, done.returncode), ("", 0))

    def test_the_type_is_that_of_the_text_format(self) -> None:
        self.assertEqual(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")


class WatchedTest(unittest.TestCase):
    """What is measured of the process, the event loop and the store."""

    def read(self, metrics: Metrics) -> dict[str, float]:
        """Return the sum of the samples of each name."""
        return {name: sum(found.values()) for name, found in samples(metrics.render().decode()).items()}

    def test_the_process_and_its_collector_are_looked_at(self) -> None:
        found = self.read(Metrics("memory"))
        for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds"):
            self.assertGreater(found[f"process_{name}"], 0)
        self.assertLess(abs(time.time() - found["process_start_time_seconds"]), 24 * 3600)
        self.assertIn("python_gc_collections_total", found)

    def test_a_loop_that_is_held_up_is_late(self) -> None:
        metrics = Metrics("memory")

        async def hold_up() -> None:
            with metrics.watching():
                time.sleep(0.5)
                while not self.read(metrics).get("taskservice_event_loop_lag_seconds_count"):
                    await asyncio.sleep(0.01)

        asyncio.run(hold_up())
        self.assertGreater(self.read(metrics)["taskservice_event_loop_lag_seconds_sum"], 0.3)

    def test_what_an_engine_measures_is_there(self) -> None:
        found = self.read(Metrics("sqlite", measurements=lambda: [
            Measurement("store_writes_waiting", "Waiting", 3), Measurement("store_write_groups", "Groups", 7, True)]))
        self.assertEqual(
            (found["taskservice_store_writes_waiting"], found["taskservice_store_write_groups_total"]), (3, 7))


class WatchedWorkersTest(WatchedTest):
    """The same of several workers, each of which copies its own to where another reads it."""

    def setUp(self) -> None:
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        make_files(self.folder, 2)
        self.addCleanup(setattr, values, "ValueClass", values.MutexValue)
        self.be_worker(1)

    def be_worker(self, number: int) -> None:
        """Make what is measured from now on that of a worker."""
        self.enterContext(mock.patch.dict(os.environ, {FOLDER_VARIABLE: self.folder, WORKER_VARIABLE: str(number)}))

    def worker(self, number: int, waiting: float, groups: float) -> Metrics:
        """Return the metrics of a worker whose store measures this, after it has copied them once."""
        self.be_worker(number)
        metrics = Metrics("sqlite", measurements=lambda: [
            Measurement("store_writes_waiting", "Waiting", waiting),
            Measurement("store_write_groups", "Groups", groups, True)])
        metrics.render()
        return metrics

    def test_they_add_up_and_one_that_died_leaves_what_it_counted(self) -> None:
        names = ("taskservice_store_writes_waiting", "taskservice_store_write_groups_total", "process_max_fds")
        first = self.worker(1, 3, 10)
        [limit] = [self.read(first)[name] for name in names[2:]]
        self.worker(2, 4, 20)
        self.assertEqual([self.read(first)[name] for name in names], [7, 30, 2 * limit])
        forget_worker(2, self.folder)
        self.assertEqual([self.read(first)[name] for name in names], [3, 30, limit])
        self.worker(2, 1, 5)
        self.assertEqual([self.read(first)[name] for name in names], [4, 35, 2 * limit])

    def test_a_counter_that_begins_anew_goes_on(self) -> None:
        """As that of a store which was closed and opened again."""
        counts = iter((5.0, 8.0, 2.0))
        metrics = Metrics("sqlite", measurements=lambda: [Measurement("x", "X", next(counts), True)])
        self.assertEqual([self.read(metrics)["taskservice_x_total"] for _ in range(3)], [5, 8, 10])

    def test_the_time_is_that_of_the_parent_and_restarts_are_counted(self) -> None:
        metrics = Metrics("sqlite")
        self.assertEqual(self.read(metrics)["taskservice_worker_restarts_total"], 0)
        count_restart(self.folder)
        count_restart(self.folder)
        found = samples(metrics.render().decode())
        self.assertEqual(list(found["taskservice_worker_restarts_total"].values()), [2])
        self.assertEqual(len(found["process_start_time_seconds"]), 1)


class RepeatedTest(unittest.IsolatedAsyncioTestCase):

    async def test_it_goes_on_to_the_end_of_the_block(self) -> None:
        late: asyncio.Queue[float] = asyncio.Queue()
        with repeated(0.01, late.put_nowait):
            for _ in range(3):
                self.assertGreaterEqual(await asyncio.wait_for(late.get(), 60), 0)
        for _ in range(late.qsize()):
            late.get_nowait()
        with self.assertRaises(TimeoutError):
            await asyncio.wait_for(late.get(), 0.1)


class HistogramTest(unittest.TestCase):
    """Counted on the loop or in shared files, what is measured reads the same."""

    def test_both_give_what_prometheus_client_gives(self) -> None:
        buckets = (0.5, 1, 2.5)
        values = ((0.1, "a"), (0.5, "a"), (0.7, "b"), (1, "b"), (2.6, "a"), (2.5, "b"), (9, "b"))
        reported = []
        for kind in ("loop", "shared", "plain"):
            registry = CollectorRegistry()
            histogram: Any
            if kind == "loop":
                histogram = LoopHistogram("h_seconds", "Text", ("x",), buckets)
                registry.register(histogram)
            else:
                histogram = plain = Histogram(
                    "h_seconds", "Text", ("x",), registry=registry, buckets=buckets)
                histogram = SharedHistogram(plain) if kind == "shared" else plain
            for value, label in values:
                if kind == "plain":
                    histogram.labels(label).observe(value)
                else:
                    histogram.observe(value, (label,))
            lines = generate_latest(registry).decode().splitlines()
            reported.append([line for line in lines if "_created" not in line])
        self.assertEqual(reported[0], reported[2])
        self.assertEqual(reported[1], reported[2])
        self.assertIn('h_seconds_bucket{le="1.0",x="b"} 2.0', reported[0])


if __name__ == "__main__":
    unittest.main()

"""What is measured, as Prometheus reads it."""

import os
import platform
import subprocess
import sys
import unittest
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from taskservice import __version__
from taskservice.tornado.metrics import (
    CONTENT_TYPE, FOLDER_VARIABLE, LoopHistogram, Metrics, SharedHistogram)
from tests.running import samples, total
from tests.support import ROOT


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

    def test_what_runs_is_told(self) -> None:
        self.assertEqual(
            self.value("build_info", version=__version__, python=platform.python_version(),
                       engine="memory"), 1)

    def test_each_measurement_says_what_it_is(self) -> None:
        self.metrics.observe_store("read", 0.001)
        for family in text_string_to_metric_families(self.metrics.render().decode()):
            self.assertTrue(family.documentation, family.name)
            self.assertRegex(family.name, "^taskservice_")
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


class HistogramTest(unittest.TestCase):
    """Counted on the loop or in shared files, what is measured reads the same."""

    def test_both_tell_what_prometheus_client_tells(self) -> None:
        buckets = (0.5, 1, 2.5)
        values = ((0.1, "a"), (0.5, "a"), (0.7, "b"), (1, "b"), (2.6, "a"), (2.5, "b"), (9, "b"))
        told = []
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
            told.append([line for line in lines if "_created" not in line])
        self.assertEqual(told[0], told[2])
        self.assertEqual(told[1], told[2])
        self.assertIn('h_seconds_bucket{le="1.0",x="b"} 2.0', told[0])


if __name__ == "__main__":
    unittest.main()

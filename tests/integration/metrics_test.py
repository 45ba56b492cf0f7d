"""/metrics on a running service: what is counted, under which names, by several workers."""

import http.client
import os
import random
import signal
import string
import threading
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract import quick_folder
from tests.helpers.api import NDJSON, EventStream, wait_until
from tests.helpers.app import on_every_engine
from tests.helpers.openapi import all_paths
from tests.helpers.processes import PATIENCE, ServiceProcess, children
from tests.helpers.raw import peer, request
from tests.helpers.running import ServedTestCase, on_both_servers, running, samples, total
from tests.helpers.timing import at_most

REQUESTS = "taskservice_request_duration_seconds_count"
STORE = "taskservice_store_operation_duration_seconds_count"
IN_FLIGHT = "taskservice_requests_in_flight"
STREAMS = "taskservice_event_streams"
WAL = "taskservice_wal_bytes"
RESTARTS = "taskservice_worker_restarts_total"
ENDED = "taskservice_event_streams_ended_total"


class MetricsCase(ServedTestCase):

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a name that have these labels."""
        return total(samples(self.ask("GET", "/metrics").body.decode()).get(name, {}), **labels)


@on_both_servers
class RequestsTest(MetricsCase):

    def test_a_request_is_counted_by_method_route_and_status(self) -> None:
        path = self.create()
        for method, asked, body, route, status in (
                ("GET", path, None, "/tasks/{id}", 200), ("HEAD", path, None, "/tasks/{id}", 200),
                ("GET", "/tasks/none", None, "/tasks/{id}", 404), ("GET", "/tasks", None, "/tasks", 200),
                ("GET", "/tasks?limit=x", None, "/tasks", 400), ("PUT", path + "/", "x", "/tasks/{id}", 400),
                ("DELETE", path, None, "/tasks/{id}", 204), ("GET", "/changes", None, "/changes", 200),
                ("DELETE", "/tasks", None, "/tasks", 405), ("GET", "/nope", None, "other", 404),
                ("GET", "/docs/init.js", None, "/docs", 200), ("GET", "/readyz", None, "/readyz", 200)):
            with self.subTest(method=method, path=asked):
                labels = {"method": method, "route": route, "status": str(status)}
                before = self.value(REQUESTS, **labels)
                self.assertEqual(self.ask(method, asked, body).code, status)
                self.assertEqual(self.value(REQUESTS, **labels), before + 1)

    def test_its_duration_is(self) -> None:
        self.create()
        seconds = self.value(REQUESTS.replace("count", "sum"), route="/tasks", method="POST")
        self.assertGreater(seconds, 0)
        self.assertLess(seconds, at_most(10))

    def test_no_client_makes_new_names(self) -> None:
        """Paths, methods and statuses are of a few kinds, however many are tried."""
        chance = random.Random(6)

        def word() -> str:
            return "".join(chance.choices(string.ascii_letters, k=8))

        for _ in range(60):
            self.ask("GET", f"/{word()}/{word()}")
            self.ask("GET", f"/tasks/{word()}")
            self.ask("GET", f"/tasks?{word()}={word()}")
            self.ask(word().upper(), "/tasks")
        found = samples(self.ask("GET", "/metrics").body.decode())[REQUESTS]
        names = {dict(labels)["route"] for labels in found}
        routes = {path.split("/{file}")[0] for path in all_paths()}
        self.assertLessEqual(names, routes | {"other", "refused"})
        self.assertIn("/tasks/{id}", names)
        methods = {dict(labels)["method"] for labels in found}
        self.assertEqual(methods, {"GET", "other"})
        self.assertLess(len(found), 10)

    def test_what_it_is_and_that_head_has_no_body(self) -> None:
        answer = self.ask("GET", "/metrics")
        self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertEqual(self.ask("HEAD", "/metrics").body, b"")


class RefusedTest(MetricsCase):

    def test_what_the_connection_refuses_is_counted(self) -> None:
        self.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: %b\r\n\r\n" % (b"x" * 20_000))
        self.send(b"nonsense\r\n\r\n")
        self.assertEqual(self.value(REQUESTS, route="refused", status="431"), 1)
        self.assertEqual(self.value(REQUESTS, route="refused", status="400"), 1)


@on_every_engine
class StoreTest(MetricsCase):

    def test_an_operation_of_the_store_is_counted_by_engine_and_name(self) -> None:
        def count(operation: str) -> float:
            return self.value(STORE, engine=self.engine, operation=operation)

        path = self.create()
        self.assertEqual(count("create"), 1)
        for method, asked, body, operation in (
                ("GET", path, None, "read"), ("PUT", path, '{"title": "b"}', "update"),
                ("GET", "/tasks", None, "page"), ("GET", "/tasks/none", None, "read"),
                ("DELETE", path, None, "delete"), ("GET", "/changes", None, "changes"),
                ("GET", "/tasks?q=a", None, "revision"), ("GET", "/readyz", None, "ready")):
            with self.subTest(operation):
                before = count(operation)
                self.ask(method, asked, body, If_None_Match='"1"')
                self.assertGreaterEqual(count(operation), before + 1)
        self.assertEqual({dict(labels)["engine"] for labels in samples(
            self.ask("GET", "/metrics").body.decode())[STORE]}, {self.engine})

    def test_the_log_of_sqlite_has_a_size(self) -> None:
        self.create()
        self.assertEqual(self.value(WAL) > 0, self.engine == "sqlite")

    def test_writes_and_the_transactions_they_share_are_counted(self) -> None:
        for _ in range(3):
            self.create()
        expected = 3 if self.engine in ("sqlite", "postgres") else 0
        self.assertEqual(self.value("taskservice_store_grouped_writes_total"), expected)
        self.assertEqual(self.value("taskservice_store_write_groups_total"), expected, "none waited for another")
        self.assertEqual(self.value("taskservice_store_writes_waiting"), 0)

    def test_the_pool_of_postgres_is_measured(self) -> None:
        self.ask("GET", "/tasks")
        found = {name: self.value(f"taskservice_postgres_pool_{name}") for name in (
            "size", "idle", "in_use", "waiting", "waits_total", "wait_seconds_total")}
        there = int(self.engine == "postgres")
        self.assertEqual(found, {
            "size": 10 * there, "idle": there, "in_use": 0, "waiting": 0, "waits_total": 0, "wait_seconds_total": 0})

    def test_a_list_without_a_condition_asks_for_no_revision(self) -> None:
        self.ask("GET", "/tasks")
        self.assertEqual(self.value(STORE, operation="revision"), 0)

    def test_head_reads_the_first_page_of_a_list(self) -> None:
        lines = b'{"title": "a"}\n' * 250
        self.assertEqual(self.ask("POST", "/tasks", lines, Content_Type=NDJSON).code, 200)
        pages = []
        for method in ("HEAD", "GET"):
            before = self.value(STORE, operation="page")
            self.ask(method, "/tasks")
            pages.append(self.value(STORE, operation="page") - before)
        self.assertEqual(pages, [1, 3])


@on_both_servers
class GoingOnTest(MetricsCase):
    """What is going on: requests in flight, event streams; both end with what they count."""

    def test_an_event_stream_is_one_while_it_is_open(self) -> None:
        self.assertEqual((self.value(IN_FLIGHT), self.value(STREAMS)), (1, 0), "this one is, too")

        async def open_two() -> list[EventStream]:
            return [await EventStream.open(self.get_http_port()) for _ in range(2)]

        streams = self.io_loop.run_sync(open_two)
        self.wait_for(STREAMS, 2)
        self.assertEqual(self.value(IN_FLIGHT), 3)
        self.io_loop.run_sync(streams[0].close)
        self.wait_for(STREAMS, 1)
        self.io_loop.run_sync(streams[1].close)
        self.wait_for(STREAMS, 0)
        self.assertEqual(self.value(IN_FLIGHT), 1)

    def test_nothing_is_left_of_requests_that_went_wrong(self) -> None:
        path = self.create()
        for method, asked, body in (
                ("GET", "/nope", None), ("FROB", "/tasks", None), ("FROB", "/nope", None),
                ("POST", "/tasks", "x"), ("DELETE", "/tasks", None), ("GET", "/tasks/none", None)):
            self.ask(method, asked, body)
        self.ask("POST", "/tasks", "{}", Sec_Fetch_Site="cross-site")
        self.ask("GET", "/tasks", Host="example.com")
        self.send(b"nonsense\r\n\r\n")
        self.send(b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path.encode())
        self.io_loop.run_sync(self.service.stop)
        self.ask("GET", "/tasks")
        self.io_loop.run_sync(self.service.start)
        self.assertEqual(self.value(IN_FLIGHT), 1)

    def wait_for(self, name: str, value: float) -> None:
        """Wait until a value is that: a stream that was left ends a moment later."""
        wait_until(lambda: self.value(name) == value, f"{name} = {value}", 10)


@contextmanager
def halted(pid: int) -> Iterator[None]:
    """Halt a process meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class WorkersTest(unittest.TestCase):
    """Each worker answers for all of them, and for those that died."""

    def test_what_they_count_adds_up(self) -> None:
        service, first, second = self.start()
        environ = Path(f"/proc/{first}/environ").read_bytes()
        name = environ.partition(b"PROMETHEUS_MULTIPROC_DIR=")[2].partition(b"\0")[0].decode()
        files = sorted(os.listdir(name))
        for number, worker in enumerate((first, second), 1):
            with halted(worker):  # so that the other one answers
                for _ in range(5):
                    self.assertEqual(self.get("/tasks/none")[0], 404)
                self.assertEqual(self.counted(), 5 * number)
        wait_until(lambda: self.found()[IN_FLIGHT] == {frozenset(): 1}, "just this one in flight")
        found = self.found()
        self.assertEqual(sum(found["taskservice_build_info"].values()), 1)
        self.assertIn(WAL, found)
        self.assertEqual(total(found[RESTARTS]), 0)
        for measured in ("process_open_fds", "process_start_time_seconds", "python_gc_collections_total"):
            self.assertGreater(total(found[measured]), 0)
        self.assertGreaterEqual(total(found[STORE], engine="sqlite", operation="read"), 10)
        with self.subTest("one that dies takes what it counted not with it, but what it was at"):
            with halted(first):
                stream = self.hang("/changes", Accept="text/event-stream")
                wait_until(lambda: self.found()[STREAMS] == {frozenset(): 1}, "the stream", 10)
            os.kill(second, signal.SIGKILL)
            wait_until(lambda: sum('"STARTING"' in line for line in list(service.stdout)) == 4, "another")
            self.assertEqual(self.found()[STREAMS], {frozenset(): 0})
            self.assertEqual(total(self.found()[RESTARTS]), 1)
            self.assertEqual(self.counted(), 10)
            stream.join(PATIENCE)
            with halted(first):
                self.assertEqual(self.get("/tasks/none")[0], 404)
                self.assertEqual(self.counted(), 11, "its successor goes on where it ended")
        self.assertEqual(sorted(os.listdir(name)), files)
        self.assertEqual(service.stop(), 0)
        self.assertFalse(os.path.exists(name))

    def test_what_goes_on_in_each_of_them_adds_up(self) -> None:
        """Also while a request that hangs is all that one of them has done."""
        service, *workers = self.start()
        for worker in workers:
            with halted(worker):  # so that the other one takes the request
                stream = self.enterContext(peer(self.port))
                stream.send(request("GET", "/changes", Accept="text/event-stream"))
                self.assertIn("200 OK", stream.head())
        for worker in workers:
            wait_until(lambda: self.seen_beside(worker) == (3, 2, 0), "both streams, and the request that asks", 10)
        self.assertEqual(service.stop(), 0)

    def seen_beside(self, worker: int) -> tuple[float, ...]:
        """Return what goes on, as the other worker shows."""
        with halted(worker):
            found = self.found()
        return tuple(sum(found[name].values()) for name in (IN_FLIGHT, STREAMS, ENDED))

    def start(self) -> tuple[ServiceProcess, int, int]:
        """Start a service with two workers, and return the ids of their processes."""
        folder = Path(self.enterContext(quick_folder()))
        service = self.enterContext(
            running(folder, {"sqlite": str(folder / "tasks.db")}, "--workers", "2"))
        self.port = service.port
        parent = service.process.pid
        wait_until(lambda: sum('"STARTING"' in line for line in list(service.stdout)) == 3, "workers")
        first, second = children(parent)
        return service, first, second

    def hang(self, path: str, **headers: str) -> threading.Thread:
        """Ask for something that does not end, until it does."""
        def ask() -> None:
            try:
                self.get(path, **headers)
            except (OSError, http.client.HTTPException):
                pass
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        return thread

    def found(self) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
        """Return all samples."""
        return samples(self.get("/metrics")[1].decode())

    def counted(self) -> float:
        """Return how many requests for a task that is not there were counted."""
        return total(self.found()[REQUESTS], route="/tasks/{id}", status="404")

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """Ask on a connection of its own."""
        connection = http.client.HTTPConnection("localhost", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


del MetricsCase

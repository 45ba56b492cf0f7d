"""SIGTERM and SIGINT: what is in flight is answered, nobody else is let in, the end is clean."""

import contextlib
import signal
import socket
import sqlite3
import threading
import time
import unittest
from collections.abc import Mapping
from pathlib import Path

from tests.contract import quick_folder
from tests.helpers.api import NDJSON, wait_until
from tests.helpers.processes import PATIENCE, ServiceProcess, alive, children
from tests.helpers.raw import Peer, request
from tests.helpers.running import running
from tests.helpers.timing import in_time

TASK = b'{"title": "a"}'


class DrainCase(unittest.TestCase):

    server = "taskservice"
    options: tuple[str, ...] = ()
    http: Mapping[str, object] = {}

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))
        self.file = self.folder / "tasks.db"
        self.service: ServiceProcess = self.enterContext(running(
            self.folder, {"sqlite": {"path": str(self.file), "busy-timeout": 10}}, *self.options,
            http={"server": self.server, **self.http}))

    def connect(self) -> Peer:
        """Return a new client, whose connection has been used."""
        client = Peer(self.service.port)
        self.addCleanup(client.close)
        self.assertEqual(client.ask("GET", "/healthz")[0], 200)
        return client

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal, and wait until it has been seen."""
        self.service.process.send_signal(number)
        self.service.wait_for_line("SHUTTING DOWN")
        wait_until(lambda: not self.listens(), "nobody else is let in")

    def listens(self) -> bool:
        """Return whether new connections are taken."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.service.port)) == 0

    def assert_an_event_stream_over_http_1_0_ends_between_events(self) -> None:
        """It has no whole that a cut one could pass for: it ends, with no reset."""
        stream = self.connect()
        stream.send(b"GET /changes HTTP/1.0\r\nConnection: keep-alive\r\n"
                    b"Accept: text/event-stream\r\n\r\n")
        data = stream.sock.recv(1 << 16)
        self.assertEqual(self.connect().ask("POST", "/tasks", TASK)[0], 201)
        self.signal()
        while piece := stream.sock.recv(1 << 16):
            data += piece
        self.assertNotIn(b"chunked", data)
        self.assertTrue(data.endswith(b"\n\n"), data)
        self.assert_ended()

    def assert_ended(self) -> None:
        """It ends by itself, cleanly, and says so."""
        self.assertEqual(self.service.process.wait(PATIENCE), 0)
        self.service.close()
        self.assertIn('"STOPPED"', self.service.stdout[-1])
        self.assertEqual(self.service.stderr, [])


class ShutdownDelayTest(DrainCase):
    """A load balancer sees /readyz fail while requests are still served, and sends no more."""

    http = {"shutdown-delay": 2, "drain-timeout": 5}

    def test_it_serves_on_and_is_not_ready(self) -> None:
        kept = self.connect()
        stopped = time.monotonic()
        self.service.process.send_signal(signal.SIGTERM)
        self.service.wait_for_line("SHUTTING DOWN")
        for client in (kept, self.connect()):
            self.assertEqual(client.ask("GET", "/readyz")[0], 503)
            code, headers, _ = client.ask("POST", "/tasks", TASK)
            self.assertEqual((code, headers.get("connection")), (201, None))
        wait_until(lambda: not self.listens(), "nobody else is let in")
        self.assertGreaterEqual(time.monotonic() - stopped, 2)
        self.assert_ended()

    def test_a_second_signal_ends_it_at_once(self) -> None:
        self.service.process.send_signal(signal.SIGTERM)
        self.service.wait_for_line("SHUTTING DOWN")
        self.assertEqual(self.service.stop(), 143)


class ShutdownDelayOnTornadoTest(ShutdownDelayTest):

    server = "tornado"


class ShutdownDelayOfWorkersTest(ShutdownDelayTest):

    options = ("--workers", "2")

    def stop(self) -> None:
        """Send a signal, and wait until both workers have seen it."""
        self.wait_for_lines(3, "STARTING")  # the parent's, too
        self.service.process.send_signal(signal.SIGTERM)
        self.wait_for_lines(2, "SHUTTING DOWN")

    def wait_for_lines(self, count: int, event: str) -> None:
        wait_until(lambda: sum(f'"{event}"' in line for line in self.service.stdout) == count, event)

    def test_it_serves_on_and_is_not_ready(self) -> None:
        kept = self.connect()
        self.stop()
        for client in (kept, self.connect()):
            self.assertEqual(client.ask("GET", "/readyz")[0], 503)
            self.assertEqual(client.ask("POST", "/tasks", TASK)[0], 201)
        self.assert_ended()

    def test_a_second_signal_ends_it_at_once(self) -> None:
        self.stop()
        self.assertEqual(self.service.stop(), 143)


class DrainTest(DrainCase):

    def test_a_request_in_flight_is_answered_and_the_last_of_its_connection(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                self.setUp()
                client = self.connect()
                client.send(request("POST", "/tasks", TASK)[:-4])
                time.sleep(0.05)  # so that it has begun; if it has not, it is answered all the same
                self.signal(number)
                client.send(TASK[-4:])
                code, headers, _ = client.answer()
                self.assertEqual((code, headers["connection"]), (201, "close"))
                self.assertEqual(client.rest(), b"")
                self.assert_ended()

    def test_a_write_that_waits_for_the_store_is_answered(self) -> None:
        client = self.connect()
        with contextlib.closing(sqlite3.connect(self.file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            client.send(request("POST", "/tasks", TASK))
            time.sleep(0.1)
            self.signal()
            self.assertIsNone(self.service.process.poll())
            other.execute("ROLLBACK")
        self.assertEqual(client.answer()[0], 201)
        self.assert_ended()

    def test_it_is_not_ready_any_more(self) -> None:
        holds, asks = self.connect(), self.connect()
        holds.send(request("POST", "/tasks", TASK)[:-4])
        self.signal()
        code, headers, _ = asks.ask("GET", "/readyz")
        self.assertEqual((code, headers["connection"]), (503, "close"))
        self.assertGreater(int(headers["retry-after"]), 0)
        self.assertEqual(asks.rest(), b"")
        holds.send(TASK[-4:])
        self.assertEqual(holds.answer()[0], 201)
        self.assert_ended()

    def test_event_streams_end_and_so_do_idle_connections(self) -> None:
        streams = [self.connect() for _ in range(3)]
        idle = self.connect()
        for stream in streams:
            stream.send(request("GET", "/changes", Accept="text/event-stream"))
            self.assertIn("200 OK", stream.head())
        with in_time(self, 10):
            self.signal()
            for stream in streams:
                self.assertTrue(stream.rest().endswith(b"\r\n0\r\n\r\n"), "the stream's clean end")
            self.assertEqual(idle.rest(), b"")
            self.assert_ended()

    def test_an_event_stream_over_http_1_0(self) -> None:
        self.assert_an_event_stream_over_http_1_0_ends_between_events()

    def test_a_long_answer_goes_out_whole(self) -> None:
        line = b'{"title": "%b"}\n' % (b"x" * 10_000)
        for _ in range(2):
            self.assertEqual(self.connect().ask("POST", "/tasks", line * 1_000, Content_Type=NDJSON)[0], 200)
        reader = self.connect()
        reader.send(request("GET", "/tasks", Accept=NDJSON, Connection="close"))
        self.assertIn("200 OK", reader.head())
        self.signal()
        answer = reader.rest()
        self.assertEqual(answer.count(b'"revision"'), 2_000)
        self.assertTrue(answer.endswith(b"\r\n0\r\n\r\n"))
        self.assert_ended()

    def test_a_second_signal_ends_it_at_once(self) -> None:
        for numbers in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)):
            with self.subTest(numbers):
                self.setUp()
                self.connect().send(request("POST", "/tasks", TASK)[:-4])
                self.signal(numbers[0])
                with in_time(self, 5):
                    self.service.process.send_signal(numbers[1])
                    self.assertEqual(self.service.process.wait(PATIENCE), 128 + numbers[1])
                self.service.close()


class DrainOfWorkersTest(DrainCase):

    options = ("--workers", "2")

    def setUp(self) -> None:
        super().setUp()
        self.started = sum('"STARTING"' in line for line in self.service.stdout)
        wait_until(lambda: sum('"STARTING"' in line for line in list(self.service.stdout)) == 3, "workers")

    def test_what_is_in_flight_is_answered_by_each(self) -> None:
        clients = [self.connect() for _ in range(8)]
        for client in clients:
            client.send(request("POST", "/tasks", TASK)[:-4])
        time.sleep(0.05)
        self.signal()
        for client in clients:
            client.send(TASK[-4:])
        for client in clients:
            code, headers, _ = client.answer()
            self.assertEqual((code, headers["connection"]), (201, "close"))
        self.assert_ended()

    def test_a_second_signal_ends_all_at_once(self) -> None:
        workers = children(self.service.process.pid)
        environ = Path(f"/proc/{min(workers)}/environ").read_bytes().split(b"\0")
        [metrics] = [Path(pair.partition(b"=")[2].decode()) for pair in environ
                     if pair.startswith(b"PROMETHEUS_MULTIPROC_DIR=")]
        self.assertTrue(metrics.is_dir())
        for _ in range(4):
            self.connect().send(request("POST", "/tasks", TASK)[:-4])
        self.signal()
        self.service.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.service.process.wait(PATIENCE), 128 + signal.SIGTERM)
        wait_until(lambda: not any(map(alive, workers)), "the end of the workers", 5)
        self.assertFalse(metrics.exists())


class DrainOfTornadoTest(DrainCase):
    """Tornado's own server: what is with a handler is answered, then all connections are closed."""

    server = "tornado"

    def test_a_write_that_waits_for_the_store_is_answered(self) -> None:
        client = self.connect()
        with contextlib.closing(sqlite3.connect(self.file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            client.send(request("POST", "/tasks", TASK))
            time.sleep(0.1)
            self.signal()
            other.execute("ROLLBACK")
        self.assertEqual(client.answer()[0], 201)
        self.assert_ended()

    def test_an_event_stream_over_http_1_0(self) -> None:
        self.assert_an_event_stream_over_http_1_0_ends_between_events()

    def test_event_streams_end(self) -> None:
        stream = self.connect()
        stream.send(request("GET", "/changes", Accept="text/event-stream"))
        self.assertIn("200 OK", stream.head())
        self.signal()
        self.assertTrue(stream.rest().endswith(b"\r\n0\r\n\r\n"))
        self.assert_ended()

    def test_a_second_signal_ends_it_at_once(self) -> None:
        client = self.connect()
        with contextlib.closing(sqlite3.connect(self.file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            threading.Timer(0, client.send, [request("POST", "/tasks", TASK)]).start()
            time.sleep(0.1)
            self.signal()
            self.service.process.send_signal(signal.SIGTERM)
            self.assertEqual(self.service.process.wait(PATIENCE), 128 + signal.SIGTERM)


del DrainCase

if __name__ == "__main__":
    unittest.main()

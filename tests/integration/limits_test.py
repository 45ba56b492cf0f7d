"""Each limit of the config holds in a running service, and what is cut does not hurt the others."""

import contextlib
import json
import re
import resource
import sqlite3
import threading
import time
import unittest
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.contract import quick_folder
from tests.helpers.api import NDJSON, wait_until
from tests.helpers.processes import ServiceProcess
from tests.helpers.raw import Peer, peer, request
from tests.helpers.running import READER, TOKENS, WRITER, bearer, running
from tests.helpers.timing import at_most, in_time
from tests.helpers.transfer import call

SHORT = 0.4
"""Seconds of the limits that are tested."""

LONG = 30.0
"""Seconds of those that must not strike meanwhile."""

LATE = at_most(5)
"""Seconds by which a limit may strike late, and no more."""

TASK = b'{"title": "a"}'


class LimitsCase(unittest.TestCase):
    """A service of which one limit is small."""

    server = "taskservice"
    auth: Mapping[str, Any] = {}

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))

    def serve(self, task_db: Mapping[str, Any] | None = None, **limits: Any) -> ServiceProcess:
        """Start it; `a_b` is the key a-b."""
        http = {"server": self.server, **{name.replace("_", "-"): value for name, value in limits.items()}}
        self.service: ServiceProcess = self.enterContext(
            running(self.folder, task_db or {"memory": None}, http=http, auth=self.auth))
        return self.service

    def connect(self) -> Peer:
        """Return a new client."""
        client = Peer(self.service.port)
        self.addCleanup(client.close)
        return client

    @contextmanager
    def within(self, least: float) -> Iterator[None]:
        """What is in the block takes `least` seconds, and not much more."""
        started = time.monotonic()
        yield
        took = time.monotonic() - started
        self.assertGreater(took, least - 0.05)
        self.assertLess(took, least + LATE)

    def assert_takes_lines(self, most: int) -> None:
        """More lines create nothing, and the connection goes on."""
        client, line = self.connect(), b'{"title": "a"}\n\n'
        code, headers, answer = client.ask("POST", "/tasks", line * (most + 1), Content_Type=NDJSON)
        self.assertEqual((code, headers.get("connection")), (413, None))
        self.assertEqual(
            json.loads(answer)["message"], f"The body has more than {most} lines, the limit http.max-ndjson-lines")
        self.assertEqual(client.ask("GET", "/tasks")[2], b"{}")
        self.assertEqual(client.ask("POST", "/tasks", line * most, Content_Type=NDJSON)[0], 200)

    def assert_serves(self) -> None:
        """Others are served."""
        with peer(self.service.port) as other:
            self.assertEqual(other.ask("GET", "/healthz")[0], 200)


class SizesTest(LimitsCase):

    def setUp(self) -> None:
        super().setUp()
        self.serve(max_header=1000, max_body=500, max_ndjson_body=2000)

    def test_a_head(self) -> None:
        for size, status in ((1000, 200), (1001, 431)):
            padding = size - len(request("GET", "/tasks", X=""))
            self.assertEqual(self.connect().ask("GET", "/tasks", X="x" * padding)[0], status)

    def test_a_body(self) -> None:
        for size, status in ((500, 201), (501, 413)):
            body = b'{"title": "%b"}' % (b"x" * (size - 13))
            self.assertEqual(len(body), size)
            for method, path, else_ in (
                    ("POST", "/tasks", 201), ("PUT", "/tasks/none", 404), ("PATCH", "/tasks/none", 404)):
                client = self.connect()
                code, headers, answer = client.ask(method, path, body)
                self.assertEqual(code, else_ if status == 201 else status, answer)
                self.assertEqual(headers.get("connection"), None if status == 201 else "close")
                if status == 413:
                    self.assertEqual(json.loads(answer)["message"], HTTPStatus(413).phrase)
                    self.assertEqual(client.rest(), b"", "it closes")
        stored = json.loads(self.connect().ask("GET", "/tasks")[2])
        self.assertEqual(list(stored.values()), [{"title": "x" * 487}])

    def test_a_body_of_lines(self) -> None:
        for size, status in ((2000, 200), (2001, 413)):
            lines = [b'{"title": "%b"}\n' % (b"x" * 386)] * 5
            body = b"".join(lines)[:-1] + b" " * (size - 1999)
            self.assertEqual(len(body), size)
            self.assertEqual(
                self.connect().ask("POST", "/tasks", body, Content_Type=NDJSON)[0], status)

    def test_the_media_type_is_that_in_any_case(self) -> None:
        body = b'{"title": "%b"}\n' % (b"x" * 386) * 4
        self.assertEqual(
            self.connect().ask("POST", "/tasks/", body, Content_Type="Application/X-NDJSON; a=b")[0], 200)

    def test_the_larger_limit_is_for_lines_only(self) -> None:
        for method, path, kind in (("POST", "/tasks", "application/json"), ("PUT", "/tasks/x", NDJSON),
                                   ("POST", "/nope", NDJSON)):
            code = self.connect().ask(method, path, b" " * 501, Content_Type=kind)[0]
            self.assertIn(code, (404, 413, 415))


class LinesTest(LimitsCase):

    def test_the_lines_of_a_body(self) -> None:
        self.serve(max_ndjson_lines=3)
        self.assert_takes_lines(3)

    def test_an_import_sends_as_many_as_are_taken(self) -> None:
        self.serve(max_ndjson_lines=300)
        url, file = f"http://localhost:{self.service.port}", self.folder / "tasks.ndjson"
        file.write_bytes(b"".join(b'{"title": "%d"}\n' % number for number in range(1_100)))
        self.assertEqual(call("import", url, file), (0, "imported 1100 tasks\n", ""))
        stored = json.loads(self.connect().ask("GET", "/tasks")[2])
        self.assertEqual([task["title"] for task in stored.values()], [str(number) for number in range(1_100)])


class TokensTest(LimitsCase):

    auth = {"tokens": TOKENS}

    def test_the_larger_limit_is_for_who_may_write(self) -> None:
        """Nobody else could send so much for nothing: it is refused before it has come."""
        self.serve(max_body=500, max_ndjson_body=2000)
        for fields, status in ((bearer(READER), 403), ({}, 401), ({**bearer(WRITER), "Host": "evil"}, 421)):
            client = self.connect()
            client.send(request("POST", "/tasks", b"", 2000, Content_Type=NDJSON, **fields))
            self.assertEqual(client.answer()[0], status)
        client = self.connect()
        client.send(request("POST", "/tasks", b"{", 2000, Content_Type=NDJSON, **bearer(WRITER)))
        client.send(b'"title": "a"}' + b" " * 1986)
        self.assertEqual(client.answer()[0], 200)


class TimesTest(LimitsCase):

    def test_an_idle_connection(self) -> None:
        self.serve(idle_timeout=SHORT, header_timeout=LONG, body_timeout=LONG, reader_timeout=LONG)
        fresh, used = self.connect(), self.connect()
        used.ask("GET", "/tasks")
        with self.within(SHORT):
            self.assertEqual((fresh.rest(), used.rest()), (b"", b""))

    def test_a_slow_head(self) -> None:
        self.serve(idle_timeout=LONG, header_timeout=SHORT, body_timeout=LONG, reader_timeout=LONG)
        client = self.connect()
        client.send(b"GET /tasks HTTP/1.1\r\nHost: localhost\r\n")
        with self.within(SHORT):
            self.assertEqual(client.answer()[0], 408)
            client.rest()
        self.assert_serves()

    def test_a_slow_body(self) -> None:
        self.serve(header_timeout=LONG, body_timeout=SHORT, reader_timeout=LONG)
        client = self.connect()
        client.send(request("POST", "/tasks", TASK, 100, X_Request_Id="mine"))
        with self.within(SHORT):
            code, headers, body = client.answer()
            client.rest()
        self.assertEqual((code, json.loads(body)["code"], headers["connection"]), (408, 408, "close"))
        self.assertEqual(headers["x-request-id"], "mine")
        self.assert_serves()

    def test_a_slow_reader(self) -> None:
        self.serve(header_timeout=LONG, body_timeout=LONG, reader_timeout=SHORT, answer_timeout=LONG)
        line = b'{"title": "%b"}\n' % (b"x" * 10_000)
        for _ in range(3):  # more than the kernel takes for a client that reads nothing
            self.assertEqual(self.connect().ask("POST", "/tasks", line * 1_000, Content_Type=NDJSON)[0], 200)
        client = self.connect()
        client.send(request("GET", "/tasks"))
        self.assertIn("200 OK", client.head())
        wait_until(lambda: self.cut() == 1, "the end of the slow reader", LATE)
        self.assert_serves()

    def cut(self) -> int:
        """Return how many answers were broken off, as the log shows."""
        reason = 'reason="cut: the client took nothing in reader-timeout"'
        return sum(reason in line for line in list(self.service.stdout))

    def test_a_slow_answer(self) -> None:
        """Another process holds the database: the write waits for it longer than the client may."""
        file = self.folder / "tasks.db"
        self.serve({"sqlite": {"path": str(file), "busy-timeout": 5}}, answer_timeout=SHORT,
                   header_timeout=LONG, body_timeout=LONG, reader_timeout=LONG)
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            client = self.connect()
            with self.within(SHORT):
                code, headers, body = client.ask("POST", "/tasks", TASK)
                client.rest()
            self.assertEqual(code, 503)
            self.assertIn("the write may still take place", json.loads(body)["message"])
            self.assertGreater(int(headers["retry-after"]), 0)
            self.assert_serves()
            metrics = self.connect().ask("GET", "/metrics")[2].decode()
            [took] = re.findall(r'seconds_sum{method="POST",route="refused",status="503"} ([\d.]+)', metrics)
            self.assertGreater(float(took), SHORT - 0.05)
            other.execute("ROLLBACK")
        self.assertEqual(self.connect().ask("POST", "/tasks", TASK)[0], 201)
        # What became of it is logged when it is known, by the id that the client was given; it is not counted again.
        metrics = self.connect().ask("GET", "/metrics")[2].decode()
        self.assertEqual(re.findall(r'seconds_count{method="POST",route="(.*)",status="(.*)"} (.*)', metrics),
                         [("refused", "503", "1.0"), ("/tasks", "201", "1.0")])
        self.service.stop()
        logged = [line for line in self.service.stdout if f'req_id="{headers["x-request-id"]}"' in line]
        self.assertEqual([re.findall(r'message="([A-Z ]+)" status=(\d+)', line) for line in logged],
                         [[("RESPONSE", "503")], [("LATE RESPONSE", "201")]])

    def test_a_bulk_whose_answer_is_late(self) -> None:
        """It still takes place, and its key says so; one that waited for its turn meanwhile never begins."""
        file = self.folder / "tasks.db"
        self.serve({"sqlite": {"path": str(file), "busy-timeout": 30}}, answer_timeout=SHORT,
                   header_timeout=LONG, body_timeout=LONG, reader_timeout=LONG)
        bulk = {"Content_Type": NDJSON, "Idempotency_Key": "k"}
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            first, second = self.connect(), self.connect()
            first.send(request("POST", "/tasks", TASK + b"\n" + TASK, **bulk))
            code, _, body = first.answer()
            second.send(request("POST", "/tasks", b'{"title": "never"}', Content_Type=NDJSON))
            self.assertEqual((code, second.answer()[0]), (503, 503))
            self.assertIn(
                "the write may still take place: to find out, send it again with the same Idempotency-Key",
                json.loads(body)["message"])
            other.execute("ROLLBACK")
        code, headers, lines = self.connect().ask("POST", "/tasks", TASK + b"\n" + TASK, **bulk)
        self.assertEqual((code, headers["idempotent-replayed"]), (200, "true"))
        tasks = json.loads(self.connect().ask("GET", "/tasks")[2])
        self.assertEqual(
            {json.loads(line)["id"]: {"title": "a"} for line in lines.splitlines()}, tasks)
        self.service.stop()
        ends = [re.findall(r'message="LATE RESPONSE" status=(\d+)', line) for line in self.service.stdout]
        self.assertEqual(sorted(status for found in ends for status in found), ["200", "499"])

    def test_the_drain(self) -> None:
        """What does not end in time is cut, and the end is a clean one."""
        self.serve(drain_timeout=SHORT, body_timeout=LONG)
        client = self.connect()
        client.send(request("POST", "/tasks", TASK, 100))
        client_that_idles = self.connect()
        client_that_idles.ask("GET", "/healthz")
        with self.within(SHORT):
            self.assertEqual(self.service.stop(), 0)
        self.assertEqual(client.rest(), b"")
        self.assertIn('"STOPPED"', self.service.stdout[-1])


class ConnectionsTest(LimitsCase):

    def test_one_too_many_is_refused_unless_it_is_a_probe(self) -> None:
        self.serve(max_connections=3)
        clients = [self.connect() for _ in range(3)]
        for client in clients:
            self.assertEqual(client.ask("GET", "/tasks")[0], 200)
        for path, status in (("/healthz", 200), ("/readyz/", 200), ("/tasks", 503), ("/healthz?a", 200)):
            code, headers, body = self.connect().ask("GET", path)
            self.assertEqual((code, headers["connection"]), (status, "close"))
            if status == 503:
                self.assertEqual(
                    (json.loads(body)["message"], headers["retry-after"]),
                    ("All connections are taken (max-connections)", "1"))
        clients[0].close()
        self.assertEqual(self.connect().ask("GET", "/tasks")[0], 200)

    def test_descriptors_that_run_out_come_back(self) -> None:
        self.serve()
        self.assert_serves()
        self.run_out_of_descriptors()

    def run_out_of_descriptors(self) -> None:
        """Let clients take all descriptors, leave, and ask again: it answers within a second."""
        pid = self.service.process.pid
        used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 8, most))
        clients = [self.connect() for _ in range(30)]
        wait_until(lambda: len(list(Path(f"/proc/{pid}/fd").iterdir())) >= used + 8, "none is left")
        self.assertEqual(clients[0].ask("GET", "/healthz")[0], 200, "who has one is served")
        waits = Peer(self.service.port)
        for client in clients:
            client.close()
        with in_time(self, 1):
            self.assertEqual(waits.ask("GET", "/healthz")[0], 200)
        waits.close()
        self.assert_serves()


class BacklogTest(LimitsCase):

    def test_an_event_stream_that_falls_behind_is_cut_off_and_comes_back(self) -> None:
        self.serve(stream_backlog=20, reader_timeout=LONG)
        stream = self.connect()
        stream.send(request("GET", "/changes", Accept="text/event-stream", Connection="close"))
        self.assertIn("200 OK", stream.head())
        body = b'{"title": "%b"}' % (b"x" * 60_000)
        done = threading.Event()

        def write() -> None:
            with peer(self.service.port) as writer:
                for _ in range(400):  # 24 MB, and it reads nothing
                    assert writer.ask("POST", "/tasks", body)[0] == 201
            done.set()

        threading.Thread(target=write, daemon=True).start()
        self.assertTrue(done.wait(LONG))
        read = stream.rest()
        self.assertLess(read.count(b"id: "), 400)
        last = int(read.rpartition(b"\nid: ")[2].split()[0])
        again = self.connect()
        again.send(request("GET", "/changes", Accept="text/event-stream", Last_Event_ID=str(last)))
        self.assertIn("200 OK", again.head())


class TornadoTest(LimitsCase):
    """What holds where the config chooses Tornado's own server."""

    server = "tornado"

    def test_sizes(self) -> None:
        self.serve(max_header=1000, max_body=500, max_ndjson_body=2000)
        self.assertEqual(self.connect().ask("GET", "/tasks")[0], 200)
        client = self.connect()
        client.send(request("GET", "/tasks", X="x" * 2000))
        self.assertEqual(client.rest(), b"", "it closes without an answer")
        self.assertEqual(self.connect().ask("POST", "/tasks", b" " * 501)[0], 413)
        line = b'{"title": "%b"}\n' % (b"x" * 386)
        self.assertEqual(self.connect().ask("POST", "/tasks", line * 6, Content_Type=NDJSON)[0], 400)
        self.assertEqual(self.connect().ask("POST", "/tasks", line * 5, Content_Type=NDJSON)[0], 200)

    def test_the_lines_of_a_body(self) -> None:
        self.serve(max_ndjson_lines=3)
        self.assert_takes_lines(3)

    def test_an_idle_connection_and_a_slow_head(self) -> None:
        self.serve(idle_timeout=SHORT)
        idle, slow = self.connect(), self.connect()
        idle.ask("GET", "/tasks")
        slow.ask("GET", "/tasks")
        slow.send(b"GET /tasks HTTP/1.1\r\n")
        with self.within(SHORT):
            self.assertEqual((idle.rest(), slow.rest()), (b"", b""))

    def test_a_slow_body(self) -> None:
        self.serve(body_timeout=SHORT)
        client = self.connect()
        client.send(request("POST", "/tasks", TASK, 100))
        with self.within(SHORT):
            self.assertEqual(client.rest(), b"")
        self.assert_serves()

    def test_the_drain(self) -> None:
        self.serve(drain_timeout=SHORT)
        with self.within(0):
            self.assertEqual(self.service.stop(), 0)


del LimitsCase

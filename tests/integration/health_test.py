"""/healthz, /readyz and X-Request-Id."""

import json
import re
import unittest
from contextlib import closing

from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.api import wait_until
from tests.helpers.app import on_every_engine
from tests.helpers.raw import Peer
from tests.helpers.running import ServedTestCase, on_both_servers, running
from tests.helpers.timing import in_time
from pathlib import Path


@on_every_engine
class HealthTest(ServedTestCase):

    def test_the_process_lives_and_is_ready(self) -> None:
        for path in ("/healthz", "/readyz"):
            answer = self.ask("GET", path)
            self.assertEqual((answer.code, json.loads(answer.body)), (200, {"status": "ok"}))
            self.assertEqual(answer.headers["Content-Type"], "application/json; charset=UTF-8")
            self.assertEqual(self.ask("HEAD", path).body, b"")
            self.assertEqual(self.ask("POST", path, "{}").code, 405)

    def test_without_its_store_it_lives_and_is_not_ready(self) -> None:
        self.io_loop.run_sync(self.service.stop)
        answer = self.ask("GET", "/readyz")
        self.assertEqual((answer.code, answer.reason), (503, "Service Unavailable"))
        self.assertGreater(int(answer.headers["Retry-After"]), 0)
        self.assertEqual(self.ask("HEAD", "/readyz").code, 503)
        self.assertEqual(self.ask("GET", "/healthz").code, 200)
        self.io_loop.run_sync(self.service.start)
        self.assertEqual(self.ask("GET", "/readyz").code, 200)

    def test_when_it_is_going_away_it_lives_and_is_not_ready(self) -> None:
        self._app.dependencies.draining = True
        answer = self.ask("GET", "/readyz")
        self.assertEqual(answer.code, 503)
        self.assertIn("Retry-After", answer.headers)
        self.assertEqual(self.ask("GET", "/healthz").code, 200)


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class StoppedPostgresTest(unittest.TestCase):
    """A real server goes away, and comes back."""

    def test_the_service_is_ready_while_it_is_there(self) -> None:
        folder = Path(self.enterContext(quick_folder()))
        server = self.enterContext(postgres.PostgresServer(fsync=False))
        service = self.enterContext(running(folder, {"postgres": server.dsn()}))
        client = self.enterContext(closing(Peer(service.port)))
        self.assertEqual(client.ask("GET", "/readyz")[0], 200)
        server.stop()
        with in_time(self, 3):
            status, headers, _ = client.ask("GET", "/readyz")
        self.assertEqual(status, 503)
        self.assertGreater(int(headers["retry-after"]), 0)
        self.assertEqual(client.ask("GET", "/healthz")[0], 200)
        server.start()
        wait_until(lambda: client.ask("GET", "/readyz")[0] == 200, "ready again", 5)


@on_both_servers
class RequestIdTest(ServedTestCase):

    def test_one_that_is_well_formed_is_taken_echoed_and_logged(self) -> None:
        for name in ("x", "a.B-c_9", "0" * 128):
            for path in ("/tasks", "/nope", "/healthz"):
                answer = self.ask("GET", path, X_Request_Id=name)
                self.assertEqual(answer.headers["X-Request-Id"], name)
                self.assertEqual(self.journal.responses()[-1].values["req_id"], name)
        self.assertEqual(json.loads(self.ask("GET", "/nope", X_Request_Id="x").body)["req_id"], "x")

    def test_for_any_other_there_is_a_new_one(self) -> None:
        seen = set()
        for name in ("", "a b", "a\tb", "0" * 129, "é", "a,b", 'a"b', "a=b", "a/b", "<b>"):
            answer = self.ask("GET", "/tasks", X_Request_Id=name)
            made = answer.headers["X-Request-Id"]
            self.assertTrue(re.fullmatch("[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", made), made)
            self.assertEqual(self.journal.responses()[-1].values["req_id"], made)
            seen.add(made)
        self.assertEqual(len(seen), 10)

    def test_two_in_one_request_are_none(self) -> None:
        answer = self.send(b"GET /tasks HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\r\n"
                           b"X-Request-Id: b\r\nConnection: close\r\n\r\n")
        self.assertRegex(answer.decode(), r"\r\nX-Request-Id: [0-9a-f]{32}\r\n")

    def test_every_answer_has_one(self) -> None:
        for method, path, body in (
                ("GET", "/tasks", None), ("POST", "/tasks", "x"), ("FROB", "/tasks", None),
                ("DELETE", "/tasks", None), ("OPTIONS", "/nope", None)):
            self.assertIn("X-Request-Id", self.ask(method, path, body).headers)


@on_both_servers
class SecurityHeadersTest(ServedTestCase):
    """What every answer has, whatever it is."""

    def test_every_answer_has_them(self) -> None:
        path = self.create()
        for method, asked, body in (
                ("GET", "/tasks", None), ("HEAD", "/tasks", None), ("GET", path, None),
                ("POST", "/tasks", '{"title": "a"}'), ("PUT", path, "x"), ("GET", "/nope", None),
                ("DELETE", "/tasks", None), ("FROB", "/tasks", None), ("OPTIONS", path, None),
                ("GET", "/changes", None), ("GET", "/healthz", None), ("GET", "/readyz", None),
                ("GET", "/metrics", None), ("DELETE", path, None)):
            answer = self.ask(method, asked, body)
            with self.subTest(method=method, path=asked, status=answer.code):
                self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
                self.assertEqual(answer.headers["Cache-Control"], "private, no-cache")
                self.assertEqual(answer.headers["Server"], "taskservice")

    def test_pages_allow_no_inline_script(self) -> None:
        for path in ("/docs", "/"):
            answer = self.ask("GET", path)
            self.assertEqual(answer.code, 200)
            policy = answer.headers["Content-Security-Policy"]
            self.assertIn("default-src 'self'", policy)
            self.assertNotIn("script-src", policy)
            self.assertNotIn("unsafe-inline'; script", policy)
            self.assertIsNone(re.search(rb"<script(?![^>]*\ssrc=)", answer.body))
            self.assertIsNone(re.search(rb"\son\w+=", answer.body))


class RefusedByTheConnectionTest(ServedTestCase):
    """Also where the request never reaches the application."""

    def test_its_answer_has_them_too(self) -> None:
        for request in (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (
                b"x" * 20_000), b"nonsense\r\n\r\n"):
            head = self.send(request).split(b"\r\n\r\n")[0].decode()
            for field in ("X-Content-Type-Options: nosniff", "Cache-Control: private, no-cache",
                          "Server: taskservice", "X-Request-Id: ", "Connection: close"):
                self.assertIn(f"\r\n{field}", head)

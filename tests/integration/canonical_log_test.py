"""The log: a REQUEST line, and one canonical RESPONSE line for each request, whatever it is."""

import asyncio
import json
import re

from taskservice.tornado.app import TaskServiceApplication
from tests.helpers.app import AppTestCase, Line, logged_target

ABOUT = ["req_id", "method", "uri", "ip"]


class CanonicalLogTest(AppTestCase):

    def last(self) -> Line:
        """Return the last canonical line."""
        return self.journal.responses()[-1]

    def test_a_request_is_two_lines_with_the_keys_of_the_tutorial(self) -> None:
        answer = self.ask("GET", "/tasks")
        request, response = self.journal.lines
        self.assertEqual((request.level, response.level), ("DEBUG", "INFO"))
        self.assertEqual(list(request.values), [*ABOUT, "message", "service_name"])
        self.assertEqual(list(response.values), [*ABOUT, "message", "status", "time_ms", "store_ms", "bytes"])
        self.assertEqual(request.values, {
            "req_id": answer.headers["X-Request-Id"], "method": "GET", "uri": "/tasks",
            "ip": "127.0.0.1", "message": "REQUEST", "service_name": "Todo List Test"})

    def test_an_error_is_a_warning_with_its_reason(self) -> None:
        answer = self.ask("POST", "/tasks", "x")
        line = self.last()
        self.assertEqual(line.level, "WARNING")
        self.assertEqual(
            list(line.values), [*ABOUT, "reason", "message", "status", "time_ms", "store_ms", "bytes"])
        self.assertEqual(line.values["reason"], "Invalid JSON body")
        self.assertEqual(line.values["status"], 400)
        self.assertEqual(line.values["req_id"], answer.headers["X-Request-Id"])
        self.assertEqual(line.values["req_id"], json.loads(answer.body)["req_id"])

    def test_the_level_shows_the_status(self) -> None:
        path = self.create()
        for method, asked, body, status, level in (
                ("GET", path, None, 200, "INFO"), ("PUT", path, '{"title": "b"}', 204, "INFO"),
                ("OPTIONS", path, None, 204, "INFO"), ("HEAD", "/tasks", None, 200, "INFO"),
                ("POST", "/tasks", "{}", 400, "WARNING"), ("GET", "/nope", None, 404, "WARNING"),
                ("GET", "/tasks/none", None, 404, "WARNING"),
                ("FROB", "/tasks", None, 405, "WARNING")):
            with self.subTest(method=method, path=asked):
                self.ask(method, asked, body)
                line = self.last()
                self.assertEqual((line.level, line.values["status"]), (level, status))
                self.assertEqual((line.values["method"], line.values["uri"]), (method, asked))
                self.assertGreater(line.values["time_ms"], 0)

    def test_what_is_not_modified_is_no_error(self) -> None:
        self.ask("GET", self.create(), If_None_Match="*")
        self.assertEqual((self.last().level, self.last().values["status"]), ("INFO", 304))

    def test_every_request_has_one_canonical_line_and_at_most_one_before_it(self) -> None:
        path = self.create()
        asked = [("GET", "/tasks"), ("GET", "/nope"), ("FROB", "/tasks"), ("FROB", "/nope"),
                 ("HEAD", path), ("OPTIONS", "/tasks"), ("POST", path), ("GET", "/tasks/%ff"),
                 ("DELETE", path), ("DELETE", path)]
        ids = [self.ask(*request).headers["X-Request-Id"] for request in asked]
        self.assertEqual(
            [line.values["req_id"] for line in self.journal.responses()[1:]], ids)
        requests = [line.values["req_id"] for line in self.journal.lines
                    if line.values["message"] == "REQUEST"]
        self.assertEqual(len(requests), len(set(requests)))

    def test_no_trace_of_what_a_client_did_wrong(self) -> None:
        self.ask("GET", "/tasks/none")
        self.assertNotIn("trace", self.last().values)

    def test_requests_at_once_keep_their_lines_apart(self) -> None:
        async def all_at_once() -> None:
            await asyncio.gather(*(
                self.http_client.fetch(self.get_url(f"/tasks/{number}"), raise_error=False)
                for number in range(8)))

        self.io_loop.run_sync(all_at_once)
        by_id: dict[str, list[str]] = {}
        for line in self.journal.lines:
            by_id.setdefault(line.values["req_id"], []).append(line.values["uri"])
        self.assertEqual(len(by_id), 8)
        for uris in by_id.values():
            self.assertEqual(len(uris), 2)
            self.assertEqual(len(set(uris)), 1)


class ForgedValuesTest(AppTestCase):
    """Whatever a client sends, it can neither begin a line nor hide part of one."""

    FORGED = (
        b'/x"status=200', b"/x%0atime=%22now%22", b"/\\\"", b"/\xc2\x85level=INFO", b"/\xff\xfe",
        b"/%s%d{0}", b"/\xe2\x80\xa8x", b"/?a=\xe2\x80\xae", b"/x=1\\n")

    def test_a_forged_path_is_one_line_that_parses_back(self) -> None:
        for path in self.FORGED:
            with self.subTest(path):
                before = len(self.journal.responses())
                answer = self.send(
                    b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                # 400 where the bytes are no request target (RFC 9112 §3.2), and are refused as such
                status = b"200 OK" if path.startswith(b"/?") else b"404 Unknown Endpoint|400 Bad Request"
                self.assertRegex(answer, rb"\AHTTP/1.1 (%b)\r\n" % status)
                [line] = self.journal.responses()[before:]
                self.assertEqual(line.values["uri"], logged_target(path))

    def test_a_forged_request_id_is_not_logged(self) -> None:
        self.ask("GET", "/tasks", X_Request_Id='x" status=500 y="')
        self.assertRegex(self.journal.responses()[-1].values["req_id"], r"\A[0-9a-f]{32}\Z")

    def test_a_forged_title_is_not_on_its_line(self) -> None:
        self.ask("POST", "/tasks", json.dumps({"title": 'a\n" status=500', "x\nlevel": 1}))
        [line] = self.journal.responses()
        self.assertEqual(line.values["status"], 400)
        self.assertEqual(line.values["reason"], "JSON Schema validation failed")

    def test_a_forged_method_is_one_line(self) -> None:
        answer = self.send(b'GET"x /tasks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
        self.assertRegex(answer, rb"\A(HTTP/1.1 4\d\d |\Z)")
        self.assertTrue(all(line.values for line in self.journal.lines))


class DebugLogTest(AppTestCase):
    """In debug mode the trace of a 4xx is logged too."""

    debug_mode = True

    def test_the_trace_is_the_last_value_of_one_line(self) -> None:
        self.ask("POST", "/tasks", "x")
        [line] = self.journal.responses()
        self.assertEqual(list(line.values), [*ABOUT, "reason", "message", "status", "time_ms", "store_ms", "bytes",
                                             "trace"])
        self.assertIn("MalformedBodyError: Invalid JSON body", line.values["trace"])
        self.assertEqual(len(line.text.splitlines()), 1)

    def test_a_success_has_none(self) -> None:
        self.create()
        self.assertNotIn("trace", self.journal.responses()[-1].values)


class ServerErrorTest(AppTestCase):
    """A file of the fs engine's folder is damaged: a real 500."""

    engine = "fs"

    def setUp(self) -> None:
        super().setUp()
        self.create()

    def get_app(self) -> TaskServiceApplication:
        self.file = self.folder / "tasks" / "damaged.json"
        self.file.parent.mkdir()
        self.file.write_text("not a task", "utf-8")
        return super().get_app()

    def test_the_file_is_named_when_the_service_starts(self) -> None:
        line = self.journal.lines[0]
        self.assertEqual((line.level, line.values["message"]), ("ERROR", "DAMAGED TASK"))
        self.assertEqual(line.values["file"], str(self.file))

    def test_the_client_gets_nothing_of_the_inside(self) -> None:
        answer = self.ask("GET", "/tasks/damaged")
        self.assertEqual((answer.code, answer.reason), (500, "Internal Server Error"))
        self.assertEqual(json.loads(answer.body), {
            "method": "GET", "uri": "/tasks/damaged", "code": 500,
            "message": "Internal Server Error", "req_id": answer.headers["X-Request-Id"]})

    def test_the_log_shows_all_in_one_line(self) -> None:
        self.ask("GET", "/tasks/damaged")
        line = self.journal.responses()[-1]
        self.assertEqual((line.level, line.values["status"]), ("ERROR", 500))
        self.assertRegex(
            line.values["trace"], rf"(?s)\ATraceback .*DamagedTaskError: {re.escape(str(self.file))}")

    def test_the_other_tasks_are_there_and_the_damaged_one_can_be_replaced(self) -> None:
        self.assertEqual(len(json.loads(self.ask("GET", "/tasks").body)), 1)
        self.assertEqual(self.ask("PUT", "/tasks/damaged", '{"title": "whole"}').code, 204)
        self.assertEqual(self.ask("GET", "/tasks/damaged").body, b'{"title": "whole"}')


class StoreAwayTest(AppTestCase):
    """The store is not open: 503 while it lasts."""

    def test_a_client_may_try_again(self) -> None:
        path = self.create()
        self.io_loop.run_sync(self.service.stop)
        for method, body in (("GET", None), ("PUT", '{"title": "b"}'), ("DELETE", None)):
            with self.subTest(method):
                answer = self.ask(method, path, body)
                self.assertEqual((answer.code, answer.reason), (503, "Service Unavailable"))
                self.assertGreater(int(answer.headers["Retry-After"]), 0)
                self.assertEqual(json.loads(answer.body)["message"], "Service Unavailable")
                self.assertEqual(self.journal.responses()[-1].level, "ERROR")
        self.io_loop.run_sync(self.service.start)
        self.assertEqual(self.ask("GET", path).code, 200)

    def test_the_log_says_why_in_one_line_without_a_trace(self) -> None:
        self.io_loop.run_sync(self.service.stop)
        self.ask("GET", "/tasks")
        values = self.journal.responses()[-1].values
        self.assertEqual(values["reason"], "the memory store is not open")
        self.assertNotIn("trace", values)

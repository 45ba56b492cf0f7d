"""The request that handlers get from our own connection is Tornado's in all that can be asked."""

import json
import unittest
from types import SimpleNamespace
from typing import Any

from tornado.httputil import HTTPServerRequest

from taskservice.http1.parser import parse_head
from taskservice.tornado import fast
from taskservice.tornado.fast import Request
from taskservice.tornado.handlers.base import BaseRequestHandler
from taskservice.tornado.handlers.tasks import TodoListEntryRequestHandler
from tests.helpers.api import NDJSON, until
from tests.helpers.running import ServedTestCase


class RequestTest(unittest.TestCase):

    def both(self, head: bytes) -> tuple[Request, HTTPServerRequest]:
        """Return ours and Tornado's for one head."""
        parsed = parse_head(head)
        exchange: Any = SimpleNamespace(
            head=parsed, context=SimpleNamespace(remote_ip="10.0.0.1", protocol="https"))
        return Request(exchange), HTTPServerRequest(
            start_line=parsed.start_line, headers=parsed.headers, connection=exchange)

    def test_it_has_what_tornados_has(self) -> None:
        for head in (
                b"GET /tasks?a=1&a=2&b= HTTP/1.1\r\nHost: Localhost:8080\r\nCookie: c=d\r\n\r\n",
                b"PUT /tasks/a%20b HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
                b"GET / HTTP/1.0\r\n\r\n"):
            ours, theirs = self.both(head)
            for name in (
                    "method", "uri", "version", "path", "query", "headers", "body", "host",
                    "host_name", "remote_ip", "protocol", "files", "arguments", "query_arguments",
                    "body_arguments", "connection", "server_connection"):
                with self.subTest(name, head=head):
                    self.assertEqual(getattr(ours, name), getattr(theirs, name))
                    self.assertEqual(getattr(ours, name), getattr(theirs, name))
            for name in ("arguments", "query_arguments"):
                self.assertIs(getattr(ours, name), getattr(ours, name), "what is changed in it stays")
            self.assertEqual(ours.full_url(), theirs.full_url())
            self.assertEqual(repr(ours.cookies), repr(theirs.cookies))
            self.assertGreaterEqual(ours.request_time(), 0)

    def test_it_has_nothing_else(self) -> None:
        ours, _ = self.both(b"GET / HTTP/1.0\r\n\r\n")
        with self.assertRaises(AttributeError):
            ours.nothing


class LeanHandlerTest(ServedTestCase):
    """A handler that is made for less is the one that Tornado makes."""

    http = {"cors_origins": ["https://example.com"]}

    def both(self) -> list[BaseRequestHandler]:
        """Return a handler as our own connection has it, and one as Tornado makes it."""
        head = parse_head(b"GET /tasks/a HTTP/1.1\r\nHost: localhost\r\nOrigin: https://example.com\r\n\r\n")
        made = []
        for handler in (fast.LEAN[TodoListEntryRequestHandler], TodoListEntryRequestHandler):
            request = HTTPServerRequest(
                start_line=head.start_line, headers=head.headers, connection=SimpleNamespace(  # type: ignore[arg-type]
                    set_close_callback=id, context=SimpleNamespace(remote_ip="10.0.0.1", protocol="http")))
            made.append(handler(self._app, request, dependencies=self._app.dependencies))
        return made

    def test_it_has_the_same_attributes_but_the_namespaces_of_templates(self) -> None:
        lean, plain = self.both()
        self.assertEqual(set(vars(lean)), set(vars(plain)) - {"ui"})
        for name in ("_headers_written", "_finished", "_auto_finish", "_prepared_future", "_write_buffer",
                     "_status_code", "_reason", "application"):
            self.assertEqual(getattr(lean, name), getattr(plain, name), name)

    def test_its_answers_have_the_same_fields(self) -> None:
        lean, plain = self.both()
        for status in (200, 404):
            for handler in (lean, plain):
                handler.clear()
                handler.set_status(status)
                handler.set_header("X-Text", "a b")
                handler.set_header("X-Number", 1)
                handler.set_header("X-Bytes", b"c")
                handler.set_header("Date", "now")
                with self.assertRaises(ValueError):
                    handler.set_header("X-Lines", "a\r\nb")
            self.assertEqual(sorted(lean._headers.get_all()), sorted(plain._headers.get_all()))
            self.assertEqual(lean._headers["Server"], "taskservice")

    def test_the_settings_are_those_that_tornado_knows(self) -> None:
        self.assertEqual(set(self._app.settings), {
            "cross_origin_protection", "default_handler_args", "default_handler_class", "log_function",
            "trusted_origins"})


class BodyTest(ServedTestCase):

    def test_one_that_comes_in_many_pieces_is_put_together(self) -> None:
        """It is larger than what is read from a socket at once."""
        lines = [b'{"title": "%06d %b"}\n' % (number, b"x" * 200) for number in range(5_000)]
        answer = self.ask("POST", "/tasks", b"".join(lines), Content_Type=NDJSON)
        self.assertEqual(answer.code, 200)
        titles = [task["title"][:6] for task in json.loads(self.ask("GET", "/tasks").body).values()]
        self.assertEqual(titles, [f"{number:06}" for number in range(5_000)])


class RunningTest(ServedTestCase):
    """What runs for a request is referred to until it has ended, and no longer."""

    def test_nothing_is_kept_of_a_request_that_was_answered(self) -> None:
        for path in ("/tasks", "/tasks/none", "/healthz"):
            self.ask("GET", path)
            wait: Any = until(lambda: not fast._running, "the end of its task")
            self.io_loop.run_sync(lambda: wait)


if __name__ == "__main__":
    unittest.main()

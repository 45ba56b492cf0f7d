"""The request that handlers get from our own connection is Tornado's in all that can be asked."""

import json
import unittest
from types import SimpleNamespace
from typing import Any

from tornado.httputil import HTTPServerRequest

from taskservice.http1.parser import parse_head
from taskservice.tornado import fast
from taskservice.tornado.fast import Request
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

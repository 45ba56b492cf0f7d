"""The request that handlers get from our own connection is Tornado's in all that can be asked."""

import unittest
from types import SimpleNamespace
from typing import Any

from tornado.httputil import HTTPServerRequest

from taskservice.tornado.dispatch import Request
from taskservice.tornado.http1_parser import parse_head


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
            self.assertEqual(ours.full_url(), theirs.full_url())
            self.assertEqual(repr(ours.cookies), repr(theirs.cookies))
            self.assertGreaterEqual(ours.request_time(), 0)

    def test_it_has_nothing_else(self) -> None:
        ours, _ = self.both(b"GET / HTTP/1.0\r\n\r\n")
        with self.assertRaises(AttributeError):
            ours.nothing


if __name__ == "__main__":
    unittest.main()

"""What a client sends costs in proportion to its length, whatever it is: little cannot hold up the event loop."""

import json
import time
import unittest
from collections.abc import Callable

from tests.helpers.api import NDJSON
from tests.helpers.raw import request
from tests.helpers.running import ServedTestCase
from tests.helpers.timing import at_most

FEW, MANY = 12_000, 48_000
"""Bytes. What costs the square of its length takes 16 times as long for the second, others 4 times."""

FIELDS = {
    ("GET", "/tasks"): ("Accept", "Accept-Encoding", "Authorization", "Connection", "Cookie", "Host", "If-None-Match",
                        "Origin", "Traceparent", "Upgrade", "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-Id"),
    ("POST", "/tasks"): ("Content-Encoding", "Content-Type", "Expect", "Idempotency-Key", "Prefer", "Sec-Fetch-Site"),
    ("PUT", "/tasks/a"): ("Accept", "If-Match", "If-None-Match", "If-Unmodified-Since"),
    ("GET", "/tasks/a"): ("If-Modified-Since", "If-None-Match"),
    ("DELETE", "/tasks/b"): ("Content-Length", "If-Match", "Transfer-Encoding"),
    ("OPTIONS", "/tasks"): ("Access-Control-Request-Method",),
    ("GET", "/changes"): ("Last-Event-ID",),
}
PIECES = ('"', '\\"', ",", ", ", ";", "a;q=", "a=", 'a="', '"a",', "W/", 'W/"', 'W/"a", ', "*", "*/*,", "a/b;q=0.5,",
          "%4", "1", "1,", "::1,", "a.", " ")
TASK = b'{"title": "a"}'
QUERIES = ("&", "=", "a=", "%", "%41", "+", "q=a&", "limit=1&", "cursor=a&", "priority=high&", "\xc3\xa4", "a+", ".",
           "-")
TEXTS = ("a", "é", "a ", "e\u0301", "\u0323\u0300", "\u093c\u094d", "\U0001f600\u200d", "İ", "\\\\", "\\n",
         "\\ud83d\\ude00", "ﷺ")


class CostsTest(ServedTestCase):

    engine = "sqlite"  # which folds each text for searches when it is written
    http = {"max_header": 256 * 1024, "max_body": 256 * 1024, "hosts": ("*",)}

    def setUp(self) -> None:
        super().setUp()
        self.ask("PUT", "/tasks/a", TASK, If_None_Match="*")

    def check(self, name: str, send: Callable[[int], bytes]) -> None:
        """Fail if what is four times as long costs ten times as much, also when it is tried again."""
        with self.subTest(name):
            for _ in range(3):
                few, many = (self.seconds(send(size)) for size in (FEW, MANY))
                if many < at_most(10 * few):
                    return
            self.fail(f"{few} and {many} seconds")

    def seconds(self, data: bytes) -> float:
        """Return the processor time that a request takes, and a little: of short ones all is noise."""
        started = time.process_time()
        self.assertTrue(self.send(data).startswith(b"HTTP/1.1 "))
        return time.process_time() - started + 0.005

    def request(self, method: str, path: str, body: bytes = b"", /, **fields: str) -> bytes:
        """Return the bytes of a request after which the connection closes."""
        options = f"close, {fields.pop('Connection')}" if "Connection" in fields else "close"
        return request(method, path, body, Connection=options, **fields)

    def test_fields(self) -> None:
        for (method, path), fields in FIELDS.items():
            body = TASK if method[0] == "P" else b""
            for field in fields:
                for piece in PIECES:
                    self.check(f"{method} {field}: {piece}", lambda size: self.request(
                        method, path, body, **{field: (piece * (size // len(piece))).strip() or "a"}))

    def test_a_field_in_many_lines(self) -> None:
        for (method, path), fields in FIELDS.items():
            for field in fields:
                line = f"{field}: a\r\n".encode()
                self.check(f"{method} {field}", lambda size: self.request(method, path)[:-2] + (
                    line * (size // len(line))) + b"\r\n")

    def test_many_fields(self) -> None:
        self.check("fields", lambda size: self.request("GET", "/tasks")[:-2] + b"".join(
            b"a%d:\r\n" % number for number in range(size // 8)) + b"\r\n")

    def test_targets(self) -> None:
        for path in ("/", "/tasks?", "/tasks?q=", "/changes?", "/tasks?sort=title&cursor=", "/tasks?due_before=",
                     "http://localhost/", "http://"):
            for piece in QUERIES:
                self.check(f"{path}{piece}", lambda size: self.request(
                    "GET", path + piece * (size // len(piece))))

    def test_texts(self) -> None:
        for text in TEXTS:
            for form in ('{"title": "%s"}', '{"title": "a", "description": "%s"}', '{"%s": 1}', '{"title": ["%s"]}'):
                self.check(form % text, lambda size: self.request(
                    "POST", "/tasks", (form % (text * (size // len(text.encode())))).encode()))

    def test_bodies(self) -> None:
        for start, piece in (("", "["), ("", '{"title":'), ('{"title": "a", "due_date": ', "1"), ("", '{"a": 1,'),
                             ("", " "), ('{"title": "a", "due_date": 1e', "9"), ('{"title": [', '"a",'), ("", '"')):
            self.check(start + piece, lambda size: self.request(
                "POST", "/tasks", (start + piece * (size // len(piece))).encode()))

    def test_members_of_a_patch(self) -> None:
        self.check("members", lambda size: self.request("PATCH", "/tasks/a", json.dumps(
            {f"m{number}": None for number in range(size // 12)}).encode()))

    def test_lines(self) -> None:
        for line in (b"\n", b"{}\n", b'{"title": "a"}\n', b"x\n", b'{"id": "a", "task": {"title": "a"}}\n'):
            self.check(repr(line), lambda size: self.request(
                "POST", "/tasks", line * (size // len(line)), Content_Type=NDJSON))


if __name__ == "__main__":
    unittest.main()

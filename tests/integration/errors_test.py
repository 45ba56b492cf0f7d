"""Errors as clients see them: which methods there are, and what a message repeats of the request."""

import json
from collections.abc import Iterator
from typing import Any
from unittest import mock

import tornado.web

from taskservice.tornado.handlers.operations import HealthRequestHandler
from tests.helpers.api import NDJSON, PROBLEM
from tests.helpers.app import logged_target
from tests.helpers.openapi import METHODS, all_paths
from tests.helpers.running import ServedTestCase, on_both_servers

TOKENS = (b"FROB", b"TRACE", b"PROPFIND", b"M-SEARCH", b"QUERY", b"PREPARE", b"get", b"Options", b"write_error",
          b"__class__", b"!#$%&'*+-.^_`|~09")
NO_PATHS = ("/nope", "/tasks/a/b", "/tasks//", "/TASKS", "/tasks/" + "a" * 129, "/docs/nope.js", "/static/", "//",
            "/openapiXjson", "/docs/initXjs", "/static/appXjs", "/openapi.json/", "/static/app.js/")
HOSTILE = (
    b'"\\\\"}', b"\xff\xfe\xed\xa0\x80", b"\xc2\x85\xe2\x80\xa8\xf0\x9f\x98\x80", b"%00%ff%s%d{0}", b"<script>'&#0;",
    b"\t")
LONG = b"x" * 3_000
MOST_MESSAGE = 400
"""How many characters a message may have, with all that is wrong and what came."""


class ErrorsCase(ServedTestCase):

    http = {"require_if_match": True}

    def raw(self, method: bytes, target: bytes, body: bytes = b"", /, **fields: bytes) -> tuple[bytes, bytes]:
        """Send bytes as they are, `A_b` being the field A-b; return head and body of the answer."""
        known = {"Host": b"localhost", "Connection": b"close", **fields}
        if body:
            known["Content-Length"] = b"%d" % len(body)
        lines = [b"%b: %b" % (name.replace("_", "-").encode(), value) for name, value in known.items()]
        data = b"\r\n".join([b"%b %b HTTP/1.1" % (method, target), *lines, b"", b""]) + body
        head, _, answered = self.send(data).partition(b"\r\n\r\n")
        return head, answered


@on_both_servers
class MethodsTest(ErrorsCase):
    """A method that there is not is 405 on a path that there is, and 404 elsewhere."""

    def routes(self) -> Iterator[tuple[str, set[str]]]:
        """Give a path for each route, and its methods."""
        for path, item in all_paths().items():
            named = path.replace("{id}", "a-1").replace("{file}", "init.js").replace("{page_file}", "app.js")
            yield named, {method.upper() for method in item} & METHODS

    def test_on_every_path(self) -> None:
        for path, methods in self.routes():
            for method in [name.encode() for name in sorted(METHODS - methods)] + list(TOKENS):
                for body in (b"", b"x" * 10):
                    with self.subTest(f"{method!r} {path}", body=body):
                        head, answered = self.raw(method, path.encode(), body)
                        self.assertTrue(head.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n"), head)
                        [allow] = [line for line in head.split(b"\r\n") if line.startswith(b"Allow: ")]
                        self.assertEqual(set(allow[7:].decode().split(", ")), methods)
                        self.assertEqual(json.loads(answered)["method"], method.decode())

    def test_a_trailing_slash_is_accepted_but_after_the_name_of_a_file(self) -> None:
        for path, _ in self.routes():
            if path != "/":
                plain, slashed = (self.raw(b"GET", target.encode())[0].split()[1] for target in (path, f"{path}/"))
                self.assertEqual(slashed, b"404" if "." in path else plain, path)

    def test_where_there_is_nothing(self) -> None:
        for path in NO_PATHS:
            for method in (b"GET", b"POST", b"DELETE", b"OPTIONS", *TOKENS):
                with self.subTest(f"{method!r} {path}"):
                    head, answered = self.raw(method, path.encode())
                    self.assertTrue(head.startswith(b"HTTP/1.1 404 Unknown Endpoint\r\n"), head)
                    self.assertNotIn(b"\r\nAllow:", head)
                    self.assertEqual(json.loads(answered)["message"], "Unknown Endpoint")


@on_both_servers
class HostileTest(ErrorsCase):
    """Whatever bytes a client sends, an error is JSON, in both forms, and does not repeat it all."""

    def check(self, method: bytes, target: bytes, body: bytes = b"", /, **fields: bytes) -> None:
        """Send a request; check what comes, if it is an error that the application answers."""
        for accept in (b"application/json", PROBLEM.encode()):
            with self.subTest(method, target=target[:60], fields={name: value[:60] for name, value in fields.items()}):
                head, answered = self.raw(method, target, body, **{"Accept": accept, **fields})
                status = int(head.split()[1]) if head else 0
                if status < 400 or b"Server: taskservice" not in head:  # Tornado's own refuses it by itself
                    self.assertTrue(status or self.server == "tornado", "no answer")
                    continue
                facts = json.loads(answered)
                self.assertEqual((facts["code"], facts["method"]), (status, method.decode()))
                self.assertEqual(facts["uri"], logged_target(target))
                self.assertLessEqual(len(facts["message"]), MOST_MESSAGE)
                self.assertEqual("detail" in facts, b"\r\nContent-Type: " + PROBLEM.encode() in head)
                for error in facts.get("errors", ()):
                    self.assertLessEqual(len(error["detail"]), MOST_MESSAGE)
                self.check_line(status, facts)

    def check_line(self, status: int, facts: dict[str, Any]) -> None:
        line = self.journal.responses()[-1]
        self.assertEqual((line.values["status"], line.values["req_id"]), (status, facts["req_id"]))
        self.assertEqual(line.values["reason"], facts["message"])

    def test_in_the_target(self) -> None:
        for piece in (*HOSTILE, LONG):
            for target in (b"/%b", b"/tasks/%b", b"/tasks?%b=1", b"/tasks?limit=%b", b"/tasks?sort=%b",
                           b"/tasks?due_before=%b", b"/tasks?priority=%b", b"/tasks?cursor=%b", b"/tasks?completed=%b",
                           b"/changes?since=%b", b"/changes?%b", b"/static/%b"):
                if piece != b"\t":  # it would end the target
                    self.check(b"GET", target % piece)

    def test_in_a_field(self) -> None:
        task = b'{"title": "a"}'
        self.ask("PUT", "/tasks/a", task, If_None_Match="*")
        for piece in (*HOSTILE, LONG):
            for name in ("Content_Type", "Content_Encoding", "Idempotency_Key", "Prefer", "X_Request_Id", "Accept",
                         "Origin", "Sec_Fetch_Site", "Authorization", "Host"):
                self.check(b"POST", b"/tasks", b"{", **{name: piece})
            for name in ("If_Match", "If_None_Match", "If_Unmodified_Since"):
                self.check(b"PUT", b"/tasks/a", task, **{name: piece})
            self.check(b"GET", b"/changes", Accept=b"text/event-stream", Last_Event_ID=b"x" + piece)
            self.check(b"POST", b"/tasks", task, Origin=b"https://" + piece, Sec_Fetch_Site=b"cross-site")

    def test_in_a_body(self) -> None:
        for piece in (*HOSTILE, LONG):
            for body in (b"%b", b'{"%b": 1}', b'{"title": "a", "priority": "%b"}', b'{"title": ["%b"]}',
                         b'{"title": {"%b": ["%b"]}}'):
                body = body.replace(b"%b", piece)
                self.check(b"POST", b"/tasks", body)
                self.check(b"POST", b"/tasks", body + b'\n{"id": "' + piece + b'", "task": {}}\n',
                           Content_Type=NDJSON.encode())
                self.check(b"PATCH", b"/tasks/a", body, If_Match=b"*")

    def test_a_cross_site_write_names_its_origin_shortened(self) -> None:
        for origin, named in ((b"https://a%20b.example", "https://a%20b.example"), (b"https://" + LONG, "x" * 60)):
            _, answered = self.raw(b"POST", b"/tasks", b"{}", Origin=origin)
            message = json.loads(answered)["message"]
            self.assertIn(named, message)
            self.assertLess(len(message), 300)  # with what the operator may set

    def test_a_field_of_an_answer_cannot_hold_another(self) -> None:
        """Whatever a handler would put into it."""
        for value in ("a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "\x7f", "\u20ac", b"a\r\nb"):
            def get(handler: HealthRequestHandler, value: str | bytes = value) -> None:
                handler.set_header("X-Value", value)

            with mock.patch.object(HealthRequestHandler, "get", get):
                answer = self.fetch_as_is("GET", "/healthz")
            with self.subTest(value):
                self.assertEqual((answer.code, json.loads(answer.body)["code"]), (500, 500))
                self.assertFalse({"Set-Cookie", "X-Value"} & set(answer.headers))

    def test_a_5xx_says_nothing_of_the_inside(self) -> None:
        for error in (RuntimeError("secret"), tornado.web.HTTPError(500, "secret"), OSError(5, "secret", "secret"),
                      tornado.web.HTTPError(503, "secret %s", "secret")):
            with mock.patch.object(HealthRequestHandler, "get", side_effect=error):
                for accept in ("application/json", PROBLEM):
                    answer = self.fetch_as_is("GET", "/healthz", Accept=accept)
                    self.assertGreaterEqual(answer.code, 500)
                    self.assertNotIn(b"secret", answer.body)
                    self.assertIn("secret", self.journal.responses()[-1].values["trace"])


del ErrorsCase

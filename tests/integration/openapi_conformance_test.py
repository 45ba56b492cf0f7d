"""The service does what its OpenAPI document says: the same routes, and no answer that it does not declare."""
import json
import unittest
from collections.abc import Iterator
from typing import NamedTuple

from tornado.httpclient import HTTPResponse

from taskservice.tornado.documents.openapi import document
from tests.helpers.app import AppTestCase, on_every_engine
from tests.helpers.openapi import METHODS, all_paths, check, route_differences
from tests.helpers.running import ServedTestCase

LIST = "/tasks"
TASK = '{"title": "Task1", "priority": "high"}'
LINES = '{"title": "Task1"}\n{"id": "a-1", "task": {"title": "Task2"}}\n'
NDJSON = "application/x-ndjson"


class Asked(NamedTuple):
    """A request, and the status that answers it; `{task}` is the path of a task, `{etag}` its tag."""

    status: int
    method: str
    path: str
    body: str | None = None
    headers: dict[str, str] = {}


def tour() -> Iterator[Asked]:
    """Give a request for each answer that a client can bring about."""
    yield from lists()
    yield from creations()
    yield from writes()
    yield from reads()
    yield from mistakes()
    yield from about()


def lists() -> Iterator[Asked]:
    for method in "GET", "HEAD":
        yield Asked(200, method, LIST)
        yield Asked(200, method, "/tasks/?completed=false&priority=high&priority=low&q=task&sort=-title&limit=1")
        yield Asked(200, method, LIST, None, {"Accept": NDJSON})
        yield Asked(304, method, LIST, None, {"If-None-Match": "*"})
        yield Asked(412, method, LIST, None, {"If-Match": '"1"'})
        yield Asked(400, method, "/tasks?limit=0")
        yield Asked(400, method, "/tasks?unknown=1")
    yield Asked(200, "GET", "/tasks?due_before=2026-01-01T00:00:00Z&due_after=-1.5")
    yield Asked(400, "GET", "/tasks?cursor=x", None, {"Accept": "application/problem+json"})


def creations() -> Iterator[Asked]:
    yield Asked(201, "POST", LIST, TASK)
    yield Asked(201, "POST", LIST, TASK, {"Prefer": "return=representation"})
    yield Asked(201, "POST", LIST, TASK, {"Prefer": "return=minimal", "Content-Type": "application/json"})
    yield Asked(201, "POST", LIST, TASK, {"Idempotency-Key": '"one"'})
    yield Asked(201, "POST", LIST, TASK, {"Idempotency-Key": "one"})
    yield Asked(422, "POST", LIST, TASK + " ", {"Idempotency-Key": "one"})
    yield Asked(200, "POST", LIST, LINES, {"Content-Type": NDJSON})
    yield Asked(400, "POST", LIST, LINES, {"Content-Type": NDJSON})
    yield Asked(201, "PUT", "/tasks/a-2", TASK, {"If-None-Match": "*"})
    yield Asked(412, "PUT", "/tasks/a-2", TASK, {"If-None-Match": "*"})


def writes() -> Iterator[Asked]:
    for method in "PUT", "PATCH":
        yield Asked(204, method, "{task}", TASK)
        yield Asked(204, method, "{task}", TASK, {"If-Match": "{etag}"})
        yield Asked(200, method, "{task}", TASK, {"Prefer": "return=representation"})
        yield Asked(412, method, "{task}", TASK, {"If-Match": '"1"'})
        yield Asked(412, method, "{task}", TASK, {"If-None-Match": "W/{etag}"})
        yield Asked(412, method, "{task}", TASK, {"If-Unmodified-Since": "Mon, 14 Jul 2025 08:00:00 GMT"})
        yield Asked(400, method, "{task}", TASK, {"If-Match": "1"})
        yield Asked(412, method, "{task}", TASK, {"If-Match": '"1"', "Accept": "application/problem+json"})
        yield Asked(400, method, "{task}", '{"title": 1, "colour": "red"}')
        yield Asked(404, method, "/tasks/none", TASK)
        yield Asked(415, method, "{task}", TASK, {"Content-Type": "text/plain"})
    yield Asked(412, "DELETE", "{task}", None, {"If-Match": '"1"'})
    yield Asked(404, "DELETE", "/tasks/none")
    yield Asked(204, "DELETE", "/tasks/a-2")


def reads() -> Iterator[Asked]:
    for method in "GET", "HEAD":
        yield Asked(200, method, "{task}")
        yield Asked(304, method, "{task}/", None, {"If-None-Match": "{etag}"})
        yield Asked(304, method, "{task}/", None, {"If-Modified-Since": "Fri, 31 Dec 2100 08:00:00 GMT"})
        yield Asked(412, method, "{task}", None, {"If-Match": '"1"'})
        yield Asked(404, method, "/tasks/none")
        yield Asked(200, method, "/changes")
        yield Asked(200, method, "/changes?limit=1")
        yield Asked(410, method, "/changes?since=9223372036854775807")
        yield Asked(400, method, "/changes?since=yesterday")


def mistakes() -> Iterator[Asked]:
    yield Asked(400, "POST", LIST, "Task1")
    yield Asked(400, "POST", LIST, '{"priority": "urgen"}')
    yield Asked(400, "POST", LIST, '{"priority": "urgen"}', {"Accept": "application/problem+json"})
    yield Asked(400, "POST", LIST, TASK, {"Idempotency-Key": '"'})
    yield Asked(415, "POST", LIST, TASK, {"Content-Type": "multipart/form-data; boundary=x"})
    yield Asked(415, "POST", LIST, TASK, {"Content-Encoding": "br"})
    yield Asked(413, "POST", LIST, json.dumps({"title": "x" * 70_000}))
    yield Asked(413, "POST", LIST, "x\n" * 10_001, {"Content-Type": NDJSON})
    for method in "PUT", "PATCH", "DELETE", "TRACE", "BREW":
        yield Asked(405, method, LIST)
    for method in "POST", "TRACE", "BREW":
        yield Asked(405, method, "{task}")
    for method in "GET", "HEAD", "POST", "OPTIONS", "BREW":
        yield Asked(404, method, "/does-not-exist")
    yield Asked(404, "GET", "/tasks/a_b", None, {"Accept": "application/problem+json"})


def about() -> Iterator[Asked]:
    for path in LIST, "{task}", "/changes", "/openapi.json", "/docs", "/docs/init.js":
        yield Asked(204, "OPTIONS", path)
    for path in "/openapi.json", "/docs", "/docs/init.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js":
        yield Asked(200, "GET", path)
        yield Asked(200, "HEAD", path, None, {"Accept-Encoding": "gzip"})
        yield Asked(200, "GET", path, None, {"Accept-Encoding": "gzip"})
        yield Asked(304, "GET", path, None, {"If-None-Match": "*"})
        yield Asked(412, "GET", path, None, {"If-Match": '"1"'})
        yield Asked(405, "DELETE", path)
    yield Asked(404, "GET", "/docs/other.js")


@on_every_engine
class ConformanceTest(AppTestCase):

    def go(self, asked: Asked, path: str) -> HTTPResponse:
        """Send a request of the tour, `path` being that of the task."""
        etag = self.etag(path)
        headers = {name: value.replace("{etag}", etag) for name, value in asked.headers.items()}
        return self.ask(asked.method, asked.path.replace("{task}", path), asked.body, **headers)

    def test_each_answer_is_declared(self) -> None:
        path = self.create()
        for asked in tour():
            with self.subTest(str(asked)[:200]):
                answer = self.go(asked, path)
                self.assertEqual(answer.code, asked.status, answer.body)
                check(asked.method, answer.request.url, answer.code, answer.headers, answer.body)


class RefusedCase(ServedTestCase):
    """What the connection refuses; in a request, `{}` is where the method and the path are."""

    def refused(self, method: str, path: str, request: str) -> int:
        """Send a request, check that the answer is declared, and return its status."""
        head, _, body = self.send(request.format(f"{method} {path}").encode()).partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        status = int(line.split()[1])
        check(method, path, status, dict(field.split(": ", 1) for field in fields), body)
        return status


class RefusedTest(RefusedCase):

    def everywhere(self, expected: int, request: str) -> None:
        """Every operation of the document answers so."""
        for template, item in all_paths().items():
            path = template.format(id="a", file="init.js", page_file="app.js")
            for method in METHODS & {name.upper() for name in item}:
                with self.subTest(method=method, path=path, request=request[:80]):
                    self.assertEqual(self.refused(method, path, request), expected)

    def test_malformed(self) -> None:
        for fields in (
                "", "Host: localhost\r\nHost: localhost\r\n",
                "Host: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n"):
            self.everywhere(400, f"{{}} HTTP/1.1\r\n{fields}\r\n")

    def test_a_head_that_is_too_large(self) -> None:
        self.everywhere(431, f"{{}} HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 17_000}\r\n\r\n")

    def test_a_head_that_cannot_be_read(self) -> None:
        """The error has neither method nor path then."""
        self.assertEqual(self.refused("GET", "/", "get\r\n\r\n"), 400)


class SlowTest(RefusedCase):

    http = {"header_timeout": 0.3, "body_timeout": 0.3}

    def test_a_head_or_a_body(self) -> None:
        for method, path, request in (
                ("GET", "/", "{} HTTP/1.1\r\nHost: localhost\r\n"),
                ("GET", "/tasks", "GET /ta"),
                ("DELETE", "/tasks/a", "{} HTTP/1.1\r\n"),
                ("POST", "/tasks", "{} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{{")):
            with self.subTest(request):
                self.assertEqual(self.refused(method, path, request), 408)


class RoutesTest(AppTestCase):

    def test_routes_of_the_application_and_of_the_document_are_the_same(self) -> None:
        self.assertEqual(route_differences(self._app), [])

    def test_document_is_served_as_it_is(self) -> None:
        self.assertEqual(self.ask("GET", "/openapi.json").body, document())


del RefusedCase


if __name__ == "__main__":
    unittest.main()

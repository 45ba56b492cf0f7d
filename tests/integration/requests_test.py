"""How requests are read, on our own server and on Tornado's: the same, but for what docs/http-server.md lists."""

import asyncio
import json
import re
from collections.abc import Mapping

from tests.helpers.http1 import PATIENCE
from tests.helpers.raw import Answer, answers
from tests.helpers.malformed import NOT_IMPLEMENTED, REFUSED, UNSUPPORTED
from tests.helpers.raw import request
from tests.helpers.running import READER, TOKENS, WRITER, ServedTestCase, bearer, on_both_servers, samples, total

EVERY_METHOD = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
UNKNOWN_METHODS = ("foo", "get", "M-SEARCH", "TRACE", "!#$%&'*+-.^_`|~", "A" * 32)  # RFC 9110 §5.6.2: tokens
NEXT = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class RequestCase(ServedTestCase):
    """Requests in bytes."""

    def answer_to(self, method: str, target: str, body: bytes = b"", /, **headers: str) -> Answer:
        """Send one request, and return the answer."""
        data = self.send(request(method, target, body, Connection="close", **headers))
        [answer] = answers(data, [method])
        return answer


@on_both_servers
class ServerAsAWholeTest(RequestCase):
    """`OPTIONS *` (RFC 9110 §9.3.7)."""

    tokens = TOKENS

    def test_it_has_every_method_of_any_resource(self) -> None:
        for target in ("*", "http://localhost"):  # RFC 9112 §3.2.4
            with self.subTest(target):
                answer = self.answer_to("OPTIONS", target)
                self.assertEqual((answer.status, answer.body), (204, b""))
                self.assertEqual(set(answer.headers["Allow"].split(", ")), EVERY_METHOD)
                self.assertNotIn("Accept-Patch", answer.headers)

    def test_it_is_of_the_hosts_of_the_service(self) -> None:
        self.assertEqual(self.answer_to("OPTIONS", "*", Host="elsewhere").status, 421)

    def test_only_options_has_it(self) -> None:
        for method in ("GET", "options", "POST"):
            self.assertTrue(self.send(request(method, "*")).startswith(b"HTTP/1.1 400 "))

    def test_it_is_counted_under_its_own_name(self) -> None:
        self.answer_to("OPTIONS", "*")
        counts = samples(self.answer_to("GET", "/metrics", **bearer(READER)).body.decode())
        name = "taskservice_request_duration_seconds_count"
        self.assertEqual(total(counts[name], method="OPTIONS", route="*", status="204"), 1)


@on_both_servers
class MethodTest(RequestCase):
    """A method is any token; the service says which it has."""

    def test_one_that_is_unknown(self) -> None:
        for method in UNKNOWN_METHODS:
            with self.subTest(method):
                for path, allowed in (("/tasks", {"GET", "HEAD", "POST", "OPTIONS"}),
                                      ("/tasks/none/", EVERY_METHOD - {"POST"})):
                    answer = self.answer_to(method, path, b'{"title": "a"}')
                    self.assertEqual(answer.status, 405)
                    self.assertEqual(set(answer.headers["Allow"].split(", ")), allowed)
                    self.assertEqual(json.loads(answer.body)["method"], method)
                self.assertEqual(self.answer_to(method, "/nope").status, 404)
                self.assertEqual(self.answer_to(method, "/tasks", Host="elsewhere").status, 421)

    def test_one_that_is_a_name_in_the_handler(self) -> None:
        for method in ("_NEW_COOKIE", "XSRF_TOKEN", "REQUEST", "FINISH", "__CLASS__"):
            answer = self.answer_to(method, "/tasks")
            self.assertEqual((answer.status, answer.headers["Set-Cookie"]), (405, None), method)

    def test_the_connection_stays(self) -> None:
        found = answers(self.send(request("foo", "/tasks") + NEXT), ["foo", "GET"])
        self.assertEqual([answer.status for answer in found], [405, 200])

    def test_what_is_none(self) -> None:
        for method in ("G(T", "G\xc4T", "A" * 33, "", "GET,"):
            data = self.send(request(method, "/tasks") + NEXT)
            self.assertTrue(data.startswith(b"HTTP/1.1 400 "), data)
            self.assertEqual(data.count(b"HTTP/1.1 "), 1)


@on_both_servers
class MethodsAndTokensTest(RequestCase):

    tokens = TOKENS

    def test_a_token_is_asked_for_first(self) -> None:
        for method in UNKNOWN_METHODS:
            with self.subTest(method):
                self.assertEqual(self.answer_to(method, "/tasks").status, 401)
                self.assertEqual(self.answer_to(method, "/tasks", **bearer(READER)).status, 403)
                self.assertEqual(self.answer_to(method, "/tasks", **bearer(WRITER)).status, 405)


@on_both_servers
class TargetTest(RequestCase):
    """Raw UTF-8 in a target is its percent-encoded form: curl sends what is typed."""

    def target(self, text: str) -> str:
        """Return it as `request` sends it raw."""
        return text.encode().decode("latin-1")

    def test_in_a_query(self) -> None:
        self.create('{"title": "日本"}')
        self.create('{"title": "日本 2"}')
        for query in ("q=日本", "q=%E6%97%A5本"):
            self.assertEqual(len(json.loads(self.answer_to("GET", self.target(f"/tasks?{query}")).body)), 2)
        self.assertEqual(self.answer_to("GET", self.target("/tasks?q=日文")).body, b"{}")
        self.assertIn("q=%E6%97%A5", self.answer_to("GET", self.target("/tasks?limit=1&q=日")).headers["Link"])

    def test_in_a_path_and_as_it_is_answer_to(self) -> None:
        answer = self.answer_to("GET", self.target("/ä/\U0001f600?x"))
        self.assertEqual((answer.status, json.loads(answer.body)["uri"]), (404, "/%C3%A4/%F0%9F%98%80?x"))
        self.assertEqual(self.journal.responses()[-1].values["uri"], "/%C3%A4/%F0%9F%98%80?x")

    def test_what_is_not_utf_8(self) -> None:
        for target in ("/\xe4", "/tasks?q=\xe4", "/\xed\xa0\x80", "/\xc0\xaf", "/\x01", "/\x7f", "/a b"):
            with self.subTest(target):
                data = self.send(request("GET", target) + NEXT)
                self.assertTrue(data.startswith(b"HTTP/1.1 400 "), data)
                self.assertEqual(data.count(b"HTTP/1.1 "), 1)

    def test_the_absolute_form_takes_the_place_of_host(self) -> None:
        self.assertEqual(self.answer_to("GET", "http://localhost/tasks", Host="elsewhere").status, 200)
        self.assertEqual(self.answer_to("GET", "http://elsewhere/tasks").status, 421)


@on_both_servers
class VersionTest(RequestCase):

    def test_a_higher_minor_version_is_served_as_1_1(self) -> None:
        for minor in (2, 9):
            data = self.send(request("GET", "/tasks", Connection="close").replace(b"HTTP/1.1", b"HTTP/1.%d" % minor))
            [answer] = answers(data, ["GET"])
            self.assertEqual((answer.status, answer.body), (200, b"{}"))
            body = b'e\r\n{"title": "a"}\r\n0\r\n\r\n'
            head = request("POST", "/tasks", Connection="close", Transfer_Encoding="chunked")
            [answer] = answers(self.send(head.replace(b"HTTP/1.1", b"HTTP/1.%d" % minor) + body), ["POST"])
            self.assertEqual(answer.status, 201)
            self.answer_to("DELETE", answer.headers["Location"])
            data = self.send(b"GET /tasks HTTP/1.%d\r\n\r\n" % minor)
            self.assertTrue(data.startswith(b"HTTP/1.1 400 "), "it needs a Host")


@on_both_servers
class ExpectTest(RequestCase):
    """RFC 9110 §10.1.1."""

    BODY = b'{"title": "a"}'

    def test_a_body_that_is_held_back_is_asked_for(self) -> None:
        for value in ("100-continue", "100-Continue", "x, 100-continue", "100-continue, 100-continue"):
            with self.subTest(value):
                self.assertEqual(self.interim(value), b"HTTP/1.1 100 ")

    def test_what_else_is_expected_is_ignored(self) -> None:
        self.assertEqual(self.answer_to("POST", "/tasks", self.BODY, Expect="200-ok").status, 201)

    def test_http_1_0_gets_no_interim_answer(self) -> None:
        head = request("POST", "/tasks", self.BODY, Expect="100-continue")
        data = self.send(head.replace(b"HTTP/1.1", b"HTTP/1.0"))
        self.assertTrue(data.startswith(b"HTTP/1.1 201 "), data)

    def interim(self, value: str) -> bytes:
        """Hold a body back until it is asked for; return how the answer to the head begins."""
        async def talk() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.get_http_port())
            writer.write(request("POST", "/tasks", b"", len(self.BODY), Expect=value, Connection="close"))
            first = await reader.readuntil(b"\r\n\r\n")
            writer.write(self.BODY)
            rest = await reader.read()
            writer.close()
            await writer.wait_closed()
            self.assertTrue(rest.startswith(b"HTTP/1.1 201 "), rest)
            return first[:13]

        start: bytes = self.io_loop.run_sync(talk, timeout=PATIENCE)
        return start


def chunked(body: bytes) -> bytes:
    """Return a request with a body in chunks."""
    return request("POST", "/tasks", Transfer_Encoding="chunked") + body


TASK = b'e\r\n{"title": "a"}\r\n'
DIFFERENCES = (
    # docs/http-server.md; what is sent before NEXT, the statuses here, and those of Tornado's server
    ("an extension of a chunk", chunked(TASK.replace(b"e\r", b"e;a=b;c\r", 1) + b"0\r\n\r\n"), [201, 200], [400]),
    ("trailers", chunked(TASK + b"0\r\nA: b\r\n\r\n"), [201, 200], [400]),
    ("an empty line", b"\r\n", [200], [200]),
    ("two empty lines", b"\r\n\r\n", [200], [400]),
    ("a list with close", request("GET", "/healthz", Connection="x, close"), [200], [200, 200]),
    ("a list with keep-alive", b"GET /healthz HTTP/1.0\r\nConnection: x, keep-alive\r\n\r\n", [200, 200], [200]),
    ("a higher minor version", b"GET /healthz HTTP/1.2\r\nHost: localhost\r\n\r\n", [200, 200], [200]),
    ("very many parameters", request("GET", "/healthz?" + "a&" * 1_001), [200, 200], [400]),
    ("a coding that is not known", next(iter(NOT_IMPLEMENTED.values())), [501], [400]),
    ("LF for CRLF", b"GET /healthz HTTP/1.1\nHost: localhost\n\n", [400], [200, 200]),
    # and what is the same: white space in extensions, which RFC 9112 §7.1.1 would have a recipient take
    ("white space in an extension", chunked(TASK.replace(b"e\r", b"e ;a\r", 1) + b"0\r\n\r\n"), [400], [400]),
)


@on_both_servers
class DifferencesTest(RequestCase):
    """Each is listed in docs/http-server.md."""

    http = {"hosts": ("*",)}

    def test_each(self) -> None:
        for name, data, here, on_tornado in DIFFERENCES:
            with self.subTest(name):
                found = [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3})", self.send(data + NEXT))]
                self.assertEqual(found, here if self.server == "taskservice" else on_tornado)

    def test_how_a_refusal_looks(self) -> None:
        sent = self.send(b"GET / HTTP/1.1\r\n\r\n")
        if self.server == "tornado":
            self.assertEqual(sent, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            self.assertEqual(self.journal.responses(), [])
        else:
            [answer] = answers(sent, ["GET"])
            self.assertEqual(json.loads(answer.body)["message"], "No Host")
            self.assertEqual([line.values["status"] for line in self.journal.responses()], [400])


class RefusedTest(RequestCase):
    """What two parties could see differently is refused, and the connection closed."""

    http = {"hosts": ("*",)}
    accepted: Mapping[str, int] = {}
    """What this server takes nevertheless, and how many answers there are before the next request's."""

    def test_each(self) -> None:
        for name, data in {**REFUSED, **NOT_IMPLEMENTED, **UNSUPPORTED}.items():
            with self.subTest(name):
                sent = self.send(data + NEXT)
                status = b"501" if name in NOT_IMPLEMENTED and self.server == "taskservice" else b"400"
                if name in self.accepted:
                    self.assertNotIn(b"HTTP/1.1 400", sent)
                else:
                    self.assertTrue(sent.startswith(b"HTTP/1.1 " + status), sent)
                self.assertEqual(sent.count(b"HTTP/1.1 "), 1 + self.accepted.get(name, 0), sent)


class RefusedOnTornadoTest(RefusedTest):
    """Tornado takes LF for CRLF in heads, and passes over any of them before a request, until its version 7."""

    server = "tornado"
    accepted = {"lines ended by LF": 1, "a request line ended by LF": 1, "a field ended by LF": 1,
                "an empty line of LF": 2, "CR before the request": 1, "LF before the request": 1}

"""Pages of other origins: none may see anything by default, those in the config may use it all."""

from tornado.httpclient import HTTPResponse

from taskservice.tornado.documents.openapi import description
from tests.helpers.running import READER, TOKENS, ServedTestCase, bearer, on_both_servers

GOOD, OTHER = "https://good.example", "https://other.example"


class OriginCase(ServedTestCase):

    def preflight(self, origin: str, method: str = "PUT", path: str = "/tasks/x") -> HTTPResponse:
        """Ask as a browser does before a page's request (the Fetch standard, §4.8)."""
        return self.ask(
            "OPTIONS", path, Origin=origin, Access_Control_Request_Method=method,
            Access_Control_Request_Headers="authorization,if-match")

    def assert_nothing_is_allowed(self, answer: HTTPResponse) -> None:
        allowed = [name for name in answer.headers if name.lower().startswith("access-control")]
        self.assertEqual(allowed, [])


@on_both_servers
class NoOriginsTest(OriginCase):
    """Without a word of it in the config."""

    def test_nothing_is_allowed_to_anybody(self) -> None:
        for origin in (GOOD, "null", f"http://127.0.0.1:{self.get_http_port()}"):
            answer = self.preflight(origin)
            self.assertEqual(answer.code, 204)
            self.assert_nothing_is_allowed(answer)
            for path in ("/tasks", "/nope", "/changes", "/openapi.json", "/metrics"):
                self.assert_nothing_is_allowed(self.ask("GET", path, Origin=origin))

    def test_answers_do_not_depend_on_the_origin(self) -> None:
        self.assertNotIn("Origin", self.ask("GET", "/tasks").headers["Vary"])


@on_both_servers
class OriginsTest(OriginCase):

    http = {"cors_origins": (GOOD, "http://localhost:3000")}
    tokens = TOKENS

    def test_a_preflight_is_answered_without_a_token(self) -> None:
        for origin in self.http["cors_origins"]:
            answer = self.preflight(origin)
            self.assertEqual((answer.code, answer.body), (204, b""))
            self.assertEqual(answer.headers["Access-Control-Allow-Origin"], origin)
            methods = answer.headers["Access-Control-Allow-Methods"].split(", ")
            self.assertLessEqual({"GET", "PUT", "PATCH", "DELETE"}, set(methods))
            fields = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
            self.assertLessEqual(
                {"authorization", "content-type", "if-match", "if-none-match", "idempotency-key",
                 "prefer", "last-event-id"}, set(fields))
            self.assertLessEqual({
                parameter["name"].lower()
                for parameter in description()["components"]["parameters"].values()
                if parameter["in"] == "header"}, set(fields))
            self.assertGreater(int(answer.headers["Access-Control-Max-Age"]), 0)
            self.assertIn("Origin", answer.headers["Vary"])

    def test_what_is_no_preflight_gets_the_methods_by_allow_alone(self) -> None:
        answer = self.ask("OPTIONS", "/tasks", Origin=GOOD)
        self.assertIn("Allow", answer.headers)
        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], GOOD)
        for name in ("Methods", "Headers"):
            self.assertNotIn(f"Access-Control-Allow-{name}", answer.headers)
        self.assertNotIn("Access-Control-Max-Age", answer.headers)

    def test_a_preflight_of_another_origin_allows_nothing(self) -> None:
        for origin in (OTHER, GOOD + ":443", GOOD.upper(), GOOD + "/", "https://good.example.evil.example",
                       "http://good.example", "null", "*", ""):
            answer = self.preflight(origin)
            self.assert_nothing_is_allowed(answer)
            self.assertIn("Origin", answer.headers["Vary"])

    def test_the_page_sees_an_answer_and_what_matters_in_its_head(self) -> None:
        for path, fields, status in (
                ("/tasks", bearer(READER), 200), ("/tasks/none", bearer(READER), 404),
                ("/tasks", {}, 401), ("/nope", bearer(READER), 404), ("/healthz", {}, 200),
                ("/openapi.json", bearer(READER), 200)):
            answer = self.ask("GET", path, Origin=GOOD, **fields)
            self.assertEqual(answer.code, status)
            self.assertEqual(answer.headers["Access-Control-Allow-Origin"], GOOD)
            self.assertEqual(answer.headers["Access-Control-Expose-Headers"], "*")
            self.assertIn("Origin", answer.headers["Vary"])
            self.assertNotIn("Access-Control-Allow-Credentials", answer.headers)

    def test_the_page_sees_that_the_connection_refused_it(self) -> None:
        if self.server != "taskservice":
            self.skipTest("Tornado's own closes, or answers in its own way")
        for origin, allowed in ((GOOD, True), (OTHER, False)):
            answer = self.send(
                b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nOrigin: %b\r\nX-Request-Id: mine\r\n"
                b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n" % origin.encode())
            head = answer.partition(b"\r\n\r\n")[0].decode()
            self.assertIn(" 400 ", head)
            self.assertIn("X-Request-Id: mine", head)
            self.assertRegex(head, "Vary: .*Origin")
            self.assertEqual(f"Access-Control-Allow-Origin: {origin}" in head, allowed)

    def test_the_page_of_another_origin_does_not(self) -> None:
        for origin in (OTHER, "null"):
            answer = self.ask("GET", "/tasks", Origin=origin, **bearer(READER))
            self.assertEqual(answer.code, 200)
            self.assert_nothing_is_allowed(answer)
            self.assertIn("Origin", answer.headers["Vary"])

    def test_a_cache_keeps_answers_apart_also_without_an_origin(self) -> None:
        self.assertIn("Origin", self.ask("GET", "/tasks", **bearer(READER)).headers["Vary"])


@on_both_servers
class WritingTest(OriginCase):
    """A page of an origin in the config may write, one of another may not."""

    http = {"cors_origins": (GOOD,)}

    def test_it(self) -> None:
        for origin, status in ((GOOD, 201), (OTHER, 403), ("null", 403)):
            for site in ({}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}):
                answer = self.ask("POST", "/tasks", '{"title": "a"}', Origin=origin, **site)
                self.assertEqual(answer.code, status)
        self.assertEqual(len(self.ask("GET", "/tasks").body.split(b"title")), 4)


del OriginCase

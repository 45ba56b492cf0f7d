"""Who may do what: tokens on every method of every route, hosts, other sites' writes."""

import json
from collections.abc import Iterator
from dataclasses import replace

from tornado.httpclient import HTTPResponse

from tests.helpers.api import NDJSON
from tests.helpers.openapi import METHODS, all_paths
from tests.helpers.raw import peer
from tests.helpers.running import READER, TOKENS, WRITER, ServedTestCase, bearer, on_both_servers

PUBLIC = ("/healthz", "/readyz", "/", "/docs", "/openapi.json")
BODIES = {"POST": '{"title": "a"}', "PUT": '{"title": "a"}', "PATCH": "{}"}


def is_public(path: str) -> bool:
    """Return whether everybody may use a path, as API.md has it."""
    return path in PUBLIC or path.startswith(("/static/", "/docs/"))


@on_both_servers
class WalkTest(ServedTestCase):
    """Every method on every path of the OpenAPI document, and on one that is not there."""

    tokens = TOKENS

    def setUp(self) -> None:
        super().setUp()
        answer = self.ask("POST", "/tasks", BODIES["POST"], **bearer(WRITER))
        self.task = answer.headers["Location"].removeprefix("/tasks/")

    def walk(self) -> Iterator[tuple[str, str]]:
        """Give each method and path."""
        for template in (*all_paths(), "/nope"):
            path = template.replace("{id}", self.task).replace("{file}", "init.js")
            path = path.replace("{page_file}", "app.js")
            self.assertNotIn("{", path)
            for method in sorted(METHODS):
                yield method, path

    def ask_with(self, method: str, path: str, secret: str | None) -> HTTPResponse:
        """Send a request with a token, or without."""
        fields = {} if secret is None else bearer(secret)
        return self.ask(method, path, BODIES.get(method), **fields)

    def test_the_walk_is_one(self) -> None:
        walked = list(self.walk())
        self.assertGreater(len(walked), 45)
        for path in ("/tasks", f"/tasks/{self.task}", "/changes", "/metrics", "/openapi.json",
                     "/healthz", "/readyz", "/docs"):
            self.assertIn(("GET", path), walked)

    def test_without_a_token_or_with_an_unknown_one(self) -> None:
        for method, path in self.walk():
            for secret in (None, "unknown", TOKENS[1]["sha256"]):
                with self.subTest(method=method, path=path, secret=secret):
                    answer = self.ask_with(method, path, secret)
                    if is_public(path) or method == "OPTIONS":
                        self.assertIn(answer.code, (200, 204, 405) if path != "/nope" else (404,))
                        continue
                    self.assertEqual((answer.code, answer.reason), (401, "Unauthorized"))
                    self.assertRegex(answer.headers["WWW-Authenticate"], '^Bearer realm="')
                    self.assertNotIn(secret or "Bearer x", answer.body.decode())

    def test_the_token_is_asked_for_before_the_query_is_looked_at(self) -> None:
        """Tornado alone refuses one of over 1,000 fields before any handler."""
        if self.server == "taskservice":
            for path in ("/tasks", "/changes", "/metrics", "/nope"):
                self.assertEqual(self.ask("GET", f"{path}?{'a&' * 1500}").code, 401)

    def test_with_a_token_that_may_read(self) -> None:
        for method, path in self.walk():
            with self.subTest(method=method, path=path):
                answer = self.ask_with(method, path, READER)
                if is_public(path) or method in ("GET", "HEAD", "OPTIONS"):
                    self.assertIn(answer.code, (200, 204, 405) if path != "/nope" else (404,))
                    continue
                self.assertEqual((answer.code, answer.reason), (403, "Forbidden"))
                self.assertIn('error="insufficient_scope"', answer.headers["WWW-Authenticate"])

    def test_with_a_token_that_may_write(self) -> None:
        for method, path in self.walk():
            with self.subTest(method=method, path=path):
                answer = self.ask_with(method, path, WRITER)
                self.assertNotIn(answer.code, (401, 403))
                self.assertLess(answer.code, 500)

    def test_what_is_refused_has_not_happened(self) -> None:
        for method, path in self.walk():
            for secret in (None, "unknown", READER):
                self.ask_with(method, path, secret)
        tasks = json.loads(self.ask_with("GET", "/tasks", READER).body)
        self.assertEqual(tasks, {self.task: {"title": "a"}})

    def test_the_check_comes_before_all_others(self) -> None:
        """A path, a type, a body, a missing task: nobody learns of them without a token."""
        for method, path, body, fields in (
                ("GET", "/nope", None, {}), ("PUT", "/tasks/none", "x", {}),
                ("POST", "/tasks", "x", {"Content_Type": "text/plain"}),
                ("DELETE", "/tasks", None, {}), ("BREW", "/tasks", None, {})):
            self.assertEqual(self.ask(method, path, body, **fields).code, 401)
            answer = self.ask(method, path, body, **fields, **bearer(WRITER))
            self.assertIn(answer.code, (400, 404, 405, 415))


@on_both_servers
class SecretTest(ServedTestCase):
    """A token is shown to nobody; its name is in the log."""

    tokens = TOKENS

    def test_the_canonical_line_has_the_tokens_name(self) -> None:
        for secret, method, status, name in (
                (WRITER, "POST", 201, "robot"), (READER, "GET", 200, "dashboard")):
            self.ask(method, "/tasks", BODIES.get(method), **bearer(secret))
            values = self.journal.responses()[-1].values
            self.assertEqual((values["status"], values["token"]), (status, name))

    def test_a_refusal_names_whose_token_may_not(self) -> None:
        answer = self.ask("POST", "/tasks", "{}", **bearer(READER))
        self.assertIn("'dashboard'", json.loads(answer.body)["message"])
        self.assertIn("'dashboard'", self.journal.responses()[-1].values["reason"])

    def test_a_token_is_in_no_line_and_no_answer(self) -> None:
        secrets = (READER, WRITER, "unknown-secret")
        for authorization in [f"{scheme} {secret}{more}" for scheme in ("Bearer", "Basic", "bearer\t", "")
                              for secret in secrets for more in ("", " x", "x")]:
            for method, path in (("GET", "/tasks"), ("POST", "/tasks"), ("GET", "/nope"), ("FROB", "/tasks")):
                answer = self.ask(
                    method, path, BODIES.get(method), Authorization=authorization.strip())
                said = answer.body.decode() + str(answer.headers)
                self.assertFalse([secret for secret in secrets if secret in said], authorization)
        logged = "\n".join(record.getMessage() for record in self.journal.records)
        self.assertFalse([secret for secret in secrets if secret in logged])
        self.assertFalse([token for token in TOKENS if token["sha256"] in logged])

    def test_nor_when_the_connection_refuses_the_request(self) -> None:
        self.send(b"GET /tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n"
                  b"Content-Length: x\r\n\r\n" % WRITER.encode())
        self.assertTrue(self.journal.records)
        self.assertNotIn(WRITER, "".join(record.getMessage() for record in self.journal.records))

    def test_without_tokens_there_is_no_name(self) -> None:
        self._app.configure(replace(self.config(), tokens=()))
        self.ask("GET", "/tasks", **bearer(READER))
        self.assertNotIn("token", self.journal.responses()[-1].values)


class KeysOfTokensTest(ServedTestCase):
    """An Idempotency-Key is its token's own: nobody sees what another's has created."""

    tokens = [*TOKENS, {**TOKENS[1], "name": "other", "sha256": TOKENS[1]["sha256"].replace(
        TOKENS[1]["sha256"], "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4")}]
    OTHER = "hi"

    def test_the_same_key_of_two_tokens_creates_two_tasks(self) -> None:
        def post(secret: str, body: str = BODIES["POST"]) -> tuple[str, bool]:
            answer = self.ask("POST", "/tasks", body, Idempotency_Key='"k"', **bearer(secret))
            self.assertEqual(answer.code, 201)
            return answer.headers["Location"], "Idempotent-Replayed" in answer.headers

        first, replayed = post(WRITER)
        self.assertFalse(replayed)
        other, replayed = post(self.OTHER, '{"title": "another"}')
        self.assertFalse(replayed)
        self.assertNotEqual(first, other)
        self.assertEqual(post(WRITER), (first, True))
        self.assertEqual(post(self.OTHER, '{"title": "another"}'), (other, True))

    def test_the_same_key_of_a_batch(self) -> None:
        for secret in (WRITER, self.OTHER):
            answer = self.ask("POST", "/tasks", '{"title": "a"}\n', Content_Type=NDJSON,
                              Idempotency_Key="b", **bearer(secret))
            self.assertEqual((answer.code, answer.headers.get("Idempotent-Replayed")), (200, None))


@on_both_servers
class HostTest(ServedTestCase):
    """A name that is not the service's is answered with 421, on every route."""

    def status(self, host: str, path: str = "/tasks") -> int:
        """Return the status of a request for a host."""
        answer = self.send(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("latin-1"))
        return int(answer.split()[1])

    def test_the_loopback_names_are_the_services_own(self) -> None:
        for host in ("localhost", "LOCALHOST", f"localhost:{self.get_http_port()}", "127.0.0.1",
                     "127.0.0.1:1", "[::1]", "[::1]:80"):
            self.assertEqual(self.status(host), 200, host)

    def test_others_are_not(self) -> None:
        for host in ("example.com", "localhost.example.com", "example.com:8080"):
            self.assertEqual(self.status(host), 421, host)

    def test_addresses_are_accepted(self) -> None:
        for host in ("127.0.0.2", "10.0.0.7:8080", "[::2]:80"):
            self.assertEqual(self.status(host), 200, host)

    def test_on_every_route_but_those_of_probes(self) -> None:
        for path in ("/tasks", "/tasks/x", "/changes", "/metrics", "/nope", "/openapi.json", "/docs", "/", "/healthzz"):
            self.assertEqual(self.status("example.com", path), 421, path)
        for path in ("/healthz", "/readyz", "/healthz/"):
            self.assertEqual(self.status("example.com", path), 200, path)

    def test_a_write_for_another_host_does_not_happen(self) -> None:
        answer = self.ask("POST", "/tasks", BODIES["POST"], Host="example.com")
        self.assertEqual((answer.code, answer.reason), (421, "Misdirected Request"))
        self.assertIn("http.hosts", json.loads(answer.body)["message"])
        self.assertEqual(self.ask("GET", "/tasks").body, b"{}")


class NamedHostsTest(HostTest):
    """The config names the hosts."""

    http = {"hosts": ("tasks.example.com", "*.example.org")}

    def test_the_loopback_names_are_the_services_own(self) -> None:
        self.assertEqual(self.status("localhost"), 421)

    def test_others_are_not(self) -> None:
        for host in ("tasks.example.com", "Tasks.Example.COM:1", "a.b.example.org"):
            self.assertEqual(self.status(host), 200, host)

    def test_a_write_for_another_host_does_not_happen(self) -> None:
        self.assertEqual(self.ask("POST", "/tasks", BODIES["POST"], Host="localhost").code, 421)
        self.assertEqual(self.ask("GET", "/tasks", Host="tasks.example.com").body, b"{}")


class AnyHostTest(ServedTestCase):

    http = {"hosts": ("*",)}

    def test_any_name_is_the_services_own(self) -> None:
        for host in ("example.com", "localhost", "[::2]:1"):
            self.assertEqual(self.ask("GET", "/tasks", Host=host).code, 200)


@on_both_servers
class OtherSitesTest(ServedTestCase):
    """A browser's page of another site cannot write, whatever it sends."""

    def write(self, **fields: str) -> HTTPResponse:
        """Try to create a task."""
        return self.ask("POST", "/tasks", BODIES["POST"], **fields)

    def test_a_write_that_the_browser_says_is_cross_site(self) -> None:
        for site in ("cross-site", "same-site"):
            for fields in ({}, {"Origin": "https://example.com"}, {"Origin": "null"}):
                answer = self.write(Sec_Fetch_Site=site, **fields)
                self.assertEqual((answer.code, answer.reason), (403, "Forbidden"))
                message = json.loads(answer.body)["message"]
                self.assertIn(site, message)
                for name, value in {**fields, "Host": f"127.0.0.1:{self.get_http_port()}"}.items():
                    self.assertIn(f"{name} is '{value}'", message)
                self.assertIn("http.cors-origins", message)

    def test_a_write_with_the_origin_of_another_site(self) -> None:
        for origin in ("https://example.com", "null", "http://127.0.0.1:1", "http://localhost", "",
                       "http://127.0.0.1@example.com"):
            self.assertEqual(self.write(Origin=origin).code, 403, origin)

    def test_every_method_that_writes(self) -> None:
        path = self.create()
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            for asked in (path, "/tasks", "/nope"):
                answer = self.ask(method, asked, BODIES.get(method), Sec_Fetch_Site="cross-site")
                self.assertEqual(answer.code, 403)
        self.assertEqual(json.loads(self.ask("GET", "/tasks").body), {path[7:]: {"title": "Task1"}})

    def test_an_origin_that_is_no_url_is_anothers(self) -> None:
        for origin in ("http://[", "http://[x]", "http://]"):
            self.assertEqual(self.write(Origin=origin).code, 403, origin)
            self.assertEqual(
                self.ask("GET", "/tasks", Origin=origin, Sec_Fetch_Site="cross-site").code, 200)

    def test_to_have_no_host_is_not_to_have_that_of_a_page(self) -> None:
        for origin, status in ((b"null", b"403"), (b"https://example.com", b"403"), (b"http://127.0.0.1", b"201")):
            answer = self.send(b"POST /tasks HTTP/1.0\r\nOrigin: %b\r\nContent-Length: 14\r\n\r\n%b" % (
                origin, b'{"title": "a"}'))
            self.assertIn(b" %b " % status, answer.partition(b"\r\n")[0])

    def test_the_page_itself_curl_and_reading_may(self) -> None:
        own = f"http://127.0.0.1:{self.get_http_port()}"
        for fields in ({}, {"Origin": own}, {"Sec_Fetch_Site": "same-origin", "Origin": own},
                       {"Sec_Fetch_Site": "none"}):
            self.assertEqual(self.write(**fields).code, 201, fields)
        self.assertEqual(self.ask("GET", "/tasks", Sec_Fetch_Site="cross-site").code, 200)


class PipelinedTokensTest(ServedTestCase):
    """What one request of a connection may, the next one may not."""

    tokens = TOKENS

    def test_each_request_shows_its_own_token(self) -> None:
        def talk() -> list[int]:
            with peer(self.get_http_port()) as client:
                return [client.ask("GET", "/tasks", **fields)[0]
                        for fields in (bearer(READER), {}, bearer(READER), bearer("unknown"))]

        statuses = self.io_loop.run_sync(
            lambda: self.io_loop.run_in_executor(None, talk))
        self.assertEqual(statuses, [200, 401, 200, 401])

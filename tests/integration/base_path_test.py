"""`http.base-path`: all of the service under a path, and what operators ask for at the root too."""

import asyncio
import json
import re
import unittest
from urllib.parse import urljoin

from tornado.httpclient import HTTPResponse

from taskservice.tornado.documents.page import WORKER
from tests.helpers.api import NDJSON, next_page
from tests.helpers.openapi import check as check_declared
from tests.helpers.running import READER, TOKENS, ServedTestCase, bearer, on_both_servers

BASE = "/apps/to.do"


@on_both_servers
class BasePathTest(ServedTestCase):

    http = {"base_path": BASE, "max_body": 100, "max_ndjson_body": 10_000}

    def under(self, method: str, path: str, body: bytes | None = None, /, **headers: str) -> HTTPResponse:
        """Ask for a path of the API under the base path."""
        answer = self.fetch_as_is(method, BASE + path, body, **headers)
        as_at_the_root = {name: value.replace(BASE, "") for name, value in answer.headers.items()}
        check_declared(method, path, answer.code, as_at_the_root, answer.body)
        return answer

    def test_locations_are_under_it(self) -> None:
        created = self.under("POST", "/tasks", b'{"title": "a"}')
        path = created.headers["Location"]
        self.assertRegex(path, rf"^{re.escape(BASE)}/tasks/\w+$")
        self.assertEqual(self.fetch_as_is("GET", path).code, 200)
        put = self.under("PUT", "/tasks/mine", b'{"title": "b"}', If_None_Match="*")
        self.assertEqual(put.headers["Location"], f"{BASE}/tasks/mine")

    def test_the_link_to_the_next_page_is_under_it(self) -> None:
        for title in (b"a", b"b", b"c"):
            self.under("POST", "/tasks", b'{"title": "%b"}' % title)
        pages, path = 0, f"{BASE}/tasks?limit=1"
        while path:
            answer = self.fetch_as_is("GET", path)
            self.assertEqual(answer.code, 200)
            self.assertEqual(len(json.loads(answer.body)), 1)
            pages, path = pages + 1, next_page(answer) or ""
        self.assertEqual(pages, 3)

    def test_errors_name_the_path_as_it_was_asked_for(self) -> None:
        problem = json.loads(self.under("GET", "/tasks/none", Accept="application/problem+json").body)
        self.assertEqual((problem["instance"], problem["uri"]), (f"{BASE}/tasks/none", f"{BASE}/tasks/none"))

    def test_a_bulk_may_be_as_large_as_at_the_root(self) -> None:
        body = b'{"title": "a"}\n' * 100
        self.assertEqual(self.under("POST", "/tasks", body, Content_Type=NDJSON).code, 200)

    def test_an_event_stream_begins_under_it(self) -> None:
        answer = self.under("HEAD", "/changes", Accept="text/event-stream")
        self.assertEqual((answer.code, answer.headers["Content-Type"]), (200, "text/event-stream"))

    def test_the_document_names_it(self) -> None:
        document = json.loads(self.under("GET", "/openapi.json").body)
        servers = [server["url"] for server in document["servers"]]
        self.assertEqual(servers, [BASE, f"http://localhost:8080{BASE}"])
        location = document["components"]["headers"]["Location"]
        for path in self.under("POST", "/tasks", b'{"title": "a"}').headers["Location"], location["example"]:
            self.assertRegex(path, location["schema"]["pattern"])

    def assert_loaded(self, page: str) -> None:
        """Check that all that a page refers to is there."""
        text = self.fetch_as_is("GET", page).body.decode()
        found = [urljoin(page, each) for each in re.findall(r'(?:src|href)="([^"#]+)"', text)]
        self.assertGreater(len(found), 3)
        for path in found:
            if not path.startswith("data:"):
                self.assertEqual(self.fetch_as_is("GET", path).code, 200, path)

    def test_pages_load_what_is_under_it(self) -> None:
        for page in ("/", "/docs", "/docs/"):
            self.assert_loaded(BASE + page)
        self.assertIn(f'url: "{BASE}/openapi.json"', self.under("GET", "/docs/init.js").body.decode())

    def test_without_the_slash_it_leads_to_the_page(self) -> None:
        answer = self.fetch_as_is("GET", BASE)
        self.assertEqual((answer.code, answer.headers["Location"]), (301, f"{BASE}/"))
        answer = self.fetch_as_is("GET", f"{BASE}?show=done&q=%22a")
        self.assertEqual(answer.headers["Location"], f"{BASE}/?show=done&q=%22a")

    def test_the_worker_may_serve_the_page_and_no_more(self) -> None:
        answer = self.under("GET", f"/static/{WORKER}")
        self.assertEqual(answer.headers["Service-Worker-Allowed"], f"{BASE}/")

    def test_probes_and_metrics_are_at_the_root_too(self) -> None:
        for path in ("/healthz", "/readyz", "/metrics"):
            self.assertEqual(self.ask("GET", path).code, 200)
            self.assertEqual(self.under("GET", path).code, 200)
        metrics = self.ask("GET", "/metrics").body.decode()
        self.assertIn('route="/healthz"', metrics)
        self.assertNotIn(BASE, metrics)

    def test_nothing_else_is_at_the_root(self) -> None:
        for path in ("/", "/tasks", "/changes", "/docs", "/openapi.json", f"/static/{WORKER}", BASE + BASE + "/tasks",
                     "/apps/toxdo/tasks", BASE + "tasks"):
            self.assertEqual(self.fetch_as_is("GET", path).code, 404, path)


class ProbedTest(ServedTestCase):
    """All connections are taken, but for those that are kept for probes."""

    http = {"base_path": BASE, "max_connections": 1}

    def test_probes_are_answered_at_both_places(self) -> None:
        for path in ("/readyz", f"{BASE}/readyz", f"{BASE}/healthz/"):
            self.assertEqual(self.answer_beside_another(path), 200, path)
        self.assertEqual(self.answer_beside_another(f"{BASE}/tasks"), 503)

    def answer_beside_another(self, path: str) -> int:
        """Return the status of a request that comes while another connection is open."""
        async def talk() -> int:
            port = self.get_http_port()
            _, other = await asyncio.open_connection("127.0.0.1", port)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            status = (await reader.readline()).split()[1]
            for each in (other, writer):
                each.close()
                await each.wait_closed()
            return int(status)

        status: int = self.io_loop.run_sync(talk, timeout=30)
        return status


@on_both_servers
class TokensTest(ServedTestCase):

    http = {"base_path": BASE}
    tokens = TOKENS

    def test_what_is_for_everybody_is_so_under_it_and_the_rest_is_not(self) -> None:
        for path in (BASE, f"{BASE}/", f"{BASE}/docs", "/healthz"):
            self.assertIn(self.fetch_as_is("GET", path).code, (200, 301), path)
        for path in (f"{BASE}/tasks", "/metrics", f"{BASE}/metrics"):
            self.assertEqual(self.fetch_as_is("GET", path).code, 401, path)
            self.assertEqual(self.fetch_as_is("GET", path, None, **bearer(READER)).code, 200, path)


if __name__ == "__main__":
    unittest.main()

"""The transforms of an Application change its answers on both servers."""

import gzip
import json
from typing import Any

import tornado.httputil
import tornado.web

from tests.helpers.running import ServedTestCase, on_both_servers

TASK = '{"title": "%s"}' % ("a" * 2000)


class Stamp(tornado.web.OutputTransform):
    """Puts something before and after each body."""

    def __init__(self, request: tornado.httputil.HTTPServerRequest) -> None:
        self.method = request.method or ""

    def transform_first_chunk(
        self, status_code: int, headers: tornado.httputil.HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, tornado.httputil.HTTPHeaders, bytes]:
        headers["X-Method"] = self.method
        chunk = b"<" + chunk
        if finishing:
            chunk += b">"
            headers["Content-Length"] = str(len(chunk))
        return status_code, headers, chunk


@on_both_servers
class TransformsTest(ServedTestCase):
    """Those that somebody set."""

    def get_app(self) -> Any:
        application = super().get_app()
        application.transforms.append(Stamp)
        return application

    def test_they_see_the_request_and_change_the_answer(self) -> None:
        for method, status in (("GET", 200), ("POST", 400)):
            answer = self.fetch_as_is(method, "/tasks", None if method == "GET" else "x")
            self.assertEqual((answer.code, answer.headers["X-Method"]), (status, method))
            self.assertTrue(answer.body.startswith(b"<{") and answer.body.endswith(b"}>"), answer.body)


@on_both_servers
class CompressResponseTest(ServedTestCase):
    """`compress_response`, as in any Application."""

    def get_app(self) -> Any:
        application = super().get_app()
        application.transforms.append(tornado.web.GZipContentEncoding)
        return application

    def test_a_task_is_compressed(self) -> None:
        path = self.create(TASK)
        answer = self.fetch_as_is("GET", path, Accept_Encoding="gzip")
        self.assertEqual(answer.headers["Content-Encoding"], "gzip")
        self.assertIn("Accept-Encoding", answer.headers["Vary"])
        self.assertEqual(json.loads(gzip.decompress(answer.body)), json.loads(TASK))
        self.assertEqual(self.fetch_as_is("GET", path).body, TASK.encode())

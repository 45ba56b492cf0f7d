"""A store that is away, or takes no writes, as clients and whoever runs the service see it."""

import json
import shutil
import unittest
from collections.abc import Iterator
from typing import Any

import tornado.web
from tornado.httpclient import HTTPResponse

from taskservice.config import Config
from tests import postgres
from tests.postgres_tls import Authority, TLSFront
from tests.support import AppTestCase

TASK = '{"title": "a"}'


class AwayTestCase(AppTestCase):
    """What is the same for every store that is away."""

    def assert_unavailable(self, answer: HTTPResponse, reason: str) -> None:
        """Check an answer, and that the log says why."""
        self.assertEqual((answer.code, answer.reason), (503, "Service Unavailable"))
        self.assertGreater(int(answer.headers["Retry-After"]), 0)
        if answer.body:
            self.assertEqual(json.loads(answer.body)["message"], "Service Unavailable")
        line = self.journal.responses()[-1]
        self.assertEqual(line.level, "ERROR")
        self.assertRegex(line.values["reason"], reason)
        self.assertNotIn("trace", line.values)

    def ask_all(self, path: str) -> Iterator[HTTPResponse]:
        """Ask everything that needs the store, reads first."""
        for request in (
                ("GET", "/readyz"), ("HEAD", "/readyz"), ("GET", "/tasks"), ("GET", "/tasks?q=a"),
                ("GET", path), ("GET", "/changes"), ("POST", "/tasks", TASK), ("PUT", path, TASK),
                ("PATCH", path, "{}"), ("DELETE", path)):
            yield self.ask(*request)


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
@unittest.skipIf(shutil.which("openssl") is None, "needs the program openssl")
class TLSTest(AwayTestCase):
    """PostgreSQL's certificate expires while the service runs."""

    def config(self) -> Config:
        return Config(service_name="Todo List Test", task_db={"postgres": self.dsn})

    def get_app(self) -> tornado.web.Application:
        server = postgres.shared_server()
        self.authority = Authority(self.folder / "authority")
        self.front = TLSFront(server.port, self.authority.context())
        port = self.io_loop.run_sync(self.front.start)
        self.dsn = postgres.fresh_database().replace(f"127.0.0.1:{server.port}", f"localhost:{port}")
        self.dsn += f"&sslmode=verify-full&sslrootcert={self.authority.certificate}"
        return super().get_app()

    def tearDown(self) -> None:
        self.io_loop.run_sync(self.service.stop)
        self.io_loop.run_sync(self.front.stop)
        super().tearDown()

    def set_context(self, **options: Any) -> None:
        """Show another certificate from now on, and to those who are connected."""
        self.front.context = self.authority.context(**options)
        self.io_loop.run_sync(self.front.cut)

    def test_everything_is_unavailable_until_there_is_a_good_one(self) -> None:
        path = self.create()
        self.set_context(expired=True)
        for answer in self.ask_all(path):
            self.assert_unavailable(
                answer, r"PostgreSQL at localhost:\d+ shows a certificate that does not verify .*: "
                        "certificate has expired")
        self.assertEqual(self.ask("GET", "/healthz").code, 200)
        self.set_context()
        codes = [answer.code for answer in self.ask_all(path)]
        self.assertEqual(codes, [200] * 6 + [201] + [204] * 3)


del AwayTestCase

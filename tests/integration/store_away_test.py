"""A store that is away, or takes no writes, as clients and whoever runs the service see it."""

import json
import shutil
import unittest
from collections.abc import Iterator
from typing import Any

from tornado.httpclient import HTTPResponse

from taskservice.config import Config
from taskservice.tornado.app import TaskServiceApplication
from tests.helpers import postgres
from tests.helpers.api import wait_until
from tests.helpers.app import AppTestCase
from tests.helpers.postgres_tls import Authority, TLSFront

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

    def events(self) -> list[dict[str, Any]]:
        """Return what is logged of the store itself."""
        return [line.values for line in self.journal.lines
                if line.values["message"].startswith("STORE ")]

    def assert_logged(self, begin: str, reason: str, end: str, requests: int) -> None:
        """Check that an outage was logged when it began and when it ended, and nothing else."""
        began, ended = self.events()
        self.assertEqual((began["message"], ended["message"]), (begin, end))
        self.assertRegex(began["reason"], reason)
        self.assertGreater(ended["seconds"], 0)
        self.assertEqual(ended["requests"], requests)

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

    def get_app(self) -> TaskServiceApplication:
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
        self.assert_logged("STORE UNAVAILABLE", "certificate has expired", "STORE AVAILABLE", 10)


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class ReadOnlyTest(AwayTestCase):
    """PostgreSQL takes no writes for a while."""

    def config(self) -> Config:
        return Config(service_name="Todo List Test", task_db={"postgres": self.server.dsn()})

    def get_app(self) -> TaskServiceApplication:
        self.server = self.enterContext(postgres.PostgresServer(fsync=False))
        return super().get_app()

    def assert_read_only(self, path: str, reason: str) -> None:
        """Check that reads go on, and that nothing is written."""
        before = self.ask("GET", "/tasks")
        for method, asked, body in (
                ("POST", "/tasks", TASK), ("PUT", path, TASK), ("PATCH", path, '{"title": "b"}'),
                ("DELETE", path, None)):
            self.assert_unavailable(
                self.ask(method, asked, body), r"^PostgreSQL at 127\.0\.0\.1:\d+ takes no writes: ")
        for method in ("GET", "HEAD"):
            self.assert_unavailable(
                self.ask(method, "/readyz"),
                rf"^PostgreSQL at 127\.0\.0\.1:\d+ takes no writes: {reason}$")
        self.assertEqual(self.ask("GET", "/healthz").code, 200)
        self.assertEqual(self.ask("GET", path).code, 200)
        after = self.ask("GET", "/tasks")
        self.assertEqual((after.code, after.body), (200, before.body))
        self.assertEqual(after.headers["ETag"], before.headers["ETag"])

    def assert_writable(self, path: str) -> None:
        """Check that all is well again, without a restart."""
        codes = [answer.code for answer in self.ask_all(path)]
        self.assertEqual(codes, [200] * 6 + [201] + [204] * 3)

    def test_a_standby_is_not_ready_and_serves_reads_until_it_is_promoted(self) -> None:
        path = self.create()
        self.server.become_standby()
        self.assert_read_only(path, "it is a standby")
        self.server.promote()
        self.assert_writable(path)
        self.assert_logged("STORE READ-ONLY", "takes no writes: ", "STORE WRITABLE", 6)

    def test_a_default_of_read_only_is_respected(self) -> None:
        path = self.create()
        for setting in ("on", "off"):
            self.server.psql(f"ALTER SYSTEM SET default_transaction_read_only = {setting}")
            self.server.psql("SELECT pg_reload_conf()")
            wait_until(lambda: self.ask("GET", "/readyz").code == (503 if setting == "on" else 200),
                       f"read-only {setting}", 5)
            if setting == "on":
                self.assert_read_only(path, "default_transaction_read_only is on")
        self.assert_writable(path)

    def test_a_service_can_be_started_on_a_standby(self) -> None:
        path = self.create()
        self.io_loop.run_sync(self.service.stop)
        self.server.become_standby()
        self.io_loop.run_sync(self.service.start)
        self.assert_read_only(path, "it is a standby")


del AwayTestCase

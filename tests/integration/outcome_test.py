"""What the canonical line shows of an outcome, beside what it shows of every request."""

import json
from typing import Any

from tests.helpers.app import on_every_engine
from tests.helpers.running import TOKENS, WRITER, ServedTestCase, bearer, on_both_servers

TASK = '{"title": "a"}'


class OutcomeCase(ServedTestCase):

    def line_of(self, method: str, path: str, body: str | None = None, /, **headers: str) -> dict[str, Any]:
        """Send a request, and return what its canonical line says."""
        self.answer = self.ask(method, path, body, **headers)
        return self.journal.responses()[-1].values


@on_both_servers
class OutcomeTest(OutcomeCase):

    def test_a_write_shows_its_revision(self) -> None:
        path = self.create()
        for method, asked, body in (
                ("POST", "/tasks", TASK), ("PUT", path, TASK), ("PATCH", path, "{}"), ("DELETE", path, None)):
            values = self.line_of(method, asked, body)
            if method != "DELETE":
                self.assertEqual(f'"{values["rev"]}"', self.answer.headers["ETag"])
            changes = json.loads(self.ask("GET", "/changes").body)
            self.assertEqual(values["rev"], changes["revision"])

    def test_a_read_shows_none(self) -> None:
        path = self.create()
        for asked in (path, "/tasks", "/changes", "/tasks/none"):
            self.assertNotIn("rev", self.line_of("GET", asked))

    def test_the_bytes_are_those_of_the_body(self) -> None:
        path = self.create()
        for method, asked in (("GET", path), ("GET", "/tasks"), ("GET", "/tasks/none"), ("DELETE", path)):
            values = self.line_of(method, asked)
            self.assertEqual(values["bytes"], len(self.answer.body), asked)

    def test_the_time_in_the_store_is_part_of_the_time(self) -> None:
        path = self.create()
        values = self.line_of("GET", path)
        self.assertGreater(values["store_ms"], 0)
        self.assertLess(values["store_ms"], values["time_ms"])
        self.assertEqual(self.line_of("GET", "/healthz")["store_ms"], 0)

    def test_a_precondition_that_failed(self) -> None:
        path = self.create()
        for method, body, condition in (
                ("PUT", TASK, {"If_Match": '"1"'}), ("PATCH", "{}", {"If_Match": '"1"'}),
                ("DELETE", None, {"If_Match": '"1"'}), ("PUT", TASK, {"If_None_Match": "*"})):
            values = self.line_of(method, path, body, **condition)
            self.assertEqual((values["status"], values["precondition"]), (412, "failed"))
        self.assertNotIn("precondition", self.line_of("PUT", path, TASK, If_Match="*"))
        self.assertNotIn("precondition", self.line_of("GET", path, If_None_Match="*"))

    def test_an_answer_that_was_given_before(self) -> None:
        first = self.line_of("POST", "/tasks", TASK, Idempotency_Key="k")
        self.assertNotIn("idempotency", first)
        again = self.line_of("POST", "/tasks", TASK, Idempotency_Key="k")
        self.assertEqual((again["idempotency"], again["rev"]), ("replayed", first["rev"]))

    def test_each_key_is_there_once(self) -> None:
        """`values` fails at a key that comes twice; here all that can come together do."""
        self._app.dependencies.debug = True
        values = self.line_of("POST", "/tasks", "x", Idempotency_Key="k", X_Request_Id="r")
        self.assertLessEqual({"req_id", "reason", "trace", "status", "time_ms", "store_ms", "bytes"}, set(values))


@on_every_engine
class StoreTimeTest(OutcomeCase):
    """On every engine, whose work may be done in other threads and tasks."""

    def test_it_is_line_of(self) -> None:
        path = self.create()
        for method, asked, body in (
                ("POST", "/tasks", TASK), ("GET", path, None), ("PUT", path, TASK),
                ("PATCH", path, "{}"), ("GET", "/tasks", None), ("DELETE", path, None)):
            values = self.line_of(method, asked, body)
            self.assertGreater(values["store_ms"], 0, method)
            self.assertLessEqual(values["store_ms"], values["time_ms"], method)


class TokenTest(OutcomeCase):

    tokens = TOKENS

    def test_whose_token_it_was(self) -> None:
        values = self.line_of("POST", "/tasks", TASK, **bearer(WRITER))
        self.assertEqual(values["token"], "robot")
        self.assertNotIn("token", self.line_of("GET", "/tasks"))
        self.assertNotIn("token", self.line_of("GET", "/healthz", **bearer(WRITER)))


del OutcomeCase

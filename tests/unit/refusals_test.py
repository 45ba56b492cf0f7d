"""Answers to what the connection refuses."""

import json
import unittest

from taskservice.config import Config
from taskservice.http1.server import Refusal
from taskservice.tornado.handlers.dependencies import Policy
from taskservice.tornado.metrics import Metrics
from taskservice.tornado.refusals import refuser
from tests.helpers.app import journal


class AdviceTest(unittest.TestCase):
    """A write that the application has begun may still take place: the answer says how to find out."""

    def message(self, status: int, method: str | None, request_id: str) -> str:
        """Refuse a request, and return the message."""
        refusal = Refusal(status, "Too slow", method, "/tasks", "127.0.0.1", None, request_id, 1.0)
        with journal() as kept:
            _, body = refuser(Metrics("memory"), Policy.of(Config()))(refusal)
        facts = json.loads(body)
        self.assertEqual(facts["message"], kept.responses()[0].values["reason"])
        message: str = facts["message"]
        return message

    def test_it_is_for_writes(self) -> None:
        may = "Too slow, and the write may still take place: to find out, "
        self.assertEqual(self.message(503, "POST", "id"), f"{may}send it again with the same Idempotency-Key")
        for method in ("PUT", "PATCH", "DELETE"):
            self.assertEqual(self.message(503, method, "id"), f"{may}read the task")

    def test_it_is_not_for_what_did_not_begin_or_writes_nothing(self) -> None:
        for status, method, request_id in (
                (503, "POST", ""), (503, "GET", "id"), (503, "HEAD", "id"), (503, "FROB", "id"), (503, None, ""),
                (408, "POST", "id"), (413, "PUT", "id"), (500, "POST", "id")):
            self.assertEqual(self.message(status, method, request_id), "Too slow")


class LevelTest(unittest.TestCase):

    def test_what_is_the_services_doing_is_an_error_and_the_clients_a_warning(self) -> None:
        for status, level in (
                (400, "WARNING"), (408, "WARNING"), (413, "WARNING"), (431, "WARNING"), (500, "ERROR"),
                (501, "WARNING"), (503, "ERROR")):
            refusal = Refusal(status, "Refused", "GET", "/tasks", "127.0.0.1")
            with journal() as kept:
                refuser(Metrics("memory"), Policy.of(Config()))(refusal)
            [line] = kept.responses()
            self.assertEqual((line.level, line.values["status"]), (level, status))


if __name__ == "__main__":
    unittest.main()

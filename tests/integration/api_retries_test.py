"""Idempotency-Key: the same request again gives the first answer again, and no second task."""

import json
import unittest
from http import HTTPStatus

from tornado.httpclient import HTTPResponse

from tests.helpers.api import NDJSON, Request, all_at_once, json_lines
from tests.helpers.app import AppTestCase, later, on_every_engine

BODY = '{"title": "a"}'
LINES = '{"title": "a"}\n{"id": "b", "task": {"title": "b"}}\n'


@on_every_engine
class RetryTest(AppTestCase):

    def post(self, key: str, body: str = BODY, **headers: str) -> HTTPResponse:
        """Create with a key."""
        return self.ask("POST", "/tasks", body, Idempotency_Key=key, **headers)

    def assert_replayed(self, first: HTTPResponse, again: HTTPResponse) -> None:
        """An answer is the first one again, and says so."""
        self.assertNotIn("Idempotent-Replayed", first.headers)
        self.assertEqual(again.headers["Idempotent-Replayed"], "true")
        self.assertEqual((again.code, again.reason, again.body), (first.code, first.reason, first.body))
        for name in ("Location", "ETag", "Content-Type", "Content-Length", "Preference-Applied"):
            self.assertEqual(again.headers.get(name), first.headers.get(name), name)

    def count(self) -> int:
        """Return how many tasks there are."""
        return len(json.loads(self.ask("GET", "/tasks").body))

    def test_the_same_again_is_answered_as_the_first(self) -> None:
        first = self.post('"k"')
        self.assertEqual(first.code, 201)
        for _ in range(2):
            self.assert_replayed(first, self.post('"k"'))
        self.assertEqual(self.count(), 1)
        self.assertEqual(self.etag(first.headers["Location"]), first.headers["ETag"])

    def test_so_it_is_with_the_task_in_the_answer(self) -> None:
        first = self.post('"k"', Prefer="return=representation")
        self.assertEqual(first.body, BODY.encode())
        self.assert_replayed(first, self.post('"k"', Prefer="return=representation"))

    def test_so_it_is_with_lines(self) -> None:
        first = self.post('"k"', LINES, Content_Type=NDJSON)
        self.assertEqual((first.code, first.reason, len(json_lines(first.body))), (200, "OK", 2))
        self.assert_replayed(first, self.post('"k"', LINES, Content_Type=NDJSON))
        self.assertEqual(self.count(), 2)

    def test_it_is_the_first_answer_whatever_has_become_of_the_task(self) -> None:
        first = self.post('"k"')
        self.ask("PUT", first.headers["Location"], '{"title": "b"}')
        self.assert_replayed(first, self.post('"k"'))
        self.ask("DELETE", first.headers["Location"])
        self.assert_replayed(first, self.post('"k"'))
        self.assertEqual(self.count(), 0)

    def test_another_body_is_refused(self) -> None:
        self.post('"k"')
        for body, headers in (('{"title": "b"}', {}), ('{"title":"a"}', {}),
                              (LINES, {"Content_Type": NDJSON})):
            answer = self.post('"k"', body, **headers)
            self.assertEqual((answer.code, answer.reason), (422, HTTPStatus(422).phrase))
        self.assertEqual(self.count(), 1)

    def test_a_key_is_the_same_bare_and_another_is_another(self) -> None:
        first = self.post('"k"')
        self.assert_replayed(first, self.post("k"))
        self.assert_replayed(first, self.post(' "k" '))
        for other in ('"K"', '"k2"', '"k "', "'k'"):
            self.assertNotIn("Idempotent-Replayed", self.post(other).headers)
        self.assertEqual(self.count(), 5)

    def test_without_a_key_each_is_one_of_its_own(self) -> None:
        self.assertNotEqual(self.create(), self.create())

    def test_of_16_at_once_one_creates(self) -> None:
        for body, headers, code in ((BODY, {}, 201), (LINES, {"Content-Type": NDJSON}, 200)):
            before = self.count()
            requests = [Request(self.get_url("/tasks"), "POST", body,
                                {"Idempotency-Key": f'"{len(body)}"', **headers})] * 16
            answers = self.io_loop.run_sync(lambda: all_at_once(requests), timeout=60)
            self.assertEqual({answer.code for answer in answers}, {code})
            [first] = [answer for answer in answers if "Idempotent-Replayed" not in answer.headers]
            for again in answers:
                if again is not first:
                    self.assert_replayed(first, again)
            self.assertEqual(self.count() - before, len(body.splitlines()))

    def test_after_a_day_it_is_forgotten(self) -> None:
        with later(23.9 * 3600):
            first = self.post('"k"')
        self.assert_replayed(first, self.post('"k"'))
        with later((23.9 + 23.9) * 3600):
            self.assert_replayed(first, self.post('"k"'))
        with later((23.9 + 24.1) * 3600):
            self.assertNotIn("Idempotent-Replayed", self.post('"k"').headers)
        self.assertEqual(self.count(), 2)

    def test_what_failed_is_not_kept(self) -> None:
        self.assertEqual(self.post('"k"', '{"title": ""}').code, 400)
        self.assertEqual(self.post('"k"', "{}").code, 400)
        self.assertEqual(self.post('"k"', '{"title": ""}\n', Content_Type=NDJSON).code, 400)
        self.ask("PUT", "/tasks/b", BODY, If_None_Match="*")
        self.assertEqual(self.post('"k"', LINES, Content_Type=NDJSON).code, 400)
        self.assertNotIn("Idempotent-Replayed", self.post('"k"').headers)
        self.assertEqual(self.count(), 2)

    def test_what_is_no_key_is_named_by_the_header(self) -> None:
        for key in ('""', '"' + "x" * 256 + '"', "x" * 256, '"a" "b"', '"a', "a, b", "", "é",
                    '"a\\b"'):
            with self.subTest(key):
                answer = self.post(key)
                self.assertEqual(answer.code, 400)
                self.assertRegex(json.loads(answer.body)["message"], r"\AIdempotency-Key: ")
        self.assertEqual(self.count(), 0)
        for key in ('"' + "x" * 255 + '"', r'"\"\\"', "a"):
            self.assertEqual(self.post(key).code, 201)

    def test_what_is_refused_before_the_store_needs_no_valid_key(self) -> None:
        """The checks that come first come first with a key, too."""
        self.assertEqual(self.post('"k"', Content_Type="text/plain").code, 415)
        self.assertEqual(self.post('"k"', "x" * 70_000).code, 413)
        self.assertNotIn("Idempotent-Replayed", self.post('"k"').headers)


if __name__ == "__main__":
    unittest.main()

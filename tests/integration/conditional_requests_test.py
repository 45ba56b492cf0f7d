"""Conditional requests (RFC 9110 §13): what has not changed is not sent, what has is not lost."""

import asyncio
import json
import time
import unittest
from email.utils import parsedate_to_datetime

from tornado.httpclient import HTTPResponse

from taskservice.http.dates import http_date
from tests.helpers.api import Request, all_at_once
from tests.helpers.app import AppTestCase, later, on_every_engine

HOUR = 3600
WRITES = (("PUT", '{"title": "b"}'), ("PATCH", '{"title": "b"}'), ("DELETE", None))
NO_DATES = ("", "yesterday", "Sun, 06 Nov 1994 08:49:37", "1994-11-06T08:49:37Z")
NO_TAGS = ("1", '"1', "'1'", 'w/"1"', '"1" "2"', '*, "1"')


def weakened(tag: str) -> str:
    """Return the tag marked as weak."""
    return tag if tag.startswith("W/") else f"W/{tag}"


@on_every_engine
class IfNoneMatchTest(AppTestCase):

    def test_a_task_that_is_known_is_not_sent_again(self) -> None:
        path = self.create()
        tag = self.etag(path)
        for condition in (tag, weakened(tag), "*", f'"1", {tag}', f'"a,b" , W/{tag},"c"', f",{tag}"):
            for method in ("GET", "HEAD"):
                with self.subTest(condition, method=method):
                    answer = self.ask(method, path, If_None_Match=condition)
                    self.assertEqual(
                        (answer.code, answer.reason, answer.body), (304, "Not Modified", b""))
                    self.assertEqual(answer.headers["ETag"], tag)
                    self.assertIn("Last-Modified", answer.headers)
                    self.assertNotIn("Content-Type", answer.headers)

    def test_another_tag_is_answered_with_the_task(self) -> None:
        path = self.create()
        tag = self.etag(path)
        for condition in ('"1"', 'W/"1"', '""', "", tag.strip('"'), f'"{tag[1:-1]}0"', '"*"',
                          f'{tag} "1"', f"x{tag}", '*, "1"', "*,*"):
            with self.subTest(condition):
                answer = self.ask("GET", path, If_None_Match=condition)
                self.assertEqual((answer.code, answer.body), (200, b'{"title": "Task1"}'))

    def test_a_task_that_is_written_has_another_tag(self) -> None:
        path = self.create()
        tag = self.etag(path)
        self.ask("PUT", path, '{"title": "Task1"}')
        self.assertEqual(self.ask("GET", path, If_None_Match=tag).code, 200)

    def test_a_list_is_sent_again_after_every_write(self) -> None:
        paths: list[str] = []
        for write in (lambda: paths.append(self.create()),
                      lambda: self.ask("PUT", paths[0], '{"title": "b"}'),
                      lambda: self.ask("DELETE", paths[0])):
            tag = self.etag("/tasks")
            self.assertRegex(tag, r'\AW/"[0-9]+"\Z')
            unchanged = self.ask("GET", "/tasks", If_None_Match=tag)
            self.assertEqual((unchanged.code, unchanged.body), (304, b""))
            self.assertEqual(unchanged.headers["ETag"], tag)
            self.assertEqual(self.ask("HEAD", "/tasks", If_None_Match=tag[2:]).code, 304)
            write()
            self.assertEqual(self.ask("GET", "/tasks", If_None_Match=tag).code, 200)

    def test_a_task_that_is_not_there_is_404_on_any_condition(self) -> None:
        self.assertEqual(self.ask("GET", "/tasks/none", If_None_Match="*").code, 404)

    def test_a_write_to_what_is_excluded_does_not_happen(self) -> None:
        path = self.create()
        tag = self.etag(path)
        for condition in (tag, weakened(tag), "*", f'"1", {tag}', f'W/"1",{weakened(tag)},'):
            for method, body in WRITES:
                with self.subTest(condition, method=method):
                    answer = self.ask(method, path, body, If_None_Match=condition)
                    self.assertEqual((answer.code, answer.headers["ETag"]), (412, tag))
        self.assertEqual(self.ask("GET", path).body, b'{"title": "Task1"}')
        self.assertEqual(self.etag(path), tag)

    def test_a_write_to_another_happens(self) -> None:
        for condition in ('"1"', 'W/"1", "2"', '""', "", ","):
            for method, body in WRITES:
                with self.subTest(condition, method=method):
                    answer = self.ask(method, self.create(), body, If_None_Match=condition)
                    self.assertEqual(answer.code, 204)

    def test_a_write_to_what_is_not_there_is_404(self) -> None:
        for method, body in (("PATCH", "{}"), ("DELETE", None)):
            for condition in ("*", '"1"'):
                answer = self.ask(method, "/tasks/none", body, If_None_Match=condition)
                self.assertEqual(answer.code, 404)


@on_every_engine
class IfMatchTest(AppTestCase):

    def test_a_write_that_expects_what_is_there_happens(self) -> None:
        for expected in ("{}", '"1", {}', '{} , W/"1"', "*"):
            for method, body in WRITES:
                with self.subTest(expected, method=method):
                    path = self.create()
                    condition = expected.format(self.etag(path))
                    self.assertEqual(self.ask(method, path, body, If_Match=condition).code, 204)

    def test_a_write_that_expects_another_revision_gets_the_current_one(self) -> None:
        path = self.create()
        tag = self.etag(path)
        for condition in ('"1"', weakened(tag), '"1", W/"2"', '""', "", f'"0{tag[1:]}', '"*"'):
            for method, body in WRITES:
                with self.subTest(condition, method=method):
                    answer = self.ask(method, path, body, If_Match=condition)
                    self.assertEqual((answer.code, answer.reason), (412, "Precondition Failed"))
                    self.assertEqual(answer.headers["ETag"], tag)
        self.assertEqual(self.ask("GET", path).body, b'{"title": "Task1"}')

    def test_a_task_that_is_not_there_is_404(self) -> None:
        for condition in ("*", '"1"'):
            for method, body in WRITES:
                self.assertEqual(self.ask(method, "/tasks/none", body, If_Match=condition).code, 404)

    def test_of_many_writers_that_expect_one_revision_one_wins(self) -> None:
        path = self.create()
        tag = self.etag(path)

        async def write(title: str) -> int:
            answer = await self.http_client.fetch(
                self.get_url(path), raise_error=False, method="PUT", headers={"If-Match": tag},
                body=f'{{"title": "{title}"}}')
            return answer.code

        async def race() -> list[int]:
            return await asyncio.gather(*(write(f"t{number}") for number in range(20)))

        codes: list[int] = self.io_loop.run_sync(race)
        self.assertEqual(sorted(codes), [204] + [412] * 19)
        winner = codes.index(204)
        self.assertEqual(self.ask("GET", path).body, b'{"title": "t%d"}' % winner)

    def test_a_weak_tag_is_named_as_the_reason(self) -> None:
        path = self.create()
        tag = self.etag(path)
        for condition in (weakened(tag), f'"1", {weakened(tag)}', 'W/"1"'):
            for method, body in WRITES:
                answer = self.ask(method, path, body, If_Match=condition)
                self.assertEqual((answer.code, answer.headers["ETag"]), (412, tag))
                self.assertEqual(answer.reason, "Precondition Failed")
                message = json.loads(answer.body)["message"]
                self.assertIn("weak", message)
                self.assertIn("proxy", message)
        answer = self.ask("DELETE", path, If_Match='"1", W/"2"')
        self.assertNotIn("weak", json.loads(answer.body)["message"])

    def test_a_read_of_another_is_412(self) -> None:
        path = self.create()
        tag = self.etag(path)
        for method in ("GET", "HEAD"):
            for condition in ('"1"', weakened(tag), ""):
                answer = self.ask(method, path, If_Match=condition, If_None_Match=tag)
                self.assertEqual((answer.code, answer.headers["ETag"]), (412, tag))
            for condition in (tag, "*", *NO_TAGS):
                self.assertEqual(self.ask(method, path, If_Match=condition).code, 200)
            self.assertEqual(self.ask(method, path, If_Match=tag, If_None_Match=tag).code, 304)

    def test_a_weak_tag_of_a_list_or_a_document_matches_none(self) -> None:
        for path in ("/tasks", "/tasks?limit=1", "/openapi.json", "/docs"):
            tag = self.etag(path)
            for condition, code in (("*", 200), (tag, 412), (tag[2:], 412)):
                with self.subTest(path, condition=condition):
                    answer = self.ask("GET", path, If_Match=condition)
                    self.assertEqual((answer.code, answer.headers["ETag"]), (code, tag))


@on_every_engine
class MalformedTagsTest(AppTestCase):

    def test_a_write_is_refused_by_the_name_of_the_field(self) -> None:
        path = self.create()
        for name in ("If-Match", "If-None-Match"):
            for value in NO_TAGS:
                for method, body in WRITES:
                    with self.subTest(method, name=name, value=value):
                        answer = self.ask(method, path, body, **{name: value})
                        self.assertEqual(answer.code, 400)
                        self.assertRegex(
                            json.loads(answer.body)["message"], rf"\A{name}: expected ")
        self.assertEqual(self.ask("GET", path).body, b'{"title": "Task1"}')

    def test_a_write_to_what_is_not_there_is_refused_as_well(self) -> None:
        for method, body in WRITES:
            self.assertEqual(self.ask(method, "/tasks/none", body, If_Match="1").code, 400)


@on_every_engine
class IfModifiedSinceTest(AppTestCase):

    def test_what_has_not_been_modified_is_not_sent_again(self) -> None:
        path = self.create()
        answer = self.ask("GET", path)
        modified, tag = answer.headers["Last-Modified"], answer.headers["ETag"]
        seconds = parsedate_to_datetime(modified)
        for date in (modified, http_date(10 ** 10), seconds.strftime("%A, %d-%b-%y %H:%M:%S GMT"),
                     seconds.strftime("%a %b %e %H:%M:%S %Y")):
            for method in ("GET", "HEAD"):
                with self.subTest(date, method=method):
                    answer = self.ask(method, path, If_Modified_Since=date)
                    self.assertEqual((answer.code, answer.body), (304, b""))
                    self.assertEqual(answer.headers["ETag"], tag)
                    self.assertEqual(answer.headers["Last-Modified"], modified)

    def test_what_has_been_modified_is_sent(self) -> None:
        path = self.create()
        modified = parsedate_to_datetime(self.ask("GET", path).headers["Last-Modified"])
        for date in (http_date(int(modified.timestamp()) - 1), http_date(0)):
            answer = self.ask("GET", path, If_Modified_Since=date)
            self.assertEqual((answer.code, answer.body), (200, b'{"title": "Task1"}'))

    def test_what_is_no_single_date_is_ignored(self) -> None:
        path = self.create()
        date = http_date(10 ** 10)
        for value in (*NO_DATES, f"{date}, {date}", f'"{date}"'):
            with self.subTest(value):
                self.assertEqual(self.ask("GET", path, If_Modified_Since=value).code, 200)

    def test_it_is_ignored_beside_if_none_match(self) -> None:
        path = self.create()
        for tags in ('"1"', "1", ""):
            answer = self.ask(
                "GET", path, If_None_Match=tags, If_Modified_Since=http_date(10 ** 10))
            self.assertEqual(answer.code, 200)

    def test_lists_and_documents_have_no_date(self) -> None:
        for path in ("/tasks", "/tasks?limit=1", "/openapi.json", "/docs"):
            answer = self.ask("GET", path, If_Modified_Since=http_date(10 ** 10),
                              If_Unmodified_Since=http_date(0))
            self.assertEqual(answer.code, 200)
            self.assertNotIn("Last-Modified", answer.headers)

    def test_a_write_ignores_it(self) -> None:
        for method, body in WRITES:
            for date in (http_date(0), http_date(10 ** 10)):
                answer = self.ask(method, self.create(), body, If_Modified_Since=date)
                self.assertEqual(answer.code, 204)


@on_every_engine
class IfUnmodifiedSinceTest(AppTestCase):

    def test_a_write_to_what_has_been_modified_does_not_happen(self) -> None:
        path = self.create()
        tag = self.etag(path)
        for date in (http_date(int(time.time()) - HOUR), "Sunday, 06-Nov-94 08:49:37 GMT",
                     "Sun Nov  6 08:49:37 1994"):
            for method, body in WRITES:
                with self.subTest(date, method=method):
                    answer = self.ask(method, path, body, If_Unmodified_Since=date)
                    self.assertEqual((answer.code, answer.headers["ETag"]), (412, tag))
        self.assertEqual(self.etag(path), tag)

    def test_a_write_to_what_has_not_been_modified_happens(self) -> None:
        for method, body in WRITES:
            path = self.create()
            date = self.ask("HEAD", path).headers["Last-Modified"]
            answer = self.ask(method, path, body, If_Unmodified_Since=date)
            self.assertEqual(answer.code, 204)

    def test_a_write_to_what_is_not_there_is_404(self) -> None:
        for method, body in WRITES:
            for date in (http_date(0), http_date(10 ** 10)):
                answer = self.ask(method, "/tasks/none", body, If_Unmodified_Since=date)
                self.assertEqual(answer.code, 404)

    def test_it_is_ignored_beside_if_match(self) -> None:
        for method, body in WRITES:
            path = self.create()
            answer = self.ask(method, path, body, If_Match='"1"',
                              If_Unmodified_Since=http_date(10 ** 10))
            self.assertEqual(answer.code, 412)
            answer = self.ask(method, path, body, If_Match=self.etag(path),
                              If_Unmodified_Since=http_date(0))
            self.assertEqual(answer.code, 204)

    def test_what_is_no_single_date_is_ignored(self) -> None:
        date = http_date(0)
        for value in (*NO_DATES, f"{date}, {date}"):
            answer = self.ask("DELETE", self.create(), If_Unmodified_Since=value)
            self.assertEqual(answer.code, 204)

    def test_if_none_match_counts_as_well(self) -> None:
        path = self.create()
        tag = self.etag(path)
        for method, body in WRITES:
            for date, tags in ((10 ** 10, tag), (0, '"1"')):
                answer = self.ask(
                    method, path, body, If_Unmodified_Since=http_date(date), If_None_Match=tags)
                self.assertEqual((answer.code, answer.headers["ETag"]), (412, tag))

    def test_a_read_of_what_has_been_modified_is_412(self) -> None:
        path = self.create()
        tag = self.etag(path)
        for method in ("GET", "HEAD"):
            answer = self.ask(method, path, If_Unmodified_Since=http_date(0), If_None_Match=tag)
            self.assertEqual((answer.code, answer.headers["ETag"]), (412, tag))
            answer = self.ask(method, path, If_Unmodified_Since=http_date(10 ** 10))
            self.assertEqual(answer.code, 200)

    def test_of_many_writers_with_one_date_one_wins(self) -> None:
        """But for those who write within the same second: their date is that of the first."""
        path = self.create()
        modified = self.ask("HEAD", path).headers["Last-Modified"]
        while http_date(int(time.time())) == modified:
            time.sleep(0.01)
        requests = [Request(self.get_url(path), method, '{"title": "%d"}' % number,
                            {"If-Unmodified-Since": modified})
                    for number, method in enumerate(["PUT", "PATCH"] * 8)]
        answers: list[HTTPResponse] = self.io_loop.run_sync(
            lambda: all_at_once(requests), timeout=60)
        codes = [answer.code for answer in answers]
        self.assertEqual(sorted(codes), [204] + [412] * 15)
        self.assertEqual({answer.headers["ETag"] for answer in answers}, {self.etag(path)})
        title = json.loads(self.ask("GET", path).body)["title"]
        self.assertEqual(title, f"{codes.index(204)}")


@on_every_engine
class ClockTest(AppTestCase):
    """A clock that went back a day leaves revisions in the future (RFC 9110 §8.8.2.1)."""

    def setUp(self) -> None:
        super().setUp()
        with later(24 * HOUR):
            self.path = self.create()

    def dates(self, answer: HTTPResponse) -> tuple[float, float]:
        """Return Last-Modified and Date, in seconds."""
        modified, date = (
            parsedate_to_datetime(answer.headers[name]).timestamp()
            for name in ("Last-Modified", "Date"))
        return modified, date

    def test_nothing_was_modified_in_the_future(self) -> None:
        tag = self.etag(self.path)
        for method, condition in (("GET", "x"), ("HEAD", "x"), ("GET", tag)):
            answer = self.ask(method, self.path, If_None_Match=condition)
            modified, date = self.dates(answer)
            self.assertEqual(modified, date)
        self.assertEqual(self.ask("PUT", self.path, '{"title": "b"}').code, 204)
        modified, date = self.dates(self.ask("GET", self.path))
        self.assertEqual(modified, date)

    def test_dates_are_compared_with_what_is_sent(self) -> None:
        now = int(time.time())
        for date, known in ((now + HOUR, True), (now - HOUR, False)):
            answer = self.ask("GET", self.path, If_Modified_Since=http_date(date))
            self.assertEqual(answer.code, 304 if known else 200)
            for method, body in WRITES[:2]:
                answer = self.ask(
                    method, self.path, body, If_Unmodified_Since=http_date(date))
                self.assertEqual(answer.code, 204 if known else 412)


if __name__ == "__main__":
    unittest.main()

"""Conditional requests (RFC 9110 §13): what has not changed is not sent, what has is not lost."""

import asyncio

from tests.support import AppTestCase, on_every_engine


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
        for condition in ('"1"', 'W/"1"', '""', "", tag.strip('"'), f'"{tag[1:-1]}0"', '"*"'):
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


@on_every_engine
class IfMatchTest(AppTestCase):

    def test_a_write_that_expects_what_is_there_happens(self) -> None:
        for expected in ("{}", '"1", {}', '{} , W/"1"', "*"):
            for method, body in (("PUT", '{"title": "b"}'), ("DELETE", None)):
                with self.subTest(expected, method=method):
                    path = self.create()
                    condition = expected.format(self.etag(path))
                    self.assertEqual(self.ask(method, path, body, If_Match=condition).code, 204)

    def test_a_write_that_expects_another_revision_is_told_the_current_one(self) -> None:
        path = self.create()
        tag = self.etag(path)
        for condition in ('"1"', weakened(tag), '"1", W/"2"', '""', "", f'"0{tag[1:]}', '"*"'):
            for method, body in (("PUT", '{"title": "lost"}'), ("DELETE", None)):
                with self.subTest(condition, method=method):
                    answer = self.ask(method, path, body, If_Match=condition)
                    self.assertEqual((answer.code, answer.reason), (412, "Precondition Failed"))
                    self.assertEqual(answer.headers["ETag"], tag)
        self.assertEqual(self.ask("GET", path).body, b'{"title": "Task1"}')

    def test_a_task_that_is_not_there_is_404(self) -> None:
        for condition in ("*", '"1"'):
            self.assertEqual(self.ask("DELETE", "/tasks/none", If_Match=condition).code, 404)

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

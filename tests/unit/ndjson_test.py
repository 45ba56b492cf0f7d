"""Tasks as lines of JSON, out and in."""

import json
import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taskservice.datamodel import StoredTask, TaskEntry
from taskservice.errors import InvalidTaskError, TaskTooLargeError, TooManyLinesError
from taskservice.http.ndjson import (
    MAX_VIOLATIONS, created_lines, parse_batch, task_lines)
from tests.helpers.strategies import property_settings, task_entries

IDS = st.text("abcXYZ019-", min_size=1, max_size=128)


class Watched(bytes):
    """A body that counts the lines that are looked for in it."""

    looks = 0

    def find(self, *arguments: Any) -> int:
        """Find, and count."""
        self.looks += 1
        return super().find(*arguments)

    def count(self, *arguments: Any) -> int:
        """Count line feeds, and note it."""
        self.looks += 1
        return super().count(*arguments)


class NdjsonTest(unittest.TestCase):
    """`task_lines`, `created_lines`, `parse_batch`."""

    def pointers(self, body: bytes) -> list[str]:
        """Return where the violations of a body are."""
        with self.assertRaises(InvalidTaskError) as caught:
            parse_batch(body)
        return [violation.pointer for violation in caught.exception.violations]

    @property_settings()
    @given(st.dictionaries(IDS, task_entries, min_size=1, max_size=5))
    def test_what_goes_out_comes_in_again(self, entries: dict[str, TaskEntry]) -> None:
        lines = task_lines(StoredTask.of(id_, 5, entry) for id_, entry in entries.items())
        batch = parse_batch(lines)
        self.assertEqual(list(batch.tasks), list(entries.items()))
        self.assertEqual(list(batch.lines), list(range(1, len(entries) + 1)))
        self.assertEqual(  # 1 and 1.0 are equal, and written differently
            [entry.to_json() for _, entry in batch.tasks],
            [entry.to_json() for entry in entries.values()])

    def test_a_line_out_is_a_triple(self) -> None:
        tasks = [StoredTask.of("a", 1, TaskEntry("A\nB")), StoredTask.of("b", 2, TaskEntry("C"))]
        lines = task_lines(tasks)
        self.assertEqual([json.loads(line) for line in lines.splitlines()], [
            {"id": "a", "revision": 1, "task": {"title": "A\nB"}},
            {"id": "b", "revision": 2, "task": {"title": "C"}}])

    def test_what_was_created_is_a_line_each(self) -> None:
        self.assertEqual(
            created_lines([("a", 1), ("b", 2)]),
            b'{"id": "a", "revision": 1}\n{"id": "b", "revision": 2}\n')

    def test_tasks_and_triples_may_be_mixed_and_empty_lines_count(self) -> None:
        batch = parse_batch(
            b'\n{"title": "A"}\r\n  \n\t\r\n{"id": "x-1", "task": {"title": "B"}}\n'
            b'{"revision": "any", "task": {"title": "C"}, "id": "y"}\n{"title": "D\xe2\x80\xa8"}')
        self.assertEqual(list(batch.tasks), [
            (None, TaskEntry("A")), ("x-1", TaskEntry("B")), ("y", TaskEntry("C")),
            (None, TaskEntry("D\u2028"))])
        self.assertEqual(list(batch.lines), [2, 5, 6, 7])

    def test_every_violation_is_reported_with_its_line(self) -> None:
        good = b'{"title": "A"}\n'
        for body, expected in [
            (good + b"{\n", ["/2"]), (b"\n\n[]", ["/3"]), (b"1\n2", ["/1", "/2"]),
            (b'"\xff"\n' + good, ["/1"]), (b'{"title": NaN}', ["/1"]),
            (b"\xef\xbb\xbf" + good, ["/1"]), (b"\x0c\n" + good, ["/1"]),
            (b'{"title": ""}', ["/1/title"]), (good * 2 + b'{"title": 1}', ["/3/title"]),
            (b'{"id": "a", "title": "A"}', ["/1"]),
            (b'{"title": "A", "priority": 1, "due_date": ""}', ["/1/due_date", "/1/priority"]),
            (b'{"task": {"title": "A"}}', ["/1/id"]), (b'{"id": "a", "task": 1}', ["/1/task"]),
            (b'{"id": "a b", "task": {"title": ""}, "b": 1, "a/~": 1}',
             ["/1/a~1~0", "/1/b", "/1/id", "/1/task/title"]),
            (b'{"id": "", "task": {"title": "A"}}', ["/1/id"]),
            (b'{"id": null, "task": {"title": "A"}}', ["/1/id"]),
            (b'{"id": "%b", "task": {"title": "A"}}' % (b"a" * 129), ["/1/id"]),
            (b'{"id": "a\\n", "task": {"title": "A"}}', ["/1/id"]),
        ]:
            with self.subTest(body=body):
                self.assertEqual(sorted(self.pointers(body)), expected)

    def test_an_id_may_come_once(self) -> None:
        line = b'{"id": "a", "task": {"title": "A"}}\n'
        self.assertEqual(self.pointers(line + b'{"title": "x"}\n' + line * 2), ["/3/id", "/4/id"])
        self.assertEqual(
            self.pointers(b'{"id": "a", "task": {}}\n' + line), ["/1/task", "/2/id"])

    def test_a_body_without_a_task_is_refused(self) -> None:
        for body in [b"", b"\n", b" \r\n\n"]:
            self.assertEqual(self.pointers(body), [""])

    def test_only_so_many_violations_are_reported_and_shortly(self) -> None:
        reported = [f"/{number}" for number in range(1, MAX_VIOLATIONS + 1)]
        self.assertEqual(self.pointers(b"x\n" * 500), reported)
        two_a_line = b'{"title": 1, "completed": 1}\n'
        self.assertEqual(len(self.pointers(b"x\n" + two_a_line * 99)), MAX_VIOLATIONS)
        many = {"id": "a", "task": {"title": "A"}} | {"x" * 5000 + str(n): n for n in range(500)}
        pointers = self.pointers(json.dumps(many).encode())
        self.assertEqual(len(pointers), MAX_VIOLATIONS)
        self.assertLess(max(map(len, pointers)), 200)

    def test_lines_after_the_last_violation_reported_are_not_looked_at(self) -> None:
        body = Watched(b"x\n" * (MAX_VIOLATIONS + 10))
        with self.assertRaises(InvalidTaskError):
            parse_batch(body)
        self.assertEqual(body.looks, MAX_VIOLATIONS)

    def test_more_lines_than_the_limit_are_refused_before_they_are_read(self) -> None:
        for body in (b"x\n" * 4, b"x\n" * 3 + b"x", b"\n\nx\n \r\nx\n\nx\n\tx"):
            with self.subTest(body), self.assertRaises(TooManyLinesError) as caught:
                parse_batch(body, max_lines=3)
            self.assertEqual(
                str(caught.exception), "The body has more than 3 lines, the limit http.max-ndjson-lines")

    def test_tasks_are_a_sequence(self) -> None:
        """They are decoded when they are asked for, whichever way that is."""
        body = b'{"title": "A"}\n\n{"id": "b", "task": {"title": "B"}}\r\n  {"title": "C"}'
        tasks = parse_batch(body).tasks
        expected = [(None, TaskEntry("A")), ("b", TaskEntry("B")), (None, TaskEntry("C"))]
        self.assertEqual((len(tasks), list(tasks), list(tasks)), (3, expected, expected))
        self.assertEqual((tasks[1], tasks[-1]), (expected[1], expected[2]))
        self.assertEqual(list(tasks[1:]), expected[1:])
        self.assertRaises(IndexError, lambda: tasks[3])

    def test_a_task_that_is_too_large_is_refused_with_its_line(self) -> None:
        """What counts is its JSON as it is stored, and not how it was sent."""
        largest = b'{"title": "' + b"x" * 87 + b'"}'
        escaped = b'{"title":  "' + rb"\u0078" * 87 + b'"}'
        for line in (largest, largest + b" " * 500, escaped,
                     b'{"id": "a", "revision": 1, "task": ' + largest + b"}"):
            self.assertEqual(len(parse_batch(b"\n" + line, max_task=100).tasks), 1)
        for line in (largest.replace(b"xx", b"xxx", 1), largest.replace(b"x", "é".encode(), 1)):
            with self.subTest(line), self.assertRaises(TaskTooLargeError) as caught:
                parse_batch(b'\n{"title": "A"}\n' + line, max_task=100)
            self.assertEqual(
                str(caught.exception), "line 3: the task has 101 bytes as JSON, and the limit is 100: "
                "twice http.max-body, and 1 KiB")

    def test_the_limit_does_not_count_blank_lines(self) -> None:
        task = b'{"title": "A"}'
        for body in ((task + b"\n") * 3, b"\n".join([task] * 3), (task + b"\n \t\r\n\n") * 3, b"\n" * 9 + task):
            with self.subTest(body):
                self.assertEqual(len(parse_batch(body, max_lines=3).tasks), body.count(task))

    def test_the_count_ends_at_the_limit(self) -> None:
        few, many = Watched(b"x\n" * 3), Watched(b"x\n" * 500)
        with self.assertRaises(InvalidTaskError):
            parse_batch(few, max_lines=4)
        self.assertEqual(few.looks, 1 + 3, "its line feeds are enough to know")
        with self.assertRaises(TooManyLinesError):
            parse_batch(many, max_lines=3)
        self.assertEqual(many.looks, 1 + 4)

    def test_blank_lines_are_skipped_without_a_look_at_each(self) -> None:
        body = Watched(b"\n \r\n" * 5_000 + b'{"title": "A"}')
        self.assertEqual(list(parse_batch(body, max_lines=3).lines), [10_001])
        self.assertLess(body.looks, 5)

    def test_an_id_that_exists_is_reported_with_its_line(self) -> None:
        batch = parse_batch(b'\n{"title": "A"}\n\n{"id": "b", "task": {"title": "B"}}')
        [violation] = batch.id_taken("b").violations
        self.assertEqual((violation.pointer, violation.detail), ("/4/id", "'b' exists already"))

    @property_settings()
    @given(st.binary() | st.lists(st.sampled_from(
        [b"{", b"}", b'"id":', b'"a"', b'"task":', b'"title":', b",", b"\n", b"\xff", b"[", b"1"],
    )).map(b"".join))
    def test_every_body_is_tasks_or_invalid(self, body: bytes) -> None:
        try:
            self.assertTrue(parse_batch(body).tasks)
        except InvalidTaskError as error:
            self.assertTrue(error.violations)

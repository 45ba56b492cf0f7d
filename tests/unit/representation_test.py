"""Tasks as bytes."""

import unittest

from taskservice.datamodel import StoredTask, TaskEntry
from taskservice.http.representation import Joined, joined_members


class RepresentationTest(unittest.TestCase):

    def test_members_of_an_object(self) -> None:
        tasks = [StoredTask.of(name, 1, TaskEntry(name.upper())) for name in "ab"]
        self.assertEqual(joined_members(tasks), b'"a": {"title": "A"}, "b": {"title": "B"}')
        self.assertEqual(joined_members([]), b"")

    def test_portions_are_one_document(self) -> None:
        for portions in ([], [b""], [b"1"], [b"1", b"2, 3"], [b"", b"1", b"", b"2", b""]):
            joined = Joined(b"[")
            document = b"".join(map(joined.portion, portions)) + joined.end(b"]")
            self.assertEqual(document, b"[" + b", ".join(filter(None, portions)) + b"]")

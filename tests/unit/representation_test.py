"""Tasks as bytes, and dates."""

import unittest

from taskservice.datamodel import StoredTask, TaskEntry
from taskservice.tornado.representation import last_modified, members


class RepresentationTest(unittest.TestCase):

    def test_members_of_an_object(self) -> None:
        tasks = [StoredTask.of(name, 1, TaskEntry(name.upper())) for name in "ab"]
        self.assertEqual(members(tasks), b'"a": {"title": "A"}, "b": {"title": "B"}')
        self.assertEqual(members([]), b"")

    def test_a_revision_is_a_date(self) -> None:
        self.assertEqual(last_modified(0), "Thu, 01 Jan 1970 00:00:00 GMT")
        self.assertEqual(last_modified(784111777_999_999), "Sun, 06 Nov 1994 08:49:37 GMT")

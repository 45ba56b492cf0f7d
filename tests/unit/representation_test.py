"""Tasks as bytes."""

import unittest

from taskservice.datamodel import StoredTask, TaskEntry
from taskservice.tornado.representation import members


class RepresentationTest(unittest.TestCase):

    def test_members_of_an_object(self) -> None:
        tasks = [StoredTask.of(name, 1, TaskEntry(name.upper())) for name in "ab"]
        self.assertEqual(members(tasks), b'"a": {"title": "A"}, "b": {"title": "B"}')
        self.assertEqual(members([]), b"")

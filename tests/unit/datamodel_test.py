"""What a task is, how it is written as JSON, and what a query says of it."""

import dataclasses
import gc
import json
import unittest
from typing import Any

from hypothesis import given

from taskservice import read_schema
from taskservice.datamodel import (
    NO_DUE_DATE, SortKey, StoredTask, TaskEntry, TaskPriority, TaskQuery, TaskSort, search_text)
from taskservice.folding import fold
from taskservice.task import MEMBERS
from tests.helpers.strategies import property_settings, queries, task_entries

WHOLE: dict[str, Any] = {
    "title": "t", "description": "d", "priority": "urgent", "completed": True, "due_date": 1.5}


class TaskPriorityTest(unittest.TestCase):
    """`TaskPriority`."""

    def test_its_values_are_those_of_the_schema(self) -> None:
        values = [priority.value for priority in TaskPriority]
        self.assertEqual(values, ["urgent", "high", "normal", "low", "none"])

    def test_its_ranks_go_from_the_most_urgent(self) -> None:
        self.assertEqual([priority.rank for priority in TaskPriority], [0, 1, 2, 3, 4])

    def test_another_value_is_no_priority(self) -> None:
        for value in ["URGENT", "", None, ("urgent",)]:
            with self.assertRaises(ValueError):
                TaskPriority(value)


class TaskEntryTest(unittest.TestCase):
    """`TaskEntry`."""

    def test_an_entry_needs_a_title_only(self) -> None:
        self.assertEqual(TaskEntry.from_dict({"title": "t"}), TaskEntry("t"))
        self.assertEqual(TaskEntry("t").to_dict(), {"title": "t"})

    def test_an_entry_takes_every_member(self) -> None:
        entry = TaskEntry("t", "d", TaskPriority.URGENT, True, 1.5)
        self.assertEqual(TaskEntry.from_dict(WHOLE), entry)
        self.assertEqual(entry.to_dict(), WHOLE)

    def test_its_members_are_those_of_the_schema(self) -> None:
        """In their order, in which they are written."""
        self.assertEqual(list(MEMBERS), list(read_schema("todoList-v1.0")["properties"]))
        self.assertEqual(tuple(MEMBERS), TaskEntry._fields)

    def test_a_title_is_required(self) -> None:
        with self.assertRaises(KeyError):
            TaskEntry.from_dict({"description": "d"})

    def test_members_come_out_in_the_order_of_the_schema(self) -> None:
        shuffled = dict(sorted(WHOLE.items()))
        self.assertEqual(list(TaskEntry.from_dict(shuffled).to_dict()), list(WHOLE))

    def test_members_with_a_false_value_were_sent(self) -> None:
        members = {"title": "t", "description": "", "completed": False, "due_date": 0}
        self.assertEqual(TaskEntry.from_dict(members).to_dict(), members)

    def test_a_due_date_keeps_its_type(self) -> None:
        for number, text in [(1, b"1"), (1.0, b"1.0"), (1.5, b"1.5"), (-0.0, b"-0.0")]:
            body = TaskEntry("t", due_date=number).to_json()
            self.assertEqual(body, b'{"title": "t", "due_date": %s}' % text)

    def test_json_has_characters_as_they_are(self) -> None:
        self.assertEqual(TaskEntry("é😀").to_json(), '{"title": "é😀"}'.encode())

    def test_json_never_has_what_json_has_not(self) -> None:
        for number in [float("nan"), float("inf")]:
            with self.assertRaises(ValueError):
                TaskEntry("t", due_date=number).to_json()

    def test_an_entry_cannot_be_changed(self) -> None:
        with self.assertRaises(AttributeError):
            setattr(TaskEntry("t"), "title", "u")

    @given(task_entries)
    @property_settings()
    def test_any_entry_survives_json(self, entry: TaskEntry) -> None:
        members = json.loads(entry.to_json())
        self.assertEqual(TaskEntry.from_dict(members), entry)
        self.assertEqual(repr(members), repr(entry.to_dict()))


class StoredTaskTest(unittest.TestCase):
    """`StoredTask`."""

    def test_it_has_id_revision_and_json(self) -> None:
        task = StoredTask.of("a", 7, TaskEntry("t"))
        self.assertEqual((task.id, task.revision, task.body), ("a", 7, b'{"title": "t"}'))
        self.assertEqual((task.size, task.member), (14, b'"a": {"title": "t"}'))

    def test_it_is_the_same_whether_made_of_an_entry_or_of_json(self) -> None:
        entry = TaskEntry.from_dict(WHOLE)
        made, read = StoredTask.of("a", 7, entry), StoredTask("a", 7, entry.to_json())
        self.assertEqual(made, read)
        self.assertEqual(hash(made), hash(read))
        self.assertEqual((made.entry, read.entry), (entry, entry))

    def test_it_keeps_nothing_beside_id_revision_and_json(self) -> None:
        task = StoredTask.of("a", 7, TaskEntry.from_dict(WHOLE))
        self.assertEqual((task.entry, task.body), (TaskEntry.from_dict(WHOLE), TaskEntry.from_dict(WHOLE).to_json()))
        self.assertCountEqual(gc.get_referents(task), [StoredTask, task.id, task.revision, task.member])

    def test_it_differs_by_every_field(self) -> None:
        task = StoredTask.of("a", 7, TaskEntry("t"))
        for other in [
            StoredTask.of("b", 7, TaskEntry("t")), StoredTask.of("a", 8, TaskEntry("t")),
            StoredTask.of("a", 7, TaskEntry("u")), StoredTask("a", 7, b'{"title":"t"}'),
        ]:
            self.assertNotEqual(task, other)

    @given(task_entries)
    @property_settings()
    def test_each_member_is_that_of_its_entry(self, entry: TaskEntry) -> None:
        task = StoredTask.of("completed", 7, entry)
        for _ in range(2):
            for name in TaskEntry._fields:
                self.assertEqual(repr(getattr(task, name)), repr(getattr(entry, name)))
        self.assertEqual(task, StoredTask.of("completed", 7, entry))
        self.assertEqual(hash(task), hash(StoredTask.of("completed", 7, entry)))
        with self.assertRaises(AttributeError):
            getattr(task, "estimate")

    def test_it_cannot_be_changed(self) -> None:
        with self.assertRaises(dataclasses.FrozenInstanceError):
            setattr(StoredTask("a", 7, b""), "revision", 8)


def stored(entry: TaskEntry) -> StoredTask:
    """Return a task with this entry, as an engine has it."""
    return StoredTask.of("a", 1, entry)


def key(sort: TaskSort, entry: TaskEntry) -> SortKey:
    """Return what a task with this entry is sorted by."""
    return TaskQuery(sort=sort).sort_key(stored(entry))[0]


class TaskQueryTest(unittest.TestCase):
    """`TaskQuery`."""

    def assert_matches(self, entry: TaskEntry, **query: Any) -> None:
        """The entry passes the filters."""
        self.assertTrue(TaskQuery(**query).matcher()(stored(entry)))

    def assert_matches_not(self, entry: TaskEntry, **query: Any) -> None:
        """The entry does not pass the filters."""
        self.assertFalse(TaskQuery(**query).matcher()(stored(entry)))

    @given(task_entries)
    @property_settings()
    def test_a_query_without_filters_matches_everything(self, entry: TaskEntry) -> None:
        self.assert_matches(entry)

    def test_what_was_not_sent_has_the_defaults_of_the_schema(self) -> None:
        bare = TaskEntry("t")
        self.assert_matches(bare, completed=False)
        self.assert_matches_not(bare, completed=True)
        self.assert_matches(bare, priorities=frozenset({TaskPriority.NONE}))
        self.assert_matches_not(bare, priorities=frozenset({TaskPriority.LOW}))

    def test_completed(self) -> None:
        for completed in (True, False):
            entry = TaskEntry("t", completed=completed)
            self.assert_matches(entry, completed=completed)
            self.assert_matches_not(entry, completed=not completed)

    def test_one_of_several_priorities(self) -> None:
        priorities = frozenset({TaskPriority.HIGH, TaskPriority.LOW})
        self.assert_matches(TaskEntry("t", priority=TaskPriority.LOW), priorities=priorities)
        self.assert_matches_not(TaskEntry("t", priority=TaskPriority.URGENT), priorities=priorities)

    def test_a_due_date_lies_strictly_between_the_bounds(self) -> None:
        for due_date, inside in [(1, False), (1.5, True), (2, False), (0, False), (None, False)]:
            entry = TaskEntry("t", due_date=due_date)
            self.assertEqual(TaskQuery(due_after=1, due_before=2).matcher()(stored(entry)), inside)

    def test_a_due_date_of_0_is_one(self) -> None:
        self.assert_matches(TaskEntry("t", due_date=0), due_after=-1.0)
        self.assert_matches(TaskEntry("t", due_date=0), due_before=1.0)

    def test_no_due_date_is_outside_any_bounds(self) -> None:
        self.assert_matches_not(TaskEntry("t"), due_after=-1e300)
        self.assert_matches_not(TaskEntry("t"), due_before=1e300)

    def test_each_word_occurs_in_title_or_description(self) -> None:
        entry = TaskEntry("Buy Milk", "at the STRASSE")
        self.assert_matches(entry, words=("milk", "straße".casefold()))
        self.assert_matches(entry, words=("il",))
        self.assert_matches_not(entry, words=("milk", "honey"))
        self.assert_matches_not(entry, words=("milkat",))

    def test_filters_add_up(self) -> None:
        entry = TaskEntry("t", completed=True)
        self.assert_matches(entry, completed=True, words=("t",))
        self.assert_matches_not(entry, completed=True, words=("u",))
        self.assert_matches_not(entry, completed=False, words=("t",))

    def test_a_place_in_the_order_is_key_and_id(self) -> None:
        task = StoredTask.of("a", 7, TaskEntry("t", due_date=3))
        places = [TaskQuery(sort=sort).sort_key(task) for sort in TaskSort]
        self.assertEqual(places, [("a", "a"), (7, "a"), (3, "a"), (4, "a"), ("t", "a")])

    @given(queries())
    @property_settings()
    def test_a_query_is_a_value(self, query: TaskQuery) -> None:
        self.assertEqual(dataclasses.replace(query), query)
        self.assertEqual(hash(dataclasses.replace(query)), hash(query))


class SortKeyTest(unittest.TestCase):
    """Sort keys and `search_text`."""

    def test_priorities_go_by_urgency(self) -> None:
        keys = [
            key(TaskSort.PRIORITY, TaskEntry("t", priority=priority))
            for priority in TaskPriority]
        self.assertEqual(keys, [0, 1, 2, 3, 4])

    def test_no_priority_goes_with_none(self) -> None:
        self.assertEqual(key(TaskSort.PRIORITY, TaskEntry("t")), 4)

    def test_no_due_date_goes_after_every_due_date(self) -> None:
        latest = key(TaskSort.DUE_DATE, TaskEntry("t", due_date=2 ** 53 - 1))
        self.assertEqual(sorted([NO_DUE_DATE, latest]), [latest, NO_DUE_DATE])
        self.assertEqual(key(TaskSort.DUE_DATE, TaskEntry("t")), NO_DUE_DATE)

    def test_a_due_date_of_0_goes_as_one(self) -> None:
        self.assertEqual(key(TaskSort.DUE_DATE, TaskEntry("t", due_date=0)), 0)

    def test_a_search_is_in_folded_case(self) -> None:
        self.assertEqual(search_text(TaskEntry("Straße", "ΟΔΟΣ")), "strasse\nοδοσ")
        self.assertEqual(search_text(TaskEntry("T")), "t\n")

    def test_what_is_searched_is_not_much_longer_than_a_text(self) -> None:
        """Of U+FDFA, which is folded to 18 characters, 64 KiB would take 700 KiB."""
        greeting = fold("\ufdfa")
        self.assertEqual(len(greeting), 18)
        self.assertEqual(search_text(TaskEntry("\ufdfa" * 20)).count(greeting), 20)
        for text in ("\ufdfa" * 10_000, "\ufdfa" * 2_000 + "x"):
            found = search_text(TaskEntry("T", text))
            self.assertTrue(found.startswith("t\n" + greeting * 50))
            self.assertLessEqual(len(found), 2 * (len(text) + 2))
        for text in ("x" * 65_000, "Straße " * 9_000, "½" * 30_000 + "x" * 30_000, "x" * 65_000 + "\ufdfa"):
            self.assertEqual(search_text(TaskEntry("T", text)), "t\n" + fold(text))


if __name__ == "__main__":
    unittest.main()

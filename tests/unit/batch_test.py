"""Each write of a batch has its own outcome, whatever goes wrong in another."""

import unittest
from typing import Any

from taskservice.database.batch import Batch, Create, Delete, KeptKey, Update, Write, apply_all
from taskservice.datamodel import Created, IdempotencyKey, TaskEntry
from taskservice.errors import BadInputError, TaskExistsError, TaskNotFoundError
from taskservice.precondition import UNCONDITIONAL, Precondition

ENTRY = TaskEntry("t")
KEY = IdempotencyKey("me", "k", b"digest")


class HalfDone:
    """A write that has done something to everything when a fault of the service ends it."""

    ids = ("old", "half")
    size = 2
    key = KEY

    def apply(self, batch: Batch) -> Any:
        created = batch.create("half", ())
        batch.replace("half", ())
        batch.delete("old")
        batch.keep(KEY, Created((created,)))
        raise RuntimeError("a bug")


class ApplyAllTest(unittest.TestCase):

    def apply(self, *writes: Write) -> tuple[Batch, list[Any]]:
        """Apply writes to a store with one task, "old"; its revisions count from 11."""
        batch = Batch(lambda: 0, 10, {"old": 1}, {("", "kept"): KeptKey(b"", (), 2 ** 60)})
        return apply_all(writes, batch)

    def test_a_write_that_is_refused_leaves_the_others_alone(self) -> None:
        batch, outcomes = self.apply(
            Create([("a", ENTRY)], None), Create([("b", ENTRY), ("old", ENTRY)], None),
            Delete("none", UNCONDITIONAL), Update("a", ENTRY, Precondition(match={11})))
        self.assertEqual((outcomes[0], outcomes[3]), (Created((("a", 11),)), 12))
        self.assertIsInstance(outcomes[1], TaskExistsError)
        self.assertIsInstance(outcomes[2], TaskNotFoundError)
        self.assertEqual((set(batch.rows), batch.revision), ({"a"}, 12))

    def test_a_write_that_fails_half_done_does_nothing_and_leaves_the_others_alone(self) -> None:
        """None of it is there, for the writes after it as for the store."""
        batch, outcomes = self.apply(
            Create([("a", ENTRY)], None), HalfDone(), Update("old", ENTRY, UNCONDITIONAL), HalfDone(),
            Create([("half", ENTRY)], KEY), Delete("none", UNCONDITIONAL), HalfDone())
        self.assertEqual(outcomes[0], Created((("a", 11),)))
        self.assertEqual(outcomes[2], 12)
        self.assertEqual(outcomes[4], Created((("half", 13),)))
        self.assertEqual([type(outcome) for outcome in outcomes[1::2]],
                         [RuntimeError, RuntimeError, TaskNotFoundError])
        self.assertEqual(str(outcomes[6]), "a bug")
        self.assertEqual((set(batch.rows), batch.deleted), ({"a", "old", "half"}, {}))
        self.assertEqual((batch.revision, set(batch.new_keys)), (13, {("me", "k")}))
        self.assertEqual(batch.new_keys["me", "k"].tasks, (("half", 13),))

    def test_nothing_but_failures_is_nothing_to_store(self) -> None:
        batch, outcomes = self.apply(HalfDone(), HalfDone())
        self.assertTrue(batch.is_empty)
        self.assertEqual(batch.revision, 10)
        self.assertEqual(len({id(outcome) for outcome in outcomes}), 2)

    def test_a_write_is_as_large_as_the_tasks_it_writes(self) -> None:
        """Whether or not they have ids: a transaction takes so many tasks."""
        for tasks in ([(None, ENTRY)] * 3, [("a", ENTRY), (None, ENTRY), ("b", ENTRY)]):
            self.assertEqual(Create(tasks, None).size, 3)
        self.assertEqual(Update("a", ENTRY, UNCONDITIONAL).size, 1)
        self.assertEqual(Delete("a", UNCONDITIONAL).size, 1)

    def test_text_that_a_store_cannot_hold_is_refused_before_there_is_a_batch(self) -> None:
        """In a transaction it would be the failure of all its writes."""
        for bad, error in (("a\0b", BadInputError), ("\ud800", UnicodeEncodeError)):
            for make in (
                    lambda: Create([(bad, ENTRY)], None), lambda: Create([(None, TaskEntry(bad))], None),
                    lambda: Create([("a", ENTRY), ("b", TaskEntry("t", bad))], None),
                    lambda: Create([], IdempotencyKey(bad, "k", b"")),
                    lambda: Create([], IdempotencyKey("me", bad, b"")),
                    lambda: Update(bad, ENTRY, UNCONDITIONAL),
                    lambda: Update("a", TaskEntry(bad), UNCONDITIONAL),
                    lambda: Update("a", TaskEntry("t", bad), UNCONDITIONAL),
                    lambda: Delete(bad, UNCONDITIONAL)):
                self.assertRaises(error, make)

    def test_an_id_that_is_too_long_for_an_index_is_refused(self) -> None:
        for task_id in ("i" * 513, "\u20ac" * 171):
            self.assertRaises(BadInputError, Create, [("a", ENTRY), (task_id, ENTRY)], None)
            self.assertRaises(BadInputError, Update, task_id, ENTRY, UNCONDITIONAL)
        Create([("i" * 512, ENTRY)], None)


if __name__ == "__main__":
    unittest.main()

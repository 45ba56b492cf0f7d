"""Each write of a batch has its own outcome, whatever goes wrong in another."""

import unittest
from typing import Any

from taskservice.database.batch import Batch, Create, Delete, KeptKey, Update, Write, apply_all
from taskservice.datamodel import Created, IdempotencyKey, TaskEntry
from taskservice.errors import TaskExistsError, TaskNotFoundError
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


if __name__ == "__main__":
    unittest.main()

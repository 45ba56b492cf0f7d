"""Each write of a batch has its own outcome, whatever goes wrong in another."""

import unittest
from collections.abc import Collection
from typing import Any
from unittest.mock import patch

from taskservice.database.sql import batch as sql_batch
from taskservice.database.sql.batch import Batch, portions
from taskservice.database.sql.columns import EncodedTask, Row
from taskservice.database.sql.kept_keys import KeptKey, outcome_of
from taskservice.database.sql.writes import Create, Delete, Update, Write, apply_all
from taskservice.database.revisions import new_random_part, new_task_id
from taskservice.datamodel import Created, IdempotencyKey, TaskEntry
from taskservice.errors import BadInputError, TaskExistsError, TaskNotFoundError
from taskservice.precondition import UNCONDITIONAL, Precondition

ENTRY = TaskEntry("t")
ENCODED = EncodedTask.of(ENTRY)
KEY = IdempotencyKey("me", "k", b"digest")


class HalfDone:
    """A write that has done something to everything when a fault of the service ends it."""

    ids = ("old", "half")
    size = 2
    key = KEY

    def apply(self, batch: Batch) -> Any:
        created = batch.create([("half", ENCODED)])
        batch.replace("half", ENCODED)
        batch.delete("old")
        batch.keep(KEY, created)
        raise RuntimeError("a bug")


class ApplyAllTest(unittest.TestCase):

    def apply(self, *writes: Write[Any]) -> tuple[Batch, list[Any]]:
        """Apply writes to a store with one task, "old"; its revisions count from 11."""
        batch = Batch(lambda: 0, 10, {"old": 1}, {("", "kept"): KeptKey(b"", "[]", 2 ** 60)})
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
        self.assertEqual(
            batch.new_keys["me", "k"].created(), Created((("half", 13),), replayed=True))

    def test_what_was_written_and_then_deleted_is_not_stored(self) -> None:
        batch, _ = self.apply(
            Create([("a", ENTRY), ("b", ENTRY)], None), Update("old", ENTRY, UNCONDITIONAL),
            Delete("a", UNCONDITIONAL), Delete("old", UNCONDITIONAL))
        self.assertEqual((set(batch.rows), batch.deleted), ({"b"}, {"a": 14, "old": 15}))

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

    def test_an_id_that_was_deleted_is_no_new_row(self) -> None:
        """The store has it still: what takes only new rows, such as COPY, would fail."""
        for writes, expected in (
                ([Create([("a", ENTRY)], None)], True), ([Delete("old", UNCONDITIONAL)], True),
                ([Update("old", ENTRY, UNCONDITIONAL)], False),
                ([Delete("old", UNCONDITIONAL), Create([("old", ENTRY)], None)], False)):
            self.assertEqual(self.apply(*writes)[0].only_new, expected)


class KeptKeyTest(unittest.TestCase):
    """What an idempotency key's create made, as it is kept."""

    def assert_kept(self, created: Created, given: Collection[str]) -> str:
        """It comes back whole; return how it is kept."""
        outcome = outcome_of(created, given)
        self.assertEqual(KeptKey(b"", outcome, 0).created(), Created(created.tasks, replayed=True))
        return outcome

    def test_ids_that_are_given_and_made_may_be_mixed(self) -> None:
        random_part = new_random_part()
        made = {number: (new_task_id(number, random_part), number) for number in range(998, 1005)}
        for tasks, parts in [
            ((), 0), ((made[998],), 1), ((("a", 7),), 1), ((made[998], made[999], made[1000]), 1),
            ((("a", 997), made[998], made[999], ("b", 1000), ("c", 1001), made[1002]), 5),
            ((made[998], ("a", 999), made[1000], made[1001]), 3),
        ]:
            with self.subTest(tasks):
                outcome = self.assert_kept(Created(tasks), {"a", "b", "c"})
                self.assertEqual(outcome.count("[") - 1, parts)

    def test_that_of_a_bulk_is_small(self) -> None:
        create = Create([(None, ENTRY)] * 10_000, None)
        created = create.apply(Batch(lambda: 1_764_115_200_000_999, 10, {}, {}))
        self.assertLess(len(self.assert_kept(created, ())), 100)

    def test_the_form_of_version_1_is_read(self) -> None:
        self.assertEqual(
            KeptKey(b"", '[["a", 7], ["b", 9]]', 0).created(),
            Created((("a", 7), ("b", 9)), replayed=True))


class PortionsTest(unittest.TestCase):
    """`portions`."""

    def rows(self, *sizes: int) -> list[Row]:
        """Return rows with bodies of these sizes, and no other text."""
        return [Row(str(number), number, EncodedTask(b"x" * size, (), b""))
                for number, size in enumerate(sizes)]

    def test_a_portion_has_so_many_rows_at_most(self) -> None:
        for count, expected in ((0, []), (1, [1]), (3, [3]), (7, [3, 3, 1])):
            rows = self.rows(*[1] * count)
            found = list(portions(rows, 3))
            self.assertEqual([len(portion) for portion in found], expected)
            self.assertEqual([row for portion in found for row in portion], rows)

    @patch.object(sql_batch, "PORTION_BYTES", 100)
    def test_a_portion_ends_when_it_has_so_many_bytes(self) -> None:
        found = portions(self.rows(99, 1, 50, 49, 500, 1), 10)
        self.assertEqual([len(portion) for portion in found], [2, 3, 1])


if __name__ == "__main__":
    unittest.main()

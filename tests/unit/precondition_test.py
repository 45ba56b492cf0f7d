"""The condition of a write, as a value: every combination, in the order of RFC 9110 §13.2.2."""

import unittest
from collections.abc import Collection
from itertools import product

from taskservice.errors import StaleRevisionError
from taskservice.precondition import (
    ANY_REVISION, UNCONDITIONAL, Precondition, modified_at)

REVISION = 100_900_000
"""That of a task which was written at 100.9 s."""

MATCH: dict[str, tuple[Collection[int] | None, bool | None]] = {
    "none": (None, None), "any": (ANY_REVISION, True), "current": ({REVISION}, True),
    "one of them": ({1, REVISION}, True), "other": ({1, REVISION + 1}, False),
    "no revision": (frozenset(), False)}
UNMODIFIED: dict[str, tuple[int | None, bool | None]] = {
    "none": (None, None), "later": (101, True), "same second": (100, True), "earlier": (99, False)}
NONE_MATCH: dict[str, tuple[Collection[int], bool]] = {
    "none": (frozenset(), True), "any": (ANY_REVISION, False), "current": ({REVISION}, False),
    "one of them": ({1, REVISION}, False), "other": ({1, REVISION + 1}, True)}
"""What a condition may say -> its value, and whether it is true (None: there is none)."""


class PreconditionTest(unittest.TestCase):

    def refusal(self, condition: Precondition, revision: int = REVISION) -> str:
        """Return the message of the error, empty where the condition holds."""
        try:
            condition.check("a", revision)
        except StaleRevisionError as error:
            self.assertEqual((error.task_id, error.revision), ("a", revision))
            return str(error)
        return ""

    def test_every_combination(self) -> None:
        for match, unmodified, none_match in product(MATCH, UNMODIFIED, NONE_MATCH):
            (revisions, matches), (date, is_old), (others, differs) = (
                MATCH[match], UNMODIFIED[unmodified], NONE_MATCH[none_match])
            first = is_old if matches is None else matches  # steps 1 and 2, then step 3
            with self.subTest(match=match, unmodified=unmodified, none_match=none_match):
                condition = Precondition(
                    match=revisions, unmodified_since=date, none_match=others, now=lambda: 1000)
                self.assertEqual(self.refusal(condition) == "", first is not False and differs)

    def test_nothing_at_all_holds_for_everything(self) -> None:
        for revision in (-1, 0, REVISION, 2 ** 63 - 1):
            self.assertEqual(self.refusal(UNCONDITIONAL, revision), "")

    def test_a_date_is_compared_with_the_last_modified_that_would_be_sent(self) -> None:
        """Which is the time of the revision or, where that lies in the future, now."""
        for now, date, holds in ((50, 49, False), (50, 50, True), (50.9, 50, True), (51, 50, False),
                                 (100, 100, True), (1000, 100, True), (1000, 99, False)):
            with self.subTest(now=now, date=date):
                condition = Precondition(unmodified_since=date, now=lambda: now)
                self.assertEqual(self.refusal(condition) == "", holds)

    def test_the_time_is_that_of_the_check(self) -> None:
        now = 50.0
        condition = Precondition(unmodified_since=50, now=lambda: now)
        self.assertEqual(self.refusal(condition), "")
        now = 51
        self.assertNotEqual(self.refusal(condition), "")

    def test_the_reason_is_the_first_condition_that_fails(self) -> None:
        current, other, weak = {REVISION}, {1}, "weak tag"
        for condition, reason in (
                (Precondition(match=other, none_match=current), "'a' has changed"),
                (Precondition(unmodified_since=1, none_match=current), "'a' has changed"),
                (Precondition(match=current, none_match=ANY_REVISION), "'a' exists"),
                (Precondition(unmodified_since=101, none_match=current), "tag of If-None-Match"),
                (Precondition(match=(), weak=current), weak), (Precondition(match=(), weak=other), weak),
                (Precondition(match=other, weak=current), weak),
                (Precondition(match=other, weak={2}), "'a' has changed"),
                (Precondition(match=(), weak=()), "'a' has changed")):
            with self.subTest(condition):
                self.assertIn(reason, self.refusal(condition))

    def test_a_weak_tag_beside_a_strong_one_that_matches_does_no_harm(self) -> None:
        self.assertEqual(self.refusal(Precondition(match={REVISION}, weak={REVISION})), "")

    def test_a_proxy_is_named_where_a_weak_tag_is_the_reason(self) -> None:
        self.assertIn("proxy", self.refusal(Precondition(match=(), weak={REVISION})))

    def test_it_creates_where_it_excludes_every_task_and_expects_none(self) -> None:
        self.assertTrue(Precondition(none_match=ANY_REVISION).creates)
        self.assertTrue(Precondition(none_match=ANY_REVISION, unmodified_since=1).creates)
        for condition in (
                UNCONDITIONAL, Precondition(none_match={1}), Precondition(match=ANY_REVISION),
                Precondition(match=ANY_REVISION, none_match=ANY_REVISION)):
            self.assertFalse(condition.creates, condition)


class ModifiedTest(unittest.TestCase):

    def test_a_revision_shows_its_second_but_never_the_future(self) -> None:
        for revision, now, expected in (
                (100_999_999, 200, 100), (101_000_000, 200, 101), (100_000_000, 100, 100),
                (100_000_000, 99.999, 99), (1, 0, 0), (2 ** 63 - 1, 5.5, 5)):
            self.assertEqual(modified_at(revision, now), expected)


if __name__ == "__main__":
    unittest.main()

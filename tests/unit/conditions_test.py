"""Conditional requests, from their fields: every combination, in the order of RFC 9110 §13.2.2."""

import unittest
from itertools import product

from taskservice.errors import BadInputError
from taskservice.http.conditions import (
    READ_FIELDS, WRITE_FIELDS, is_conditional, read_outcome, write_precondition)
from taskservice.http.dates import http_date
from taskservice.precondition import ANY_REVISION, UNCONDITIONAL, Precondition

NOW = 1_783_000_000.5
MODIFIED = 784_111_777
EARLIER, SAME, LATER = map(http_date, (MODIFIED - 1, MODIFIED, MODIFIED + 1))
NO_DATES = ("", "yesterday", f"{LATER},{LATER}", EARLIER.lower())
TAGS: dict[str | None, bool | None] = {
    None: None, '"5"': True, '"1", "5"': True, "*": True, 'W/"5"': False, '"1"': False, "": False,
    '"1" , W/"5",': False}
"""If-Match -> whether the strong comparison finds "5"; None: there is no field."""
WEAK: dict[str | None, bool | None] = {
    **TAGS, 'W/"5"': True, '"1" , W/"5",': True, "5": False, '*, "5"': False}
"""The same of If-None-Match and the weak comparison; what is no list finds nothing."""
DATES: dict[str | None, bool | None] = {
    None: None, EARLIER: False, SAME: True, LATER: True, **dict.fromkeys(NO_DATES)}
"""A date -> whether MODIFIED is no later; None: there is none, or it is ignored."""


class ReadTest(unittest.TestCase):
    """`read_outcome`."""

    def outcome(self, *fields: str | None, etag: str = '"5"', modified: int | None = MODIFIED) -> int:
        return read_outcome(etag, modified, NOW, *fields)

    def test_every_combination(self) -> None:
        for fields in product(TAGS, DATES, WEAK, DATES):
            match, unmodified, none_match, modified = fields
            first = DATES[unmodified] if match is None else TAGS[match]  # steps 1 and 2
            second = DATES[modified] if none_match is None else WEAK[none_match]  # steps 3 and 4
            expected = 412 if first is False else 304 if second else 200
            with self.subTest(dict(zip(READ_FIELDS, fields))):
                self.assertEqual(self.outcome(*fields), expected)

    def test_an_if_match_that_is_no_list_fails_nothing(self) -> None:
        for unmodified in (None, EARLIER):
            self.assertEqual(self.outcome("5", unmodified, None, None), 200)
        self.assertEqual(self.outcome("5", None, '"5"', None), 304)

    def test_what_has_no_date_ignores_dates(self) -> None:
        for dates in product((EARLIER, LATER), repeat=2):
            self.assertEqual(self.outcome(None, dates[0], None, dates[1], modified=None), 200)

    def test_a_weak_tag_matches_weakly_only(self) -> None:
        for value, known in (('W/"5"', True), ('"5"', True), ("*", True), ('"1"', False)):
            outcome = self.outcome(None, None, value, None, etag='W/"5"', modified=None)
            self.assertEqual(outcome, 304 if known else 200)
        for value, matches in (('W/"5"', False), ('"5"', False), ("*", True)):
            outcome = self.outcome(value, None, None, None, etag='W/"5"', modified=None)
            self.assertEqual(outcome, 200 if matches else 412)


class WriteTest(unittest.TestCase):
    """`write_precondition` and `is_conditional`."""

    def condition(self, *fields: str | None) -> Precondition:
        return write_precondition(*fields, now=self.now)

    def now(self) -> float:
        return NOW

    def test_every_combination(self) -> None:
        """`match` and `unmodified_since` are steps 1 and 2, of which one counts."""
        tags: dict[str | None, tuple[object, object]] = {
            None: (None, frozenset()), '"5"': ({5}, {5}), "*": (ANY_REVISION, ANY_REVISION),
            "": (set(), set()), '"1", W/"5"': ({1}, {1, 5}), 'W/"5"': (set(), {5}),
            '"x"': (set(), set())}
        for match, date, none_match in product(tags, DATES, tags):
            condition = self.condition(match, date, none_match)
            known = DATES[date] is not None and match is None
            seconds = {EARLIER: -1, SAME: 0, LATER: 1}
            expected = MODIFIED + seconds[date] if known and date is not None else None
            with self.subTest(match=match, date=date, none_match=none_match):
                self.assertEqual(
                    (condition.match, condition.unmodified_since, condition.none_match),
                    (tags[match][0], expected, tags[none_match][1]))

    def test_a_write_without_a_field_is_unconditional(self) -> None:
        self.assertIs(write_precondition(None, None, None), UNCONDITIONAL)
        self.assertEqual(WRITE_FIELDS, ("if-match", "if-unmodified-since", "if-none-match"))

    def test_weak_tags_are_distinguished(self) -> None:
        self.assertEqual(self.condition('W/"5", "1", W/"x"', None, None).weak, {5})
        self.assertEqual(self.condition(None, None, 'W/"5"').weak, frozenset())

    def test_what_is_no_list_of_tags_is_refused_by_the_name_of_its_field(self) -> None:
        for value in ("5", '"5', "'5'", 'w/"5"', '"5" "6"', '*, "5"', "5" * 10_000):
            for fields, name in (((value, None, None), "If-Match"),
                                 ((None, None, value), "If-None-Match"),
                                 ((value, LATER, value), "If-Match"),
                                 (('"5"', None, value), "If-None-Match")):
                with self.subTest(fields), self.assertRaises(BadInputError) as caught:
                    self.condition(*fields)
                message = str(caught.exception)
                self.assertTrue(message.startswith(f"{name}: expected "), message)
                self.assertLess(len(message), 300)

    def test_a_condition_is_what_is_not_ignored(self) -> None:
        for match, date, none_match in product((None, '"5"', "5", ""), DATES, (None, "*", "x", "")):
            expected = (match, none_match) != (None, None) or DATES[date] is not None
            with self.subTest(match=match, date=date, none_match=none_match):
                self.assertEqual(is_conditional(match, date, none_match), expected)


if __name__ == "__main__":
    unittest.main()

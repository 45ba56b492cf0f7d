"""Query parameters and their values."""

import math
import unittest
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from taskservice.datamodel import MAX_REVISION
from taskservice.errors import BadInputError
from taskservice.http.parameters import (
    MAX_QUERY_LENGTH, MAX_PARAMETERS, ascii_query, check_length, epoch_seconds, parse_query,
    revision_number, whole_number)
from tests.helpers.strategies import property_settings

QUERIES = st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")) | st.lists(
    st.sampled_from(["a", "b", "=", "&", "%", "%c3%a9", "%ff", "+", "\xff", "1", ";"])).map("".join)

OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


class QueryTest(unittest.TestCase):
    """`parse_query`, `ascii_query`."""

    def test_names_and_values_are_decoded(self) -> None:
        for query, expected in [
            ("", {}), ("&&", {}), ("a=1&b=2", {"a": ["1"], "b": ["2"]}),
            ("a=1&a=2", {"a": ["1", "2"]}), ("a=1;b=2", {"a": ["1;b=2"]}),
            ("a", {"a": [""]}), ("a=", {"a": [""]}), ("%61=x%20y+z", {"a": ["x y z"]}),
            ("a=%C3%A9%2B%26", {"a": ["é+&"]}), ("a=b=c", {"a": ["b=c"]}),
            ("a=\xc3\xa9", {"a": ["é"]}), ("a=<\" >", {"a": ['<" >']}), ("a=%zz", {"a": ["%zz"]}),
        ]:
            with self.subTest(query=query):
                self.assertEqual(parse_query(query, ["a", "b"], ["a"]), expected)

    def test_what_is_wrong_is_named(self) -> None:
        for query, message in [
            ("c=1", "c: unknown parameter, expected one of a, b"), ("A=1", "A: unknown"),
            ("=1", ": unknown"), ("b=1&b=1", "b: expected once"), ("b=1&%62=2", "b: expected once"),
            ("a=%ff", "the query is not UTF-8"), ("a=\xff", "the query is not UTF-8"),
            ("a=%ed%a0%80", "the query is not UTF-8"), ("a=\u20ac", "the query is not percent-"),
            ("&".join(["a=1"] * 101), "expected at most 100 parameters"),
            ("c" * 500, f"{'c' * 80}…: unknown"),
        ]:
            with self.subTest(query=query):
                with self.assertRaises(BadInputError) as caught:
                    parse_query(query, ["a", "b"], ["a"])
                self.assertEqual(str(caught.exception)[:len(message)], message)

    def test_a_query_stays_as_it_is_where_it_is_one(self) -> None:
        for query in ["", "a=1&b=%C3%a9+x%20y", "q=!$'()*,;:@/?-._~%zz"]:
            self.assertEqual(ascii_query(query), query)
        self.assertEqual(ascii_query('q=\xc3\xa9<>" #'), "q=%C3%A9%3C%3E%22%20%23")

    def test_there_are_at_most_100_parameters(self) -> None:
        for query in ("&".join(["a=1"] * MAX_PARAMETERS), "&".join(["a"] * MAX_PARAMETERS)):
            self.assertEqual(len(parse_query(query, ["a"], ["a"])["a"]), MAX_PARAMETERS)
            for separator in ("&", "&a=2"):
                with self.assertRaisesRegex(BadInputError, "^expected at most 100 parameters$"):
                    parse_query(query + separator, ["a"], ["a"])

    def test_a_query_has_at_most_2048_bytes(self) -> None:
        self.assertEqual(check_length("a" * MAX_QUERY_LENGTH), "a" * 2048)
        with self.assertRaisesRegex(BadInputError, "^the query: expected at most 2048 bytes.*2049$"):
            check_length("a" * 2049)

    @property_settings()
    @given(QUERIES)
    def test_every_query_is_parameters_or_bad_input(self, query: str) -> None:
        try:
            values = parse_query(query, ["a", "b"], ["a"])
        except BadInputError:
            return
        "".join(value for name in values for value in values[name]).encode()  # no lone surrogate
        self.assertEqual(parse_query(ascii_query(query), ["a", "b"], ["a"]), values)


class ValueTest(unittest.TestCase):
    """`whole_number`, `revision_number`, `epoch_seconds`."""

    def test_a_whole_number_is_digits_within_its_bounds(self) -> None:
        for value, expected in [("1", 1), ("10", 10), ("1000", 1000)]:
            self.assertEqual(whole_number("limit", value, 1, 1000), expected)
        for value in ["0", "1001", "", " 1", "+1", "-1", "1.0", "1e2", "01", "1_0", "٣", "x", "1\n",
                      "9" * 5000]:
            with self.subTest(value=value), self.assertRaises(BadInputError) as caught:
                whole_number("limit", value, 1, 1000)
            expected_start = "limit: expected a whole number from 1 to 1000, got '"
            self.assertTrue(str(caught.exception).startswith(expected_start), caught.exception)
            self.assertLess(len(str(caught.exception)), 200)

    def test_a_revision_fits_into_63_bits(self) -> None:
        self.assertEqual(revision_number("since", "0"), 0)
        self.assertEqual(revision_number("since", str(MAX_REVISION)), MAX_REVISION)
        with self.assertRaises(BadInputError):
            revision_number("since", str(MAX_REVISION + 1))

    def test_a_time_is_seconds_or_rfc_3339(self) -> None:
        for value, expected in [
            ("0", 0), ("-1", -1), ("1.5", 1.5), ("1e3", 1000), (" 5", 5), ("+5", 5), ("1e 3", 1000),
            ("9007199254740991", 2 ** 53 - 1), ("-9007199254740991", 1 - 2 ** 53),
            ("1970-01-01T00:00:00Z", 0), ("1970-01-01t00:00:01z", 1),
            ("1985-04-12T23:20:50.52Z", 482196050.52), ("1996-12-19T16:39:57-08:00", 851042397),
            ("1937-01-01T12:00:27.87+00:20", -1041337172.13), ("1970-01-01T01:00:00 01:00", 0),
            ("1990-12-31T23:59:60Z", 662688000), ("1990-12-31T15:59:60-08:00", 662688000),
            ("1970-01-01T00:00:00-00:00", 0), ("1970-01-01T00:00:00.1234567891Z", 0.1234567891),
            ("0001-01-01T00:00:00+23:59", -62135596800 - 86340),
            ("9999-12-31T23:59:59-23:59", 253402300799 + 86340),
            ("2024-02-29T00:00:00Z", 1709164800),
        ]:
            with self.subTest(value=value):
                self.assertAlmostEqual(epoch_seconds("due_after", value), expected, places=6)

    def test_no_other_time_is_understood(self) -> None:
        for value in [
            "", " ", "x", "nan", "inf", "-Infinity", "1_0", "0x1", "1.", ".5", "--1", "1e", "٣",
            "1e400",
            "9007199254740992", "-9007199254740992", "1" * 65, "2024-01-01", "2024-01-01T00:00:00",
            "2024-01-01 00:00:00Z", "2024-01-01T00:00Z", "2024-1-1T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z", "2024-01-01T00:00:61Z", "2024-01-01T12:34:60Z",
            "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00+00:60",
            "2024-01-01T00:00:00+0100", "2024-01-01T00:00:00+01", "2024-01-01T00:00:00UTC",
            "2024-01-01T00:00:00Z\n", "12024-01-01T00:00:00Z", "２024-01-01T00:00:00Z",
        ]:
            with self.subTest(value=value):
                with self.assertRaisesRegex(BadInputError, "^due_after: expected seconds"):
                    epoch_seconds("due_after", value)

    def test_a_time_has_at_most_64_characters(self) -> None:
        for start, end, expected in [("0.", "", 0), ("-0.", "1", 0), ("1e", "1", 10), ("0", "7e1", 70),
                                     ("1970-01-01T00:00:09.", "Z", 9),
                                     ("1970-01-01T00:00:09.", "-00:00", 9)]:
            longest = start + "0" * (64 - len(start + end)) + end
            with self.subTest(longest):
                self.assertAlmostEqual(epoch_seconds("due_after", longest), expected, places=6)
                longer = start + "0" * (65 - len(start + end)) + end
                with self.assertRaisesRegex(BadInputError, "^due_after: expected seconds"):
                    epoch_seconds("due_after", longer)

    @property_settings()
    @given(st.datetimes(timezones=OFFSETS))
    def test_every_datetime_is_understood(self, time: datetime) -> None:
        self.assertAlmostEqual(
            epoch_seconds("due_after", time.isoformat()), time.timestamp(), places=4)

    @property_settings()
    @given(st.text() | st.from_regex(r"[0-9TZ:.+ -]{1,30}"))
    def test_every_value_is_a_finite_time_or_bad_input(self, value: str) -> None:
        try:
            self.assertTrue(math.isfinite(epoch_seconds("due_after", value)))
        except BadInputError:
            pass

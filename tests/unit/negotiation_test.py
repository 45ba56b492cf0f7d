"""Which form a client takes, and which it sends."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from taskservice.errors import UnsupportedMediaTypeError
from taskservice.http.negotiation import (
    EVENT_STREAM, JSON, MERGE_PATCH, NDJSON, accepts_gzip, check_content_encoding, media_type,
    preferred_type, wants_problem)
from tests.helpers.strategies import property_settings

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
PIECES = st.lists(st.sampled_from(
    [JSON, NDJSON, "*/*", "gzip", ";", ",", "q=", "0.5", '"', "\\", "charset=utf-8", " ", "="]))
FIELDS = st.binary(max_size=400).map(lambda raw: raw.decode("latin-1")) | PIECES.map("".join)


class AcceptTest(unittest.TestCase):
    """`preferred_type` and `wants_problem` (RFC 9110 §12.5.1)."""

    def test_another_form_is_chosen_where_it_is_named_and_weighs_more(self) -> None:
        for accept, expected in [
            (None, JSON), ("", JSON), ("*/*", JSON), (BROWSER, JSON), ("image/png", JSON),
            (NDJSON, NDJSON), ("Application/X-NDJSON", NDJSON), (f" {NDJSON} ;q=0.001", NDJSON),
            ("application/*", JSON), ("application/*;q=0.9, application/json;q=0.1", JSON),
            (f"{NDJSON}, */*", NDJSON), (f"*/*, {NDJSON}", NDJSON),
            (f"{NDJSON}, */*;q=0.1", NDJSON),
            (f"{NDJSON};q=0.9, */*", JSON), (f"{NDJSON};q=0.9, application/*", JSON),
            (f"{JSON}, {NDJSON}", JSON), (f"{NDJSON}, {JSON}", JSON),
            (f"{JSON};q=0.8, {NDJSON}", NDJSON), (f"{JSON}, {NDJSON};q=0.8", JSON),
            (f"{JSON};q=0.8, {NDJSON};q=0.9, */*", NDJSON),
            (f"{NDJSON};q=0", JSON), (f"{NDJSON};q=0, {JSON};q=0", JSON), (f"{JSON};q=0", JSON),
            (f"{JSON};q=0, */*", JSON), (f"{JSON};q=0, {NDJSON};q=0.000", JSON),
        ]:
            with self.subTest(accept=accept):
                self.assertEqual(preferred_type(accept, NDJSON), expected)

    def test_the_most_precise_range_has_the_weight(self) -> None:
        for accept, expected in [
            (f"*/*;q=1, application/*;q=0.2, {NDJSON};q=0.3", NDJSON),
            (f"application/*;q=0.2, */*;q=1, {NDJSON};q=0.1", JSON),
            (f"{JSON};charset=utf-8;q=0.1, {JSON}, {NDJSON};q=0.5", NDJSON),
            (f"{JSON};q=0.1, {JSON};charset=UTF-8, {NDJSON};q=0.5", JSON),
        ]:
            with self.subTest(accept=accept):
                self.assertEqual(preferred_type(accept, NDJSON), expected)

    def test_a_range_that_is_malformed_or_wants_more_does_not_count(self) -> None:
        for parameters in [
            ";q=2", ";q=-1", ";q=x", ";q=", ";q=0.1234", ";q=1.1", ";version=2", "/x", "=x", '"',
            ";charset=latin-1", ";charset=utf-8;version=2",
        ]:
            with self.subTest(parameters=parameters):
                self.assertEqual(preferred_type(NDJSON + parameters, NDJSON), JSON)

    def test_a_comma_or_semicolon_in_quotes_separates_nothing(self) -> None:
        self.assertEqual(preferred_type(f'text/plain;a=", {NDJSON}, \\", {NDJSON}"', NDJSON), JSON)
        self.assertEqual(preferred_type(f'{NDJSON};charset="utf-8";q="0.5"', NDJSON), NDJSON)
        self.assertEqual(preferred_type(f'{NDJSON};a=";q=1"', NDJSON), JSON)

    def test_only_what_is_offered_is_chosen(self) -> None:
        self.assertEqual(preferred_type(EVENT_STREAM, NDJSON), JSON)
        self.assertEqual(preferred_type(EVENT_STREAM, EVENT_STREAM), EVENT_STREAM)
        self.assertEqual(preferred_type("text/*", EVENT_STREAM), JSON)
        both = f"{NDJSON};q=0.5, {EVENT_STREAM}"
        self.assertEqual(preferred_type(both, NDJSON, EVENT_STREAM), EVENT_STREAM)
        self.assertEqual(preferred_type(both, NDJSON), NDJSON)

    def test_a_long_value_is_read_as_a_short_one_is(self) -> None:
        self.assertEqual(preferred_type(f"{'a/b, ' * 100}{NDJSON}", NDJSON), NDJSON)

    def test_a_problem_is_wanted_where_it_is_named_with_no_less_weight(self) -> None:
        problem = "application/problem+json"
        for accept, expected in [
            (None, False), ("", False), ("*/*", False), (JSON, False), ("application/*", False),
            (problem, True), (f"{problem}, {JSON}", True), (f"{JSON}, {problem}", True),
            (f"{JSON};q=0.5, {problem};q=0.5", True), (f"{JSON}, {problem};q=0.9", False),
            (f"{problem};q=0.9, */*", False), (f"{problem}, */*", True), (f"{problem};q=0", False),
            ("Application/Problem+JSON", True),
        ]:
            with self.subTest(accept=accept):
                self.assertEqual(wants_problem(accept), expected)

    @property_settings()
    @given(FIELDS)
    def test_no_value_raises(self, accept: str) -> None:
        self.assertIn(preferred_type(accept, NDJSON, EVENT_STREAM), (JSON, NDJSON, EVENT_STREAM))
        self.assertIn(wants_problem(accept), (True, False))
        self.assertIn(accepts_gzip(accept), (True, False))


class ContentTest(unittest.TestCase):
    """`media_type` (RFC 9110 §8.3), `check_content_encoding` (§8.4)."""

    def test_what_says_json_or_nothing_is_json(self) -> None:
        for value in [
            None, "", JSON, "Application/JSON", " application/json ", "application/json;",
            "application/json; charset=utf-8", 'application/json;charset="UTF-8"',
            "application/json;charset=utf8", "application/json; profile=x",
            "application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded; charset=UTF-8",
        ]:
            with self.subTest(value=value):
                self.assertEqual(media_type(value), JSON)

    def test_other_types_are_taken_only_where_they_are_offered(self) -> None:
        self.assertEqual(media_type(f"{NDJSON}; charset=utf-8", NDJSON), NDJSON)
        self.assertEqual(media_type(MERGE_PATCH, MERGE_PATCH), MERGE_PATCH)
        self.assertEqual(media_type(JSON, MERGE_PATCH), JSON)
        with self.assertRaises(UnsupportedMediaTypeError):
            media_type(NDJSON, MERGE_PATCH)

    def test_everything_else_is_refused_and_the_answer_says_what_is_taken(self) -> None:
        for value in [
            "text/plain", "application/xml", "multipart/form-data; boundary=x", NDJSON, "json", " ",
            "application/json; charset=latin-1", "application/json; charset=", "*/*", ",", '"',
            "application/json; charset=utf-8; charset=utf-16", "application/json, text/plain",
            "application/json, application/json", "application/json=x",
            "application/jsonx", "a" * 300,
        ]:
            with self.subTest(value=value):
                with self.assertRaises(UnsupportedMediaTypeError) as caught:
                    media_type(value)
                self.assertEqual(caught.exception.field, "Content-Type")
                self.assertEqual(caught.exception.accepted, (JSON,))
                self.assertLess(len(str(caught.exception)), 200)

    def test_the_message_names_the_field_what_is_taken_and_what_came(self) -> None:
        with self.assertRaises(UnsupportedMediaTypeError) as caught:
            media_type("text/plain", NDJSON)
        self.assertEqual(
            str(caught.exception), "Content-Type: expected application/json or "
            "application/x-ndjson, in UTF-8, got 'text/plain'")

    def test_a_coded_body_is_refused(self) -> None:
        for value in [None, "", "identity", " Identity "]:
            check_content_encoding(value)
        for value in ["gzip", "identity, gzip", "x"]:
            with self.subTest(value=value), self.assertRaises(UnsupportedMediaTypeError) as caught:
                check_content_encoding(value)
            self.assertEqual(
                (caught.exception.field, caught.exception.accepted),
                ("Content-Encoding", ("identity",)))

    @property_settings()
    @given(FIELDS)
    def test_no_value_raises_anything_else(self, value: str) -> None:
        for check in (media_type, check_content_encoding):
            try:
                check(value)
            except UnsupportedMediaTypeError:
                pass


class AcceptEncodingTest(unittest.TestCase):
    """`accepts_gzip` (RFC 9110 §12.5.3)."""

    def test_gzip_is_used_where_it_is_let_in(self) -> None:
        for value, expected in [
            (None, False), ("", False), ("gzip", True), ("GZip", True), ("x-gzip", True),
            ("gzip, deflate, br, zstd", True), ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
            ("deflate", False), ("identity", False), ("gzip;q=0", False), ("gzip; q=0.000", False),
            ("gzip;q=0.001", True), ("gzip;q=x", False), ("*", True), ("*;q=0", False),
            ("gzip;q=0, *", False), ("*;q=0, gzip", True), ("gzippy", False), ("not-gzip", False),
        ]:
            with self.subTest(value=value):
                self.assertEqual(accepts_gzip(value), expected)

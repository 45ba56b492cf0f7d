"""Lists with parameters, Prefer, Idempotency-Key."""

import hashlib
import unittest

from hypothesis import given
from hypothesis import strategies as st

from taskservice.datamodel import IdempotencyKey
from taskservice.errors import BadInputError
from taskservice.http.fields import (
    idempotency_key, parse_idempotency_key, parse_list, preferred_return, remembered, shorten)
from tests.helpers.strategies import property_settings

FIELDS = st.binary(max_size=400).map(lambda raw: raw.decode("latin-1")) | st.lists(
    st.sampled_from(["return", "=", "minimal", ";", ",", '"', "\\", " ", "a"])).map("".join)


class ListTest(unittest.TestCase):
    """`parse_list`, `remembered`, `shorten`."""

    def test_elements_are_split_into_names_and_values(self) -> None:
        for value, expected in [
            ("", ()), (" , ;,", ()), ("a", ((("a", ""),),)),
            ("A, b", ((("a", ""),), (("b", ""),))),
            ("a = B ; c ;; d=E", ((("a", "B"), ("c", ""), ("d", "E")),)),
            ('a="x, y; z=\\"\\\\"', ((("a", 'x, y; z="\\'),),)),
            ('a="', ((("a", '"'),),)), ('"a, b', ((('"a, b', ""),),)),
        ]:
            with self.subTest(value=value):
                self.assertEqual(parse_list(value), expected)

    def test_what_was_read_is_remembered_for_short_values_only(self) -> None:
        calls = []

        @remembered
        def read(value: str | None, *others: str) -> int:
            calls.append(value)
            return len(calls)

        self.assertEqual([read("a"), read("a"), read("a", "b"), read(None), read(None)],
                         [1, 1, 2, 3, 3])
        self.assertNotEqual(read("a" * 10_000), read("a" * 10_000))

    def test_a_message_repeats_only_so_much(self) -> None:
        self.assertEqual(shorten("a" * 80), "a" * 80)
        self.assertEqual(shorten("a" * 81), "a" * 80 + "…")


class PreferTest(unittest.TestCase):
    """`preferred_return` (RFC 7240)."""

    def test_the_first_return_counts(self) -> None:
        for value, expected in [
            (None, None), ("", None), ("return=representation", "representation"),
            ("return=minimal", "minimal"), ("Return = Representation", "representation"),
            ('return="representation"', "representation"),
            ("return=minimal, return=representation", "minimal"),
            ("return=x, return=representation", None), ("return", None), ('return=""', None),
            ("respond-async, wait=10, return=representation", "representation"),
            ("return=representation; foo=bar", "representation"),
            ('foo; x="a, return=minimal", return=representation', "representation"),
            ("foo; return=minimal", None), ("returns=minimal", None), ("minimal", None),
        ]:
            with self.subTest(value=value):
                self.assertEqual(preferred_return(value), expected)

    @property_settings()
    @given(FIELDS)
    def test_no_value_raises(self, value: str) -> None:
        self.assertIn(preferred_return(value), (None, "representation", "minimal"))


class IdempotencyKeyTest(unittest.TestCase):
    """`idempotency_key`: an sf-string (RFC 8941 §3.3.3), or its text."""

    def test_a_string_and_its_text_are_the_same_key(self) -> None:
        for value, expected in [
            ('"8e03978e-40d5"', "8e03978e-40d5"), ("8e03978e-40d5", "8e03978e-40d5"),
            (' "a" ', "a"), ("a b", "a b"), ('"a, b;c"', "a, b;c"), ("a;b=c", "a;b=c"),
            (r'"a\"b\\c"', r'a"b\c'), (r"a\b", r"a\b"), ('" "', " "), ('"~"', "~"),
            ("x" * 255, "x" * 255), (f'"{"x" * 255}"', "x" * 255),
            ('"' + r"\"" * 255 + '"', '"' * 255),
        ]:
            with self.subTest(value=value):
                self.assertEqual(parse_idempotency_key(value), expected)

    def test_anything_else_is_refused_by_the_fields_name(self) -> None:
        for value in [
            "", " ", '""', '"', '"a', 'a"', 'a"b', '"a"b"', '"a"; x=1', '"a", "b"', "a,b", r'"\a"',
            '"\\"', "é", '"é"', "a\tb", "a\x00", "\x7f", "x" * 256, f'"{"x" * 256}"',
        ]:
            with self.subTest(value=value):
                with self.assertRaisesRegex(BadInputError, "^Idempotency-Key: expected"):
                    parse_idempotency_key(value)

    def test_the_key_has_its_owner_and_the_digest_of_the_body(self) -> None:
        self.assertIsNone(idempotency_key(None, "me", b"body"))
        self.assertEqual(
            idempotency_key('"a"', "me", b"body"),
            IdempotencyKey("me", "a", hashlib.sha256(b"body").digest()))
        with self.assertRaises(BadInputError):
            idempotency_key("", "me", b"body")

    @property_settings()
    @given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7e), min_size=1, max_size=255))
    def test_every_key_comes_back_from_its_string(self, key: str) -> None:
        escaped = key.replace("\\", "\\\\").replace('"', '\\"')
        self.assertEqual(parse_idempotency_key(f'"{escaped}"'), key)

    @property_settings()
    @given(FIELDS)
    def test_every_value_is_a_key_or_bad_input(self, value: str) -> None:
        try:
            key = parse_idempotency_key(value)
        except BadInputError:
            return
        self.assertTrue(1 <= len(key) <= 255 and key.isascii() and key.isprintable())

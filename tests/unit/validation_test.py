"""From bytes to a TaskEntry, or every reason why not."""

import json
import unittest

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from taskservice.datamodel import TaskEntry, TaskPriority
from taskservice.errors import InvalidTaskError, MalformedBodyError
from taskservice.validation import DETAIL_LENGTH, TASK_SCHEMA, check_task, parse_json, parse_task
from tests.helpers.strategies import property_settings

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2 ** 60, 2 ** 60) | st.text(max_size=3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([priority.value for priority in TaskPriority]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner))
DOCUMENTS = st.dictionaries(st.sampled_from([*TASK_SCHEMA["properties"], "x"]), VALUES) | VALUES


class ValidationTest(unittest.TestCase):

    def test_a_task(self) -> None:
        self.assertEqual(parse_task(b'{"title": "a"}'), TaskEntry("a"))
        self.assertEqual(
            parse_task(b' {"due_date": 1.5, "completed": false, "priority": "low", '
                       b'"description": "", "title": "\xc3\xa9"}\n'),
            TaskEntry("é", "", TaskPriority.LOW, False, 1.5))

    def test_what_is_no_json(self) -> None:
        for body in (b"", b"x", b'{"title": NaN}', b'"\xff"', b'"\\ud800"', b"[" * 5000):
            with self.subTest(body[:20]), self.assertRaises(MalformedBodyError) as caught:
                parse_json(body)
            self.assertEqual(str(caught.exception), "Invalid JSON body")

    def test_every_violation_points_to_its_place(self) -> None:
        with self.assertRaises(InvalidTaskError) as caught:
            check_task({"title": "", "completed": 1, "priority": "soon", "more": 1})
        self.assertEqual(
            {violation.pointer for violation in caught.exception.violations},
            {"", "/title", "/completed", "/priority"})

    def test_a_detail_is_short_however_long_the_value(self) -> None:
        with self.assertRaises(InvalidTaskError) as caught:
            check_task({"title": "a", "priority": "x" * 10_000})
        [violation] = caught.exception.violations
        self.assertLessEqual(len(violation.detail), DETAIL_LENGTH + 1)

    def test_the_defaults_of_the_schema_are_those_of_the_model(self) -> None:
        properties = TASK_SCHEMA["properties"]
        self.assertEqual(properties["priority"]["default"], TaskPriority.NONE.value)
        self.assertEqual(
            properties["priority"]["enum"], [priority.value for priority in TaskPriority])
        self.assertIs(properties["completed"]["default"], False)

    @property_settings(100)
    @given(DOCUMENTS)
    def test_it_agrees_with_another_validator_and_reads_back(self, document: object) -> None:
        valid = jsonschema.Draft7Validator(TASK_SCHEMA).is_valid(document)
        try:
            entry = parse_task(json.dumps(document).encode())
        except InvalidTaskError as error:
            self.assertFalse(valid)
            self.assertTrue(error.violations)
        else:
            self.assertTrue(valid)
            self.assertEqual(entry.to_dict(), document)

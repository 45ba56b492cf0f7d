"""JSON Merge Patch, by the examples of its RFC."""

import copy
import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taskservice.http.merge_patch import merge_patch
from tests.helpers.strategies import property_settings

# RFC 7396, Appendix A: original, patch, result.
EXAMPLES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

# RFC 7396, §3.
EXAMPLES.append((
    {"title": "Goodbye!", "author": {"givenName": "John", "familyName": "Doe"},
     "tags": ["example", "sample"], "content": "This will be unchanged"},
    {"title": "Hello!", "phoneNumber": "+01-123-456-7890", "author": {"familyName": None},
     "tags": ["example"]},
    {"title": "Hello!", "author": {"givenName": "John"}, "tags": ["example"],
     "content": "This will be unchanged", "phoneNumber": "+01-123-456-7890"}))

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=12)
OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON_VALUES)


def by_the_rfc(target: Any, patch: Any) -> Any:
    """Do as the pseudocode of RFC 7396 §2 does."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = by_the_rfc(result.get(name), value)
    return result


class MergePatchTest(unittest.TestCase):
    """`merge_patch` (RFC 7396)."""

    def test_the_examples_of_the_rfc(self) -> None:
        for original, patch, result in EXAMPLES:
            with self.subTest(original=original, patch=patch):
                self.assertEqual(merge_patch(original, patch), result)

    @property_settings()
    @given(OBJECTS | JSON_VALUES, OBJECTS | JSON_VALUES)
    def test_it_does_what_the_pseudocode_does_and_changes_neither(
        self, target: Any, patch: Any
    ) -> None:
        before = copy.deepcopy((target, patch))
        self.assertEqual(merge_patch(target, patch), by_the_rfc(target, patch))
        self.assertEqual((target, patch), before)

    def test_a_patch_may_be_nested_deeper_than_calls_can(self) -> None:
        depth = 20_000
        patch: dict[str, Any] = {}
        for _ in range(depth):
            patch = {"a": patch}
        merged, found = merge_patch({}, patch), 0
        while "a" in merged:
            merged, found = merged["a"], found + 1
        self.assertEqual(found, depth)

"""Entity tags and conditions, as values."""

import unittest

from taskservice.tornado.etag import ETags, list_etag, task_etag


class ETagsTest(unittest.TestCase):

    def read(self, value: str) -> ETags:
        """Read a field that is there."""
        tags = ETags.from_header(value)
        assert tags is not None
        return tags

    def test_a_tasks_tag_is_strong_and_a_lists_is_weak(self) -> None:
        self.assertEqual((task_etag(7), list_etag(7)), ('"7"', 'W/"7"'))

    def test_a_field_that_is_not_there_is_no_condition(self) -> None:
        self.assertIsNone(ETags.from_header(None))

    def test_a_star_is_any(self) -> None:
        for value in ("*", " * "):
            self.assertEqual(self.read(value), ETags(any=True))
        self.assertFalse(self.read('"*"').any)

    def test_a_list_is_read_whole(self) -> None:
        for value in ('"1", W/"2","a,b"', '"1" , "a,b",, W/"2"', '"1","a,b",W/"2"'):
            with self.subTest(value):
                self.assertEqual(
                    self.read(value), ETags(strong=frozenset({"1", "a,b"}), weak=frozenset({"2"})))

    def test_what_is_no_tag_is_passed_over(self) -> None:
        for value in ("", "1", "'1'", '"1', 'w"', '"a b"'):
            with self.subTest(value):
                self.assertEqual(self.read(value), ETags())

    def test_the_weak_comparison_takes_either_mark(self) -> None:
        tags = self.read('"1", W/"2"')
        for etag in ('"1"', 'W/"1"', '"2"', 'W/"2"'):
            self.assertTrue(tags.contains_weak(etag), etag)
        self.assertFalse(tags.contains_weak('"3"'))
        self.assertTrue(self.read("*").contains_weak('"3"'))

    def test_the_strong_comparison_takes_strong_tags_only(self) -> None:
        self.assertEqual(self.read('"1", W/"2", "3"').revisions(), {1, 3})
        self.assertEqual(self.read('W/"1"').revisions(), frozenset())

    def test_any_revision_meets_a_star(self) -> None:
        self.assertIsNone(self.read("*").revisions())

    def test_a_tag_that_no_revision_has_names_none(self) -> None:
        for tag in ("01", "+1", "-1", "1.0", "1e3", "x", "", "9" * 20, "9" * 5000, "²"):
            with self.subTest(tag[:20]):
                self.assertEqual(self.read(f'"{tag}"').revisions(), frozenset())
        self.assertEqual(self.read('"0"').revisions(), {0})

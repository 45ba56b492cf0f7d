"""Entity tags, as values."""

import unittest

from taskservice.http.etag import ETags, list_etag, task_etag
from taskservice.precondition import ANY_REVISION


class ETagsTest(unittest.TestCase):

    def read(self, value: str) -> ETags:
        """Read a field that is `*` or a list of tags."""
        tags = ETags.parse(value)
        assert tags is not None, value
        return tags

    def test_a_tasks_tag_is_strong_and_a_lists_is_weak(self) -> None:
        self.assertEqual((task_etag(7), list_etag(7)), ('"7"', 'W/"7"'))

    def test_a_star_is_any(self) -> None:
        for value in ("*", " * ", "\t*"):
            self.assertEqual(self.read(value), ETags(any=True))
        self.assertFalse(self.read('"*"').any)

    def test_a_list_is_read_whole(self) -> None:
        for value in ('"1", W/"2","a,b"', '"1" , "a,b",, W/"2"', '"1","a,b",W/"2"',
                      ', \t,"1"\t,"a,b" ,W/"2" , ,'):
            with self.subTest(value):
                self.assertEqual(
                    self.read(value), ETags(strong=frozenset({"1", "a,b"}), weak=frozenset({"2"})))

    def test_a_list_may_be_empty(self) -> None:
        for value in ("", " ", ",", " , ,"):
            with self.subTest(value):
                self.assertEqual(self.read(value), ETags())

    def test_a_tag_has_any_character_but_blanks_quotes_and_controls(self) -> None:
        for tag in ("", "!", "#", "\\", "a,b", "W/", "~", "\x80", "\xff", "*"):
            self.assertEqual(self.read(f'"{tag}"').strong, {tag})

    def test_what_is_no_list_of_tags_is_none(self) -> None:
        for value in ("1", "'1'", '"1', '1"', 'w/"1"', 'W"1"', 'W/ "1"', "W/", '"a b"', '"a\t"',
                      '"1" "2"', '"1""2"', '"1";"2"', '"1", 2', '1, "2"', '*, "1"', '"1", *', "**",
                      "*,*", '"\x7f"', '"\x1f"', '"€"', '"1"\n', '"1"\x0b', '\xa0"1"'):
            with self.subTest(value):
                self.assertIsNone(ETags.parse(value))

    def test_a_value_as_long_as_a_head_is_read_at_once(self) -> None:
        """Were the pattern to go back over what it has read, these would take hours."""
        for value in ('"1",' * 60_000, "," * 250_000, " ," * 100_000 + "x", '"1" ' * 60_000,
                      'W/"' * 80_000, '"1" ' + " " * 250_000 + "x"):
            ETags.parse(value)

    def test_the_weak_comparison_takes_either_mark(self) -> None:
        tags = self.read('"1", W/"2"')
        for etag in ('"1"', 'W/"1"', '"2"', 'W/"2"'):
            self.assertTrue(tags.matches_weakly(etag), etag)
        self.assertFalse(tags.matches_weakly('"3"'))
        self.assertTrue(self.read("*").matches_weakly('"3"'))

    def test_the_strong_comparison_takes_no_weak_tag_on_either_side(self) -> None:
        tags = self.read('"1", W/"2"')
        self.assertTrue(tags.matches_strongly('"1"'))
        for etag in ('W/"1"', '"2"', 'W/"2"', '"3"'):
            self.assertFalse(tags.matches_strongly(etag), etag)
        for etag in ('"3"', 'W/"3"'):
            self.assertTrue(self.read("*").matches_strongly(etag))

    def test_revisions_are_those_of_the_tags(self) -> None:
        tags = self.read('"1", W/"2", "3"')
        self.assertEqual(
            (tags.strong_revisions, tags.weak_revisions, tags.revisions), ({1, 3}, {2}, {1, 2, 3}))

    def test_a_star_names_every_revision_that_there_can_be(self) -> None:
        tags = self.read("*")
        self.assertEqual((tags.strong_revisions, tags.revisions), (ANY_REVISION, ANY_REVISION))
        for revision in (0, 1, -1, 2 ** 63 - 1, -2 ** 63):
            self.assertIn(revision, ANY_REVISION)

    def test_a_tag_that_no_revision_has_names_none(self) -> None:
        for tag in ("01", "+1", "-1", "1.0", "1e3", "x", "", "9" * 20, "9" * 5000, "\xb2"):
            with self.subTest(tag[:20]):
                self.assertEqual(self.read(f'"{tag}"').revisions, frozenset())
        self.assertEqual(self.read('"0"').revisions, {0})


if __name__ == "__main__":
    unittest.main()

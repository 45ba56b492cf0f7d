"""What the tests of the documents see in them: blocks, steps, what varies, and excerpts."""

import unittest

from tests.helpers.transcript import (
    END, Block, Step, excerpts, is_excerpt, masked, read_blocks)

DOCUMENT = """
```console
$ ls; cat <<END
> text
>
> END
file

text
$ true
```

<!-- not run: it is far away; varies -->
```console
line
^C
SHUTTING DOWN
STOPPED
```

`a/file.py`:
```python
def f():
```
"""

SOURCE = """class C:
    x = 1

    def f(self):
        return 1

    def g(self):
        return 2
"""


class BlocksTest(unittest.TestCase):

    def test_a_block_has_commands_and_their_output(self) -> None:
        self.assertEqual(read_blocks(DOCUMENT)[0].steps, [
            Step("ls; cat <<END\ntext\n\nEND", "file\n\ntext\n"), Step("true", "")])

    def test_a_step_is_shown_as_it_was_read(self) -> None:
        for block in read_blocks(DOCUMENT):
            self.assertIn("".join(map(str, block.steps)), DOCUMENT)

    def test_a_block_with_an_interrupt_is_the_end_of_a_service(self) -> None:
        [step] = read_blocks(DOCUMENT)[1].steps
        self.assertEqual(step, Step(END, "line\nSHUTTING DOWN\nSTOPPED\n"))

    def test_marks_show_what_is_not_run(self) -> None:
        self.assertEqual([block.is_run for block in read_blocks(DOCUMENT)], [True, False])

    def test_a_tool_that_is_needed_is_looked_for(self) -> None:
        self.assertEqual(Block(["needs bash", "needs unittest", "needs no-such-tool"], []).missing, ["no-such-tool"])

    def test_of_what_varies_the_first_line_is_compared_without_figures(self) -> None:
        block = Block(["varies"], [])
        self.assertEqual(block.compared("1.5 µs\na"), block.compared("17 µs\nb"))
        self.assertNotEqual(block.compared("1.5 µs"), block.compared("1.5 ms"))

    def test_ids_times_and_figures_are_masked_and_nothing_else(self) -> None:
        for one, other in (
                ('Etag: "1795526208572763"', 'Etag: "1795526208658240"'),
                ("Date: Tue, 24 Nov 2026 13:16:48 GMT", "Date: Wed, 25 Nov 2026 14:17:49 GMT"),
                ("time_ms=0.1 store_ms=9e-05", "time_ms=0.1795526208572763 store_ms=0.0"),
                ("Ran 2 tests in 0.009s", "Ran 3 tests in 1.5s"),
                ("best of 5: 2.71 usec per loop", "best of 5: 950 nsec per loop")):
            with self.subTest(one):
                self.assertEqual(masked(one), masked(other))
        self.assertNotEqual(masked("status=200"), masked("status=201"))
        self.assertNotEqual(masked("HTTP/1.1 200 OK"), masked("HTTP/1.1 404 OK"))


class ExcerptsTest(unittest.TestCase):

    def test_an_excerpt_follows_the_name_of_its_file(self) -> None:
        self.assertEqual(list(excerpts(DOCUMENT)), [("a/file.py", "def f():\n")])

    def test_whole_lines_in_order_are_an_excerpt_however_far_they_are_indented(self) -> None:
        for text in (SOURCE, "x = 1\n", "def f(self):\n    return 1\n", "x = 1\n\ndef f(self):\n",
                     "class C:\n    # …\n    def g(self):\n", "…\nreturn 1\n…\nreturn 2\n"):
            with self.subTest(text):
                self.assertTrue(is_excerpt(text, SOURCE))

    def test_anything_else_is_none(self) -> None:
        for text in ("x = 2\n", "x = \n", "def f(self):\nreturn 1\n", "x = 1\ndef f(self):\n",
                     "return 2\n…\nreturn 1\n", "def f(self):\n    return 2\n"):
            with self.subTest(text):
                self.assertFalse(is_excerpt(text, SOURCE))


if __name__ == "__main__":
    unittest.main()

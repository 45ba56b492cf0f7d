"""What a client asks of a list, and the cursor to its next page."""

import base64
import json
import math
import re
import subprocess
import sys
import unittest
from itertools import permutations
from typing import Any
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from taskservice.datamodel import (
    NO_DUE_DATE, SortKey, StoredTask, TaskEntry, TaskPriority, TaskQuery,
    TaskSort)
from taskservice.errors import BadInputError
from taskservice.http.listing import (
    MAX_CURSOR_LENGTH, MAX_WORD_LENGTH, MAX_WORDS, STREAMED_AT_ONCE, ChangesRequest, decode_cursor, encode_cursor,
    parse_changes_query, parse_list_query)
from tests.helpers.strategies import property_settings, task_entries

IDS = st.text("abcXYZ019-", min_size=1, max_size=128)
TASKS = st.builds(StoredTask.of, IDS, st.integers(0, 2 ** 63 - 1), task_entries)
SORTS = [f"{sign}{sort.value}" for sort in TaskSort for sign in ("", "-")]
TEXTS = st.binary(max_size=200).map(lambda raw: raw.decode("latin-1"))
QUERIES = TEXTS | st.lists(st.sampled_from([
    "completed=", "true", "priority=", "high", "due_before=", "1", "q=", "%ff", "%00", "sort=",
    "-title", "limit=", "cursor=", "W10", "&", "2024-01-01T00:00:00Z", "\xe9"])).map("".join)
TASK = StoredTask.of("id-1", 7, TaskEntry("A <title>"))


def following(query: str, last: StoredTask = TASK) -> str:
    """Return the query that the Link to the next page has."""
    request = parse_list_query(query)
    link = request.next_link("/tasks", request.query.sort_key(last))
    match = re.fullmatch(r'</tasks\?([!-;=?-~]*)>; rel="next"', link)
    assert match is not None, link
    return match[1]


FINGERPRINT = b"12345678"


def forge(key: bytes | Any, task_id: str = "a", fingerprint: bytes = FINGERPRINT) -> str:
    """Make a cursor of anything; what is not bytes is written as JSON."""
    raw = fingerprint + (key if isinstance(key, bytes) else json.dumps(key).encode())
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode() + "." + task_id


class ListQueryTest(unittest.TestCase):
    """`parse_list_query`."""

    def test_each_parameter_has_its_place_in_the_query(self) -> None:
        cases: list[tuple[str, dict[str, Any]]] = [
            ("", {}), ("completed=true", {"completed": True}),
            ("completed=false", {"completed": False}),
            ("priority=high", {"priorities": {TaskPriority.HIGH}}),
            ("priority=none&priority=low&priority=low",
             {"priorities": {TaskPriority.NONE, TaskPriority.LOW}}),
            ("due_before=1.5", {"due_before": 1.5}),
            ("due_after=1970-01-01T00:00:01+00:00", {"due_after": 1}),
            ("due_after=1&due_before=2", {"due_after": 1, "due_before": 2}),
            ("q=Stra%C3%9Fe++Milk%0Amilk", {"words": ("strasse", "milk")}), ("q=", {}), ("q=+", {}),
            ("sort=title", {"sort": TaskSort.TITLE}),
            ("sort=-due_date", {"sort": TaskSort.DUE_DATE, "descending": True}),
            ("sort=created", {}), ("sort=-created", {"descending": True}),
            ("limit=50", {"limit": 50}), ("limit=1000", {"limit": 1000}),
        ]
        for raw, members in cases:
            with self.subTest(raw=raw):
                request = parse_list_query(raw)
                self.assertEqual(request.query, TaskQuery(**{"limit": STREAMED_AT_ONCE, **members}))
                self.assertEqual(request.limited, "limit=" in raw)

    def test_no_query_asks_for_everything(self) -> None:
        self.assertEqual(parse_list_query(None), parse_list_query(""))
        self.assertEqual(parse_list_query(None).query, TaskQuery(limit=STREAMED_AT_ONCE))

    def test_a_bad_value_is_named_by_its_parameter(self) -> None:
        for raw, message in [
            ("limit=0", "limit: expected a whole number from 1 to 1000, got '0'"),
            ("limit=1001", "limit: "), ("limit=", "limit: "),
            ("limit=1&limit=1", "limit: expected once"),
            ("completed=1", "completed: expected one of true, false, got '1'"),
            ("completed", "completed: "), ("completed=True", "completed: "),
            ("priority=", "priority: "), ("priority=high,low", "priority: "),
            ("priority=low&priority=x",
             "priority: expected one of urgent, high, normal, low, none, got 'x'"),
            ("due_before=", "due_before: "), ("due_after=tomorrow", "due_after: expected seconds"),
            ("sort=", "sort: "), ("sort=-", "sort: "), ("sort=--title", "sort: "),
            ("sort=Title", "sort: "),
            ("sort=id", "sort: expected one of created, updated, due_date, priority, title, with"),
            ("q=%00", "q: "),
            ("q=" + "+".join(map(str, range(MAX_WORDS + 1))), "q: expected at most 10 words"),
            ("q=a+" + "x" * 101, "q: expected at most 10 words of at most 100 characters each, and no"),
            ("q=" + "%EF%AC%83" * 34, "q: expected at most 10 words of at most 100 char"),
            ("cursor=", "cursor: "), ("cursor=x", "cursor: expected the one in the Link"),
            ("colour=red", "colour: unknown parameter, expected one of completed, priority,"),
        ]:
            with self.subTest(raw=raw), self.assertRaises(BadInputError) as caught:
                parse_list_query(raw)
            self.assertEqual(str(caught.exception)[:len(message)], message)

    def test_as_many_words_as_are_allowed_are_searched(self) -> None:
        words = tuple(str(number) * MAX_WORD_LENGTH for number in range(MAX_WORDS))
        self.assertEqual(parse_list_query("q=" + "+".join(words)).query.words, words)

    def test_a_query_without_its_cursor_has_at_most_2048_bytes(self) -> None:
        """As a Link repeats it: what came as raw bytes counts percent-encoded."""
        cursor = following("limit=1").removeprefix("limit=1")
        for character, encoded in (("x", "x"), ("%78", "%78"), ("\xc3\xa9", "%C3%A9"), ("<", "%3C")):
            count, rest = divmod(2048 - len("limit=1&q="), len(encoded) + 1)
            longest = f"limit=1&q={f'{character}+' * count}{'+' * rest}"
            with self.subTest(character):
                self.assertEqual(len(following(longest).rpartition("&cursor=")[0]), 2048)
                parse_list_query(following(longest))
                for longer in (longest + "x", longest + "x" + cursor, longest + character):
                    with self.assertRaisesRegex(BadInputError, "^the query: expected at most 2048 "):
                        parse_list_query(longer)

    def test_so_has_the_query_of_changes(self) -> None:
        with self.assertRaisesRegex(BadInputError, "^the query: expected at most 2048 "):
            parse_changes_query("since=" + "1" * 2043)
        with self.assertRaisesRegex(BadInputError, "^since: expected"):
            parse_changes_query("since=" + "1" * 2042)

    @property_settings()
    @given(QUERIES)
    def test_every_query_asks_for_a_list_or_is_bad_input(self, raw: str) -> None:
        for parse in (parse_list_query, parse_changes_query):
            try:
                parse(raw)
            except BadInputError:
                pass


class CursorTest(unittest.TestCase):
    """The Link to the next page, and the cursor in it."""

    @property_settings()
    @given(TASKS, st.sampled_from(SORTS))
    def test_a_cursor_goes_on_after_the_last_task_in_every_order(
        self, last: StoredTask, sort: str
    ) -> None:
        raw = f"sort={sort}&limit=1"
        after = parse_list_query(following(raw, last)).query.after
        expected = parse_list_query(raw).query.sort_key(last)
        self.assertEqual(after, expected)
        self.assertEqual([type(part) for part in after or ()], [type(part) for part in expected])

    def test_the_other_parameters_stay_as_they_were_sent(self) -> None:
        for raw, kept in [
            ("limit=1", "limit=1"), ("limit=1&&q=a+b%20%c3%A9", "limit=1&q=a+b%20%c3%A9"),
            ("priority=low&limit=%31&priority=high", "priority=low&limit=%31&priority=high"),
            ("limit=1&q=\xc3\xa9<\">", "limit=1&q=%C3%A9%3C%22%3E"),
        ]:
            with self.subTest(raw=raw):
                first = following(raw)
                self.assertRegex(first, f"^{re.escape(kept)}&cursor=[A-Za-z0-9_.-]+$")
                self.assertEqual(following(first), first)
                self.assertEqual(following(first.replace("cursor=", "%63ursor=")), first)
                first_request, next_request = parse_list_query(raw), parse_list_query(first)
                self.assertEqual(next_request.query.words, first_request.query.words)
                self.assertEqual(next_request.fingerprint, first_request.fingerprint)

    def test_a_cursor_is_good_for_other_limits_and_the_same_list_said_otherwise(self) -> None:
        first = following("limit=1&priority=low&priority=none&due_after=1")
        cursor = dict(parse_qsl(first))["cursor"]
        same = f"due_after=1970-01-01T00:00:01Z&priority=none&priority=low&cursor={cursor}"
        for raw in [same, f"{same}&limit=5", f"{same}&q="]:
            request = parse_list_query(raw)
            self.assertEqual(request.query.after, ("id-1", "id-1"))
            self.assertEqual(request.limited, "limit" in raw)

    def test_a_cursor_is_refused_by_every_other_list(self) -> None:
        lists = [
            "", "completed=true", "completed=false", "priority=low", "priority=low&priority=high",
            "due_after=1", "due_before=1", "due_before=2", "q=a", "q=a+b", "q=ab", "sort=updated",
            "sort=-created"]
        cursors = {raw: following(f"{raw}&limit=1").rpartition("=")[2] for raw in lists}
        for raw in lists:
            parse_list_query(f"{raw}&cursor={cursors[raw]}")
        for raw, made_for in permutations(lists, 2):
            with self.subTest(raw=raw, made_for=made_for):
                with self.assertRaisesRegex(BadInputError, "^cursor: expected one of a list with"):
                    parse_list_query(f"{raw}&cursor={cursors[made_for]}")

    def test_a_cursor_is_good_in_another_process(self) -> None:
        """Its fingerprint does not depend on the seed of Python's hashes."""
        priorities = "&".join(f"priority={priority.value}" for priority in TaskPriority)
        raw = f"{priorities}&q=a&sort=title&limit=1"
        program = (
            "import sys; from taskservice.http.listing import parse_list_query; "
            "print(parse_list_query(sys.argv[1]).query.after[1])")
        found = subprocess.run(
            [sys.executable, "-c", program, following(raw)], env={"PYTHONHASHSEED": "1"},
            capture_output=True, text=True, check=True)
        self.assertEqual(found.stdout, "id-1\n")

    def test_a_damaged_cursor_is_refused(self) -> None:
        fingerprint = parse_list_query("").fingerprint
        good = encode_cursor(fingerprint, TaskSort.CREATED, "a", "a")
        self.assertEqual(decode_cursor(fingerprint, TaskSort.CREATED, good), ("a", "a"))
        for cursor in [
            good[:-1], good[1:], good + "A", good + "=", good + "\n", good.swapcase(), "W10", "e30",
            "A" * MAX_CURSOR_LENGTH, good.replace(".", ""), good.replace(".", ".."), f"{good}.a",
            forge(b"", fingerprint=fingerprint), forge(b"a", fingerprint=fingerprint[1:]),
            forge(b"a", fingerprint=b""), "AA.a", "A.a", ".a", ".", "", "é", "A" * 100_000,
        ]:
            with self.subTest(cursor=cursor[:80]):
                with self.assertRaisesRegex(BadInputError, "^cursor: expected"):
                    decode_cursor(fingerprint, TaskSort.CREATED, cursor)

    def test_a_forged_cursor_has_to_have_a_key_of_its_sort(self) -> None:
        good: dict[TaskSort, list[bytes | SortKey]] = {
            TaskSort.CREATED: [b"a"], TaskSort.UPDATED: [0, 2 ** 63 - 1],
            TaskSort.DUE_DATE: [0, -1.5, NO_DUE_DATE, -2 ** 53 + 1], TaskSort.PRIORITY: [0, 4],
            TaskSort.TITLE: [b"a", "\ud7ff".encode(), "😀".encode(), b"null", b'"', b""]}
        bad: dict[TaskSort, list[Any]] = {
            TaskSort.CREATED: [b"b", b"", b'"a"'],
            TaskSort.UPDATED: [-1, 2 ** 63, 1.0, True, "1", None, b"", b"01", b"x"],
            TaskSort.DUE_DATE: [1e16, -1e300, math.inf, math.nan, True, "1", None, [1], b"", b"1 2"],
            TaskSort.PRIORITY: [-1, 5, 1.0, False, "low", b"\xff"],
            TaskSort.TITLE: [b"\0", b"a\0", b"\xed\xa0\x80", b"\xff", b"\xc3"]}
        for sort in TaskSort:
            for key in good[sort]:
                expected = key.decode() if isinstance(key, bytes) else key
                self.assertEqual(decode_cursor(FINGERPRINT, sort, forge(key)), (expected, "a"))
            for key in bad[sort]:
                with self.subTest(sort=sort, key=key), self.assertRaises(BadInputError):
                    decode_cursor(FINGERPRINT, sort, forge(key))

    def test_a_forged_cursor_has_to_have_an_id(self) -> None:
        for task_id in ["", "a b", "é", "a\n", "a.b", "a/b", "a" * 129]:
            with self.subTest(task_id=task_id), self.assertRaises(BadInputError):
                decode_cursor(FINGERPRINT, TaskSort.TITLE, forge(b"title", task_id))
        decode_cursor(FINGERPRINT, TaskSort.TITLE, forge(b"title", "a" * 128))

    def test_the_longest_titles_fit_into_a_cursor_of_1_2_kib(self) -> None:
        """Whatever each of their characters takes: it goes into the head of an answer."""
        for character in ["x", "\x01", "\x1f", '"', "\\", "\x7f", "é", "\u2028", "\uffff", "😀",
                          "\U0010ffff"]:
            task = StoredTask.of("a" * 128, 1, TaskEntry(character * 10_000))
            raw = following("sort=title&limit=1", task)
            with self.subTest(character):
                self.assertLessEqual(len(raw.partition("cursor=")[2]), 1.2 * 1024)
                self.assertEqual(parse_list_query(raw).query.after, (character * 200, "a" * 128))

    def test_a_cursor_has_at_most_1228_characters(self) -> None:
        key = b"x" * 817
        longest, longer = (forge(key, "a" * (length - len(forge(key, "")))) for length in (1_228, 1_229))
        self.assertEqual((len(longest), len(longer)), (MAX_CURSOR_LENGTH, MAX_CURSOR_LENGTH + 1))
        self.assertEqual(decode_cursor(FINGERPRINT, TaskSort.TITLE, longest)[0], key.decode())
        with self.assertRaisesRegex(BadInputError, "^cursor: expected"):
            decode_cursor(FINGERPRINT, TaskSort.TITLE, longer)

    @property_settings()
    @given(TEXTS, st.sampled_from(TaskSort))
    def test_every_text_is_a_position_or_bad_input(self, text: str, sort: TaskSort) -> None:
        encoded = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
        for cursor in (text, encoded, f"{encoded}.a"):
            with self.assertRaises(BadInputError):
                decode_cursor(FINGERPRINT, sort, cursor)
        try:
            decode_cursor(FINGERPRINT, sort, forge(text.encode()))
        except BadInputError:
            pass


class ChangesQueryTest(unittest.TestCase):
    """`parse_changes_query`."""

    def test_since_and_limit(self) -> None:
        for raw, expected in [
            (None, ChangesRequest(None, 1000)), ("since=0", ChangesRequest(0, 1000)),
            ("limit=5&since=12", ChangesRequest(12, 5)),
        ]:
            self.assertEqual(parse_changes_query(raw), expected)
        for raw, name in [("since=", "since"), ("since=-1", "since"), ("limit=0", "limit")]:
            with self.subTest(raw=raw), self.assertRaisesRegex(BadInputError, f"^{name}: "):
                parse_changes_query(raw)

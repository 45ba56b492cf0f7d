"""Lists over HTTP: filters, search, sort, the walk by cursor, tags, and the two forms."""

import gzip
import json
import random
import unittest
from typing import Any
from urllib.parse import quote

from tornado.httpclient import HTTPResponse

from tests.helpers.api import NDJSON, json_lines, next_page
from tests.helpers.app import AppTestCase, on_every_engine

TASKS: dict[str, dict[str, Any]] = {
    "c": {"title": "Straße fegen", "priority": "low"},
    "a": {"title": "Pay rent", "description": "to the Landlord", "priority": "urgent",
          "completed": False, "due_date": 1000},
    "f": {"title": "zoo"},
    "b": {"title": "buy MILK", "completed": True, "due_date": 1000.5},
    "e": {"title": "Zoo", "description": "milk for the seals", "priority": "high",
          "due_date": 2_000_000_000},
    "d": {"title": "école", "priority": "none", "due_date": -5},
}
"""Id -> task; they are created in this order, and then b is replaced by itself."""

LISTS = {
    "": "abcdef",
    "completed=true": "b",
    "completed=false": "acdef",
    "priority=none": "bdf",
    "priority=urgent&priority=low": "ac",
    "due_before=1000.5": "ad",
    "due_before=1000": "d",
    "due_after=1000": "be",
    "due_after=-5&due_before=1001": "ab",
    "due_after=1970-01-01T00:16:40Z": "be",
    "due_after=2033-05-18T05:33:19.5%2B02:00": "e",
    "due_after=2033-05-18T05:33:20%2B02:00": "",
    "q=milk": "be",
    "q=Zoo%20MILK": "e",
    "q=landlord+rent": "a",
    "q=STRASSE": "c",
    "q=%C3%89COLE": "d",
    "q=ecole": "d",
    "q=E%CC%81cole": "d",
    "q=%CC%81": "abcdef",
    "q=rent%20milk": "",
    "q=": "abcdef",
    "sort=created": "abcdef",
    "sort=-created": "fedcba",
    "sort=updated": "cafedb",
    "sort=-updated": "bdefac",
    "sort=due_date": "dabecf",
    "sort=-due_date": "fcebad",
    "sort=priority": "aecbdf",
    "sort=-priority": "fdbcea",
    "sort=title": "acebfd",
    "sort=-title": "dfbeca",
    "completed=false&priority=none&priority=high&q=zoo&sort=-title": "fe",
    "due_after=0&completed=false&sort=-due_date": "ea",
}
"""Query -> ids in order; titles go by code point, and ties by id."""


class ListCase(AppTestCase):
    """Lists as clients read them."""

    def fill(self) -> None:
        """Create TASKS."""
        for task_id in [*TASKS, "b"]:
            headers = {} if task_id == "b" and self.known("b") else {"If_None_Match": "*"}
            answer = self.ask("PUT", f"/tasks/{task_id}", json.dumps(TASKS[task_id]), **headers)
            self.assertIn(answer.code, (201, 204))

    def known(self, task_id: str) -> bool:
        """Return whether a task is there."""
        return self.ask("HEAD", f"/tasks/{task_id}").code == 200

    def get(self, path: str, **headers: str) -> HTTPResponse:
        """Read a list that is there."""
        answer = self.ask("GET", path, **headers)
        self.assertEqual((path, answer.code), (path, 200))
        return answer

    def ids(self, answer: HTTPResponse) -> list[str]:
        """Return the ids of a list, in its order."""
        pairs: list[Any] = json.loads(answer.body, object_pairs_hook=list)
        return [task_id for task_id, _ in pairs]

    def walk(self, path: str) -> list[list[str]]:
        """Follow the links from a first page; return the ids of each page."""
        pages, target = [], next_page(first := self.get(path))
        pages.append(self.ids(first))
        while target is not None:
            answer = self.get(target)
            pages.append(self.ids(answer))
            target = next_page(answer)
        return pages


@on_every_engine
class ListTest(ListCase):

    def test_each_query_gives_its_tasks_in_its_order_in_every_form(self) -> None:
        self.fill()
        for query, expected in LISTS.items():
            with self.subTest(query):
                answer = self.get(f"/tasks?{query}")
                self.assertEqual("".join(self.ids(answer)), expected)
                self.assertEqual(
                    json.loads(answer.body), {task_id: TASKS[task_id] for task_id in expected})
                self.assertIsNone(next_page(answer))
                lines = json_lines(self.get(f"/tasks?{query}", Accept=NDJSON).body)
                self.assertEqual([line["id"] for line in lines], list(expected))
                for limit in (1, 4):
                    pages = self.walk(f"/tasks?{query}{'&' * bool(query)}limit={limit}")
                    self.assertEqual("".join(map("".join, pages)), expected)
                    self.assertEqual({len(page) for page in pages[:-1]} | {limit}, {limit})

    def test_there_is_a_link_only_where_more_is_to_come(self) -> None:
        self.fill()
        for limit, more in ((5, True), (6, False), (7, False), (1000, False)):
            for method in ("GET", "HEAD"):
                answer = self.ask(method, f"/tasks?limit={limit}")
                self.assertEqual((answer.code, next_page(answer) is not None), (200, more))

    def test_a_link_keeps_the_parameters_as_they_were_sent(self) -> None:
        self.fill()
        path = "/tasks/?q=o&sort=-title&limit=1&completed=false&priority=high&priority=none"
        target = next_page(self.get(path))
        assert target is not None
        self.assertTrue(target.startswith(f"{path}&cursor="))

    def test_a_cursor_goes_on_without_a_limit_and_with_another(self) -> None:
        self.fill()
        target = next_page(self.get("/tasks?sort=title&limit=2"))
        assert target is not None
        self.assertEqual(self.ids(self.get(target.replace("limit=2", "limit=3"))), list("ebf"))
        rest = self.get(target.replace("&limit=2", ""))
        self.assertEqual((self.ids(rest), next_page(rest)), (list("ebfd"), None))
        lines = json_lines(self.get(target.replace("&limit=2", ""), Accept=NDJSON).body)
        self.assertEqual([line["id"] for line in lines], list("ebfd"))

    def test_a_cursor_of_another_list_is_refused(self) -> None:
        self.fill()
        target = next_page(self.get("/tasks?sort=title&limit=2"))
        assert target is not None
        cursor = target.partition("cursor=")[2]
        for query in ("", "sort=-title", "sort=updated", "sort=title&completed=false",
                      "sort=title&q=o"):
            with self.subTest(query):
                answer = self.ask("GET", f"/tasks?{query}&cursor={cursor}")
                self.assertEqual(answer.code, 400)
                self.assertRegex(json.loads(answer.body)["message"], r"\Acursor: ")

    def test_a_walk_neither_skips_nor_repeats_what_is_not_written_meanwhile(self) -> None:
        """Whatever happens to the tasks around, that at which the last page ended included."""
        for sort in ("created", "-title", "priority", "due_date", "-updated"):
            with self.subTest(sort):
                chance = random.Random(sort)
                stay = {self.create(self.some_task(chance)) for _ in range(8)}
                go = [self.create(self.some_task(chance)) for _ in range(8)]
                seen: list[str] = []
                target: str | None = f"/tasks?sort={sort}&limit=3"
                while target is not None:
                    page = self.get(target)
                    seen += [f"/tasks/{task_id}" for task_id in self.ids(page)]
                    if seen[-1] in go:
                        go.remove(seen[-1])
                        self.ask("DELETE", seen[-1])
                    if go:
                        self.ask("PUT", chance.choice(go), self.some_task(chance))
                    self.create(self.some_task(chance))
                    target = next_page(page)
                self.assertEqual(sorted(path for path in seen if path in stay), sorted(stay))
                for path in [f"/tasks/{task_id}" for task_id in self.ids(self.get("/tasks"))]:
                    self.ask("DELETE", path)

    def some_task(self, chance: random.Random) -> str:
        """Return a task whose sort keys have ties with others."""
        return json.dumps({
            "title": chance.choice("abcd"), "due_date": chance.choice([1, 2, 2.5]),
            "priority": chance.choice(["high", "low", "none"])})

    def test_what_is_unknown_or_bad_is_named(self) -> None:
        for query, name in (("nope=1", "nope"), ("Limit=1", "Limit"), ("since=1", "since"),
                            ("limit=0", "limit"), ("limit=1001", "limit"),
                            ("limit=1&limit=1", "limit"),
                            ("limit=", "limit"), ("sort=id", "sort"), ("sort=--title", "sort"),
                            ("completed=1", "completed"),
                            ("priority=high&priority=nope", "priority"),
                            ("due_before=soon", "due_before"),
                            ("due_after=2020-01-01", "due_after"), ("due_after=nan", "due_after"),
                            ("cursor=x", "cursor"), ("cursor=", "cursor"), ("q=%00", "q")):
            with self.subTest(query):
                answer = self.ask("GET", f"/tasks?{query}")
                self.assertEqual(answer.code, 400)
                self.assertRegex(json.loads(answer.body)["message"], rf"\A{name}: ")


@on_every_engine
class ListTagTest(ListCase):

    FORMS: tuple[tuple[str, dict[str, str]], ...] = (
        ("/tasks", {}), ("/tasks", {"Accept": NDJSON}), ("/tasks", {"Accept_Encoding": "gzip"}),
        ("/tasks", {"Accept": NDJSON, "Accept_Encoding": "gzip"}), ("/tasks?limit=2", {}),
        ("/tasks?completed=true", {}), ("/tasks?sort=-title&limit=1", {"Accept": NDJSON}),
        ("/tasks?q=nothing", {}))

    def test_all_forms_have_one_weak_tag_and_answer_304_by_it(self) -> None:
        self.fill()
        tag = self.etag("/tasks")
        self.assertEqual(tag, f"W/{self.etag('/tasks/b')}")  # which was written last
        for path, headers in self.FORMS:
            with self.subTest(path, headers=headers):
                answer = self.get(path, **headers)
                self.assertEqual(answer.headers["ETag"], tag)
                for condition in (tag, tag[2:], f'"1", {tag}', "*"):
                    known = self.ask("GET", path, None, **headers, If_None_Match=condition)
                    self.assertEqual(
                        (known.code, known.body, known.headers["ETag"]), (304, b"", tag))
                    self.assert_varies(known)
                other = self.ask("GET", path, None, **headers, If_None_Match='W/"1"')
                self.assertEqual(other.code, 200)
                self.assert_varies(answer)

    def assert_varies(self, answer: HTTPResponse) -> None:
        """An answer shows caches what its form depends on."""
        self.assertEqual(
            {name.strip() for name in answer.headers["Vary"].split(",")},
            {"Accept", "Accept-Encoding"})

    def test_every_write_changes_it_also_of_what_the_list_does_not_show(self) -> None:
        self.fill()
        for method, path, body, headers in (
                ("PUT", "/tasks/a", '{"title": "x"}', {}), ("PATCH", "/tasks/a", "{}", {}),
                ("POST", "/tasks", '{"title": "x"}', {}), ("DELETE", "/tasks/a", None, {}),
                ("POST", "/tasks", '{"title": "x"}', {"Content_Type": NDJSON})):
            tag = self.etag("/tasks?q=nothing")
            self.assertLess(self.ask(method, path, body, **headers).code, 300)
            self.assertEqual(self.ask("GET", "/tasks?q=nothing", If_None_Match=tag).code, 200)

    def test_a_bad_query_is_400_whatever_is_known(self) -> None:
        self.assertEqual(self.ask("GET", "/tasks?limit=0", If_None_Match="*").code, 400)

    def test_its_revision_is_where_the_changes_go_on(self) -> None:
        self.fill()
        since = self.etag("/tasks?limit=1")[3:-1]
        path = self.create()
        changes = json.loads(self.ask("GET", f"/changes?since={since}").body)["changes"]
        self.assertEqual([f"/tasks/{change['id']}" for change in changes], [path])


@on_every_engine
class LinesTest(ListCase):
    """Lists as NDJSON."""

    def test_a_line_has_id_revision_and_task(self) -> None:
        self.fill()
        answer = self.get("/tasks", Accept=NDJSON)
        self.assertEqual(answer.headers["Content-Type"], NDJSON)
        for line, task_id in zip(json_lines(answer.body), "abcdef", strict=True):
            self.assertEqual(line, {
                "id": task_id, "revision": int(self.etag(f"/tasks/{task_id}")[1:-1]),
                "task": TASKS[task_id]})

    def test_a_list_is_compressed_from_1024_bytes_on(self) -> None:
        for size, coding in ((1_023, None), (1_024, "gzip")):
            body = json.dumps({"title": "x" * (size - len('{"a": {"title": ""}}'))})
            self.ask("PUT", "/tasks/a", body, **({"If_None_Match": "*"} if coding is None else {}))
            self.assertEqual(len(self.get("/tasks").body), size)
            answer = self.get("/tasks", Accept_Encoding="gzip")
            self.assertEqual(answer.headers.get("Content-Encoding"), coding)

    def test_an_empty_list_is_empty(self) -> None:
        self.assertEqual(self.get("/tasks", Accept=NDJSON).body, b"")
        self.assertEqual(self.get("/tasks?limit=1", Accept=NDJSON).body, b"")
        self.assertEqual(self.get("/tasks").body, b"{}")

    def test_many_come_whole_and_compressed(self) -> None:
        body = b"".join(b'{"title": "%d"}\n' % number for number in range(2_500))
        self.assertEqual(self.ask("POST", "/tasks", body, Content_Type=NDJSON).code, 200)
        plain = self.get("/tasks", Accept=NDJSON)
        titles = [line["task"]["title"] for line in json_lines(plain.body)]
        self.assertEqual(titles, [str(number) for number in range(2_500)])
        packed = self.get("/tasks", Accept=NDJSON, Accept_Encoding="gzip")
        self.assertEqual(packed.headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        self.assertEqual(self.ask("HEAD", "/tasks", Accept=NDJSON).body, b"")

    def test_it_is_for_who_prefers_it(self) -> None:
        for accept, lines in ((NDJSON, True), (f"application/json;q=0.5, {NDJSON}", True),
                              (f"application/json, {NDJSON};q=0.9", False), ("", False),
                              ("*/*", False),
                              (f"{NDJSON};q=0", False), ("text/html", False)):
            with self.subTest(accept):
                kind = self.get("/tasks", Accept=accept).headers["Content-Type"]
                self.assertEqual(kind == NDJSON, lines)


class SpecialTitleTest(ListCase):
    """What a title may be made of; the engines' own tests do so for each."""

    def test_a_walk_by_title_goes_through_any_characters(self) -> None:
        titles = ["\u0001", " ", '"', "\\", "~", "\u007f", "é", "\ue000", "\uffff", "😀", "𐀀"]
        for title in titles:
            self.create(json.dumps({"title": title}))
        shown = [task["title"] for task in json.loads(self.get("/tasks?sort=title").body).values()]
        self.assertEqual(shown, sorted(titles))
        self.assertEqual(len(self.walk("/tasks?sort=title&limit=1")), len(titles))
        for title in set(titles) - {"\u0001", " "}:
            found = json.loads(self.get(f"/tasks?q={quote(title)}").body)
            self.assertIn({"title": title}, found.values())


if __name__ == "__main__":
    unittest.main()

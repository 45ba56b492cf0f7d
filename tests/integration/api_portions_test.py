"""Answers larger than a portion: the same to a client as small ones, in whatever form."""

import gzip
import json
import re
from typing import Any

from tornado.httpclient import HTTPResponse

from taskservice.datamodel import PAGE_BYTES, TaskEntry
from tests.helpers.api import NDJSON
from tests.helpers.api import comparable
from tests.helpers.app import AppTestCase, on_every_engine

COUNT = 26
DESCRIPTION = "x" * 60_000


@on_every_engine
class PortionsTest(AppTestCase):

    def setUp(self) -> None:
        super().setUp()
        assert COUNT // 2 * len(DESCRIPTION) > PAGE_BYTES
        self.titles = [f"{number * 7 % COUNT:02}" for number in range(COUNT)]
        tasks = [(title, TaskEntry(title, DESCRIPTION, completed=title < "03"))
                 for title in self.titles]
        self.io_loop.run_sync(lambda: self.service.create_tasks(tasks), timeout=60)

    def get(self, path: str, **headers: str) -> HTTPResponse:
        """Ask for something that is there."""
        answer = self.ask("GET", path, **headers)
        self.assertEqual(answer.code, 200)
        return answer

    def walk(self, path: str, **headers: str) -> list[Any]:
        """Return the bodies of a list's pages, each by the Link of the one before."""
        bodies, target = [], path
        while target:
            answer = self.get(target, **headers)
            bodies.append(answer.body)
            target = answer.headers.get("Link", "<>")
            target = target[1:target.index(">")]
        return bodies

    def test_a_walk_by_links_finds_each_task_once(self) -> None:
        for sort in ("created", "-created", "title", "-title", "updated", "due_date", "-priority"):
            expected = self.titles if sort == "updated" else sorted(
                self.titles, reverse=sort.startswith("-"))
            pages = [json.loads(body, object_pairs_hook=list)
                     for body in self.walk(f"/tasks?sort={sort}&limit={COUNT // 2}")]
            self.assertEqual([len(page) for page in pages], [COUNT // 2] * 2)
            self.assertEqual([task_id for page in pages for task_id, _ in page], expected)
            for task_id, members in sum(pages, []):
                self.assertEqual(members[:2], [("title", task_id), ("description", DESCRIPTION)])

    def test_lines_are_whole(self) -> None:
        [body] = self.walk(f"/tasks?limit={COUNT}", Accept=NDJSON)
        lines = [json.loads(line) for line in body.splitlines()]
        self.assertEqual([line["id"] for line in lines], sorted(self.titles))
        self.assertEqual({line["task"]["description"] for line in lines}, {DESCRIPTION})

    def test_the_whole_list_is_whole(self) -> None:
        self.assertEqual([*json.loads(self.get("/tasks").body)], sorted(self.titles))

    def test_compressed_it_is_the_same(self) -> None:
        for path in ("/tasks", f"/tasks?limit={COUNT}"):
            answer = self.get(path, Accept_Encoding="gzip")
            self.assertEqual(answer.headers["Content-Encoding"], "gzip")
            self.assertEqual(gzip.decompress(answer.body), self.get(path).body)

    def test_head_has_the_headers_of_get(self) -> None:
        for path in (f"/tasks?limit={COUNT // 2}", f"/tasks?limit={COUNT}", "/changes", "/tasks"):
            for accept in ("*/*", NDJSON):
                get, head = (self.ask(method, path, Accept=accept) for method in ("GET", "HEAD"))
                self.assertEqual((head.code, head.body), (200, b""))
                self.assertEqual(comparable(head.headers), comparable(get.headers))

    def test_its_tag_is_that_of_a_small_list(self) -> None:
        small, large = self.get("/tasks?limit=1"), self.get(f"/tasks?limit={COUNT}")
        self.assertEqual(large.headers["ETag"], small.headers["ETag"])
        answer = self.ask("GET", f"/tasks?limit={COUNT}", If_None_Match=large.headers["ETag"])
        self.assertEqual(answer.code, 304)

    def test_filters_hold_in_every_portion(self) -> None:
        [body] = self.walk(f"/tasks?completed=false&limit={COUNT}")
        self.assertEqual([*json.loads(body)], [f"{number:02}" for number in range(3, COUNT)])
        [body] = self.walk(f"/tasks?q=xxx&sort=-title&limit={COUNT}")
        self.assertEqual([*json.loads(body)], sorted(self.titles, reverse=True))

    def test_changes_are_one_document(self) -> None:
        self.ask("DELETE", "/tasks/05")
        answer = json.loads(self.get("/changes").body)
        found = [change["id"] for change in answer["changes"]]
        self.assertEqual(found, [title for title in self.titles if title != "05"] + ["05"])
        self.assertEqual(answer["revision"], answer["changes"][-1]["revision"])
        self.assertIsNone(answer["changes"][-1]["task"])
        revisions = [change["revision"] for change in answer["changes"]]
        self.assertEqual(revisions, sorted(revisions))

    def test_changes_are_no_more_than_asked_for(self) -> None:
        first = json.loads(self.get("/changes?limit=20").body)
        self.assertEqual([change["id"] for change in first["changes"]], self.titles[:20])
        self.assertEqual(first["revision"], first["changes"][-1]["revision"])
        rest = json.loads(self.get(f"/changes?limit=20&since={first['revision']}").body)
        self.assertEqual([change["id"] for change in rest["changes"]], self.titles[20:])
        self.assertRegex(self.get("/tasks?limit=1").headers["ETag"], re.escape(str(rest["revision"])))

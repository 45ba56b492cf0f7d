"""Lists: their order, how large ones come, and what is compressed."""

import asyncio
import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from unittest.mock import patch

from taskservice.database.contract import AbstractTodoListDB
from taskservice.datamodel import TaskEntry, TaskPage, TaskQuery
from tests.helpers.api import NDJSON
from tests.helpers.api import comparable
from tests.helpers.app import AppTestCase, on_every_engine
from tests.helpers.running import ServedTestCase, on_both_servers

MANY = 3_000


@contextmanager
def pages_read(store: AbstractTodoListDB) -> Iterator[list[TaskPage]]:
    """Collect the pages that are read of a store meanwhile."""
    pages: list[TaskPage] = []
    read_page, page_at_once = store.read_page, store.page_at_once

    async def read(query: TaskQuery) -> TaskPage:
        pages.append(await read_page(query))
        return pages[-1]

    def at_once(query: TaskQuery) -> TaskPage | None:
        if (page := page_at_once(query)) is not None:
            pages.append(page)
        return page

    with patch.object(store, "read_page", read), patch.object(store, "page_at_once", at_once):
        yield pages


class ListCase(AppTestCase):

    def create_many(self, title: str = "") -> list[str]:
        """Create tasks without HTTP, and return their ids in order of creation."""
        async def create() -> list[str]:
            created = await self.service.create_tasks(
                [(None, TaskEntry(f"{title}{number}")) for number in range(MANY)])
            return [task_id for task_id, _ in created.tasks]

        ids: list[str] = self.io_loop.run_sync(create, timeout=120)
        return ids

    async def read_headers_slowly(
        self, version: str = "1.1"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        """Ask for the list, with room for little more than the headers of the answer."""
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", self.get_http_port()))
        reader, writer = await asyncio.open_connection(sock=slow)
        writer.write(b"GET /tasks HTTP/%b\r\nHost: localhost\r\n\r\n" % version.encode())
        return reader, writer, await reader.readuntil(b"\r\n\r\n")


@on_every_engine
class ListTest(ListCase):

    def test_tasks_come_in_order_of_creation(self) -> None:
        paths = [self.create('{"title": "%s"}' % title) for title in "bca"]
        self.ask("PUT", paths[0], '{"title": "z"}')
        listed = json.loads(self.ask("GET", "/tasks").body)
        self.assertEqual([f"/tasks/{task_id}" for task_id in listed], paths)
        self.assertEqual([task["title"] for task in listed.values()], ["z", "c", "a"])

    def test_a_large_list_is_one_json_object_streamed(self) -> None:
        ids = self.create_many()
        answer = self.ask("GET", "/tasks")
        self.assertEqual(answer.code, 200)
        self.assertEqual(answer.headers["Transfer-Encoding"], "chunked")
        pairs = json.loads(answer.body, object_pairs_hook=list)
        self.assertEqual([task_id for task_id, _ in pairs], ids)
        self.assertEqual(pairs[-1][1], [("title", str(MANY - 1))])
        self.assertRegex(answer.headers["ETag"], r'\AW/"[0-9]+"\Z')

    def test_head_has_the_headers_of_get_and_reads_no_more_than_a_page(self) -> None:
        self.create_many()
        for path in ("/tasks", "/tasks?limit=5", "/tasks?q=no-such", "/tasks?sort=-title"):
            for headers in ({}, {"Accept": NDJSON}, {"Accept_Encoding": "gzip"}):
                with self.subTest(path, headers=headers):
                    get = self.ask("GET", path, None, **headers)
                    with pages_read(self.service._db) as read:
                        head = self.ask("HEAD", path, None, **headers)
                    self.assertEqual((head.code, head.body), (200, b""))
                    self.assertEqual(len(read), 1)
                    self.assertEqual(comparable(head.headers), comparable(get.headers))

    def test_a_large_list_is_compressed_whole(self) -> None:
        self.create_many()
        answer = self.ask("GET", "/tasks", Accept_Encoding="gzip")
        self.assertEqual(answer.headers["Content-Encoding"], "gzip")
        plain = self.ask("GET", "/tasks").body
        self.assertEqual(gzip.decompress(answer.body), plain)
        self.assertLess(len(answer.body), len(plain) / 2)

    def test_a_list_that_breaks_off_is_not_taken_for_whole(self) -> None:
        """The store goes away while a slow reader is at its first page."""
        self.create_many("x" * 10_000)

        async def read() -> bytes:
            reader, writer, answer = await self.read_headers_slowly()
            await self.service.stop()
            rest = b""
            with suppress(ConnectionResetError):
                while chunk := await reader.read(1 << 16):
                    rest += chunk
            writer.close()
            return answer + rest

        answer: bytes = self.io_loop.run_sync(read, timeout=60)
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertFalse(answer.endswith(b"0\r\n\r\n"), "the end of a chunked body")
        [line] = self.journal.responses()
        self.assertEqual(line.level, "ERROR")
        self.assertIn("cut", line.values["reason"])

    def test_a_reader_that_goes_away_is_no_error_of_the_server(self) -> None:
        """Whoever can ask could otherwise fill the log with tracebacks."""
        self.create_many("x" * 10_000)

        async def leave() -> None:
            _, writer, _ = await self.read_headers_slowly()
            writer.close()
            while not self.journal.responses():
                await asyncio.sleep(0.005)

        self.io_loop.run_sync(leave, timeout=60)
        [line] = self.journal.responses()
        self.assertNotEqual(line.level, "ERROR")
        self.assertNotIn("trace", line.values)


class CutListTest(ListCase, ServedTestCase):
    """Over HTTP/1.0, where only the end of the connection delimits a list."""

    def test_a_list_that_breaks_off_ends_in_a_reset(self) -> None:
        self.create_many("x" * 10_000)

        async def read() -> None:
            reader, writer, _ = await self.read_headers_slowly("1.0")
            await self.service.stop()
            with self.assertRaises(ConnectionResetError):
                await reader.read()
            writer.close()

        self.io_loop.run_sync(read, timeout=60)


class CompressionTest(AppTestCase):
    """What is compressed; the same over any engine."""

    def setUp(self) -> None:
        super().setUp()
        self.path = self.create('{"title": "%s"}' % ("a" * 5000))

    def test_a_list_is_compressed_for_who_asks(self) -> None:
        for accept in ("gzip", "GZIP", "br, gzip", "gzip;q=0.5", "deflate;q=1, gzip ; q=0.001",
                       "x-gzip"):
            with self.subTest(accept):
                answer = self.ask("GET", "/tasks", Accept_Encoding=accept)
                self.assertEqual(answer.headers["Content-Encoding"], "gzip")
                self.assertIn("Accept-Encoding", answer.headers["Vary"])
                self.assertEqual(
                    gzip.decompress(answer.body), self.ask("GET", "/tasks").body)

    def test_a_list_is_plain_for_who_does_not(self) -> None:
        for accept in ("", "identity", "gzip;q=0", "br, gzip; q=0.000", "gzipped", "xgzip, br"):
            with self.subTest(accept):
                answer = self.ask("GET", "/tasks", Accept_Encoding=accept)
                self.assertNotIn("Content-Encoding", answer.headers)
                self.assertIn("Accept-Encoding", answer.headers["Vary"])
                self.assertEqual(len(json.loads(answer.body)), 1)

    def test_a_task_is_never_compressed_as_its_tag_names_its_bytes(self) -> None:
        answer = self.ask("GET", self.path, Accept_Encoding="gzip")
        self.assertNotIn("Content-Encoding", answer.headers)
        self.assertEqual(json.loads(answer.body)["title"], "a" * 5000)

    def test_the_tag_of_a_list_is_the_same_in_both_forms(self) -> None:
        tags = {self.ask("GET", "/tasks", Accept_Encoding=accept).headers["ETag"]
                for accept in ("gzip", "identity")}
        self.assertEqual(len(tags), 1)
        known = self.ask("GET", "/tasks", Accept_Encoding="gzip", If_None_Match=tags.pop())
        self.assertEqual((known.code, known.body), (304, b""))


@on_both_servers
class OldClientTest(ServedTestCase, ListCase):

    def test_head_over_http_1_0_reads_no_more_either(self) -> None:
        """Though the list itself has to be made in one piece there, by Tornado's server."""
        self.create_many()
        with pages_read(self.service._db) as read:
            answer = self.send(b"HEAD /tasks HTTP/1.0\r\nHost: localhost\r\n\r\n")
        self.assertRegex(answer, rb"\AHTTP/1\.[01] 200 OK\r\n")
        self.assertTrue(answer.endswith(b"\r\n\r\n"))
        self.assertEqual(len(read), 1)

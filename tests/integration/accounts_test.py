"""Each request that was read has one canonical line and is counted once, however it ends."""

import asyncio
import json
import logging
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from unittest import mock

from taskservice.datamodel import TaskPage, TaskQuery
from taskservice.errors import StoreError
from taskservice.tornado.handlers.base import BaseRequestHandler
from taskservice.tornado.handlers.changes import ChangesRequestHandler
from taskservice.tornado.handlers.operations import HealthRequestHandler
from taskservice.tornado.handlers.tasks import (
    TodoListEntryRequestHandler, TodoListRequestHandler)
from tests.helpers.api import NDJSON, PROBLEM, EventStream, until
from tests.helpers.raw import request
from tests.helpers.running import READER, TOKENS, ServedTestCase, bearer, on_both_servers, samples, total
from tests.helpers.app import Line

REQUESTS = "taskservice_request_duration_seconds_count"
STREAMS = "taskservice_event_streams_ended_total"
IN_FLIGHT = "taskservice_requests_in_flight"
TASK = b'{"title": "a"}'


class AccountsCase(ServedTestCase):
    """At the end of each test the lines and the counts are compared."""

    def tearDown(self) -> None:
        try:
            self.check_accounts()
        finally:
            super().tearDown()

    def check_accounts(self) -> None:
        """Compare what was logged with what was counted."""
        lines = self.journal.responses()
        found = samples(self._app.dependencies.metrics.render().decode())
        counted: Counter[str] = Counter()
        for labels, count in found.get(REQUESTS, {}).items():
            counted[dict(labels)["status"]] += int(count)
        streams = total(found.get(STREAMS, {}))
        counted["200"] += int(streams)
        self.assertEqual(+counted, Counter(str(line.values["status"]) for line in lines))
        ids = [line.values["req_id"] for line in lines]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual(total(found[IN_FLIGHT]), 0)
        self.assertEqual(self.gone_wrong(), [])

    def gone_wrong(self) -> list[str]:
        """Return what others than the service logged at WARNING or more."""
        return [record.getMessage() for record in self.journal.records
                if record.name in ("tornado.application", "asyncio") and record.levelno >= logging.WARNING]

    def run_in_loop(self, talk: Callable[[], Awaitable[Any]]) -> Any:
        """Run a client beside the service."""
        return self.io_loop.run_sync(talk, timeout=30)

    async def connect(self, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send a request on a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.get_http_port())
        writer.write(data)
        return reader, writer

    def see_cut(
        self, data: bytes, meanwhile: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0)
    ) -> None:
        """Ask, and see an answer that begins and does not end."""
        async def talk() -> None:
            reader, writer = await self.connect(data)
            await reader.readuntil(b"\r\n\r\n")
            await meanwhile()
            with self.assertRaises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readuntil(b"\r\n0\r\n\r\n")
            writer.close()

        self.run_in_loop(talk)

    def lines(self, message: str = "RESPONSE") -> list[Line]:
        """Return the lines of an event."""
        return [line for line in self.journal.lines if line.values["message"] == message]

    async def line(self, message: str, number: int) -> Line:
        """Return the line of an event, when there are so many."""
        await until(lambda: len(self.lines(message)) == number, message)
        return self.lines(message)[-1]


def reset(writer: asyncio.StreamWriter) -> None:
    """Leave by a reset: the service knows that nobody reads any more."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Held:
    """Requests that wait in their handler until they may go on."""

    def __init__(self) -> None:
        self.handlers: list[BaseRequestHandler] = []
        self.gate = asyncio.Event()

    async def wait(self, handler: BaseRequestHandler) -> None:
        """Be held."""
        self.handlers.append(handler)
        await self.gate.wait()


@contextmanager
def held(method: str = "get", kind: type[BaseRequestHandler] = HealthRequestHandler) -> Iterator[Held]:
    """Hold each request of a kind before its handler does what it does."""
    waiting, handle = Held(), getattr(kind, method)

    async def hold(handler: BaseRequestHandler, *args: str) -> None:
        await waiting.wait(handler)
        done = handle(handler, *args)
        if done is not None:
            await done

    with mock.patch.object(kind, method, hold):
        yield waiting


@on_both_servers
class AnsweredTest(AccountsCase):
    """Each answer is logged and counted as it was given."""

    http = {"cors_origins": ("https://good.example",), "require_if_match": True, "max_body": 100}

    def test_whatever_is_asked(self) -> None:
        path = self.create()
        asked: list[tuple[str, str, bytes | None, dict[str, str]]] = [
            ("GET", path, None, {}), ("HEAD", path, None, {}), ("HEAD", "/tasks", None, {}),
            ("GET", path, None, {"If_None_Match": "*"}), ("HEAD", path, None, {"If_None_Match": "*"}),
            ("GET", "/tasks", None, {"If_None_Match": "*"}), ("OPTIONS", path, None, {}),
            ("GET", "/tasks?limit=0", None, {}), ("GET", "/tasks/none", None, {}), ("GET", "/nope", None, {}),
            ("HEAD", "/nope", None, {}), ("DELETE", "/tasks", None, {}), ("FROB", path, None, {}),
            ("FROB", "/nope", None, {}), ("PUT", path, TASK, {"If_Match": '"1"'}), ("PUT", path, TASK, {}),
            ("POST", "/tasks", b" " * 101, {}), ("POST", "/tasks", TASK, {"Content_Type": "text/plain"}),
            ("POST", "/tasks", b"{}", {}), ("POST", "/tasks", TASK, {"Content_Type": NDJSON}),
            ("POST", "/tasks", TASK, {"Sec_Fetch_Site": "cross-site"}), ("GET", "/tasks", None, {"Host": "evil"}),
            ("OPTIONS", path, None, {"Origin": "https://good.example"}), ("GET", "/metrics", None, {}),
            ("GET", "/", None, {}), ("GET", "/static/app.js", None, {}), ("GET", "/docs", None, {}),
            ("HEAD", "/changes", None, {"Accept": "text/event-stream"}), ("DELETE", path, None, {"If_Match": "*"})]
        statuses = [self.ask(method, target, body, **fields).code for method, target, body, fields in asked]
        self.assertEqual([line.values["status"] for line in self.lines()], [201, *statuses])
        self.assertEqual(
            set(statuses), {200, 204, 304, 400, 403, 404, 405, 412, 413, 415, 421, 428})

    def test_requests_on_one_connection(self) -> None:
        self.send(request("GET", "/tasks") * 3 + request("GET", "/nope", Connection="close"))
        self.assertEqual([line.values["status"] for line in self.lines()], [200, 200, 200, 404])

    def test_a_handler_that_fails(self) -> None:
        with mock.patch.object(HealthRequestHandler, "get", side_effect=RuntimeError("a bug")):
            self.assertEqual(self.ask("GET", "/healthz").code, 500)
        [line] = self.lines()
        self.assertEqual((line.level, line.values["status"]), ("ERROR", 500))
        self.assertIn("RuntimeError: a bug", line.values["trace"])

    def test_a_handler_that_is_cancelled(self) -> None:
        async def talk() -> None:
            with held() as waiting:
                reader, writer = await self.connect(request("GET", "/healthz", Connection="close"))
                await until(lambda: waiting.handlers, "the request")
                [task] = [task for task in asyncio.all_tasks() if "_execute" in repr(task.get_coro())]
                task.cancel()
                self.assertIn(b"500", await reader.readline())
                reset(writer)

        self.run_in_loop(talk)
        [line] = self.lines()
        self.assertEqual((line.level, line.values["status"]), ("ERROR", 500))


@on_both_servers
class BrokenTest(AccountsCase):
    """What fails on the way to the answer, or after it."""

    def gone_wrong(self) -> list[str]:
        return [said for said in super().gone_wrong() if not said.startswith("Uncaught exception in write_error")]

    def test_the_answer_to_an_error_that_fails(self) -> None:
        with mock.patch.object(BaseRequestHandler, "_problem", side_effect=RuntimeError("a bug")):
            self.fetch_as_is("GET", "/tasks/none")
            self.fetch_as_is("POST", "/tasks", TASK, Sec_Fetch_Site="cross-site")  # before `prepare`
        self.assertEqual([line.values["status"] for line in self.lines()], [404, 403])

    def test_a_hook_that_fails_after_the_answer(self) -> None:
        """As one that an instrumentation puts in the place of the handler's."""
        with mock.patch.object(BaseRequestHandler, "on_finish", side_effect=RuntimeError("a bug")):
            self.assertEqual(self.ask("GET", "/healthz", X_Request_Id="mine").code, 200)
        [line], [error] = self.lines(), self.lines("ERROR AFTER RESPONSE")
        self.assertEqual((line.level, line.values["status"]), ("INFO", 200))
        self.assertEqual((error.level, error.values["req_id"]), ("ERROR", "mine"))
        self.assertIn("RuntimeError: a bug", error.values["trace"])

    def test_a_list_that_breaks_in_the_middle(self) -> None:
        self.create()

        async def broken(query: TaskQuery) -> AsyncGenerator[TaskPage, None]:
            page = await anext(self.service.read_page(query))
            yield replace(page, end=("a", "a"))
            raise StoreError("gone")

        with mock.patch.object(self.service, "list_tasks", broken):
            self.see_cut(request("GET", "/tasks"))
        line = self.lines()[-1]
        self.assertEqual((line.level, line.values["status"], line.values["reason"]), ("ERROR", 200, "cut: gone"))
        self.assertIn("StoreError: gone", line.values["trace"])

    def test_a_list_that_is_cancelled_in_the_middle(self) -> None:
        self.create()

        async def hangs(query: TaskQuery) -> AsyncGenerator[TaskPage, None]:
            page = await anext(self.service.read_page(query))
            yield replace(page, end=("a", "a"))
            await asyncio.Event().wait()

        async def cancel() -> None:
            [task] = [task for task in asyncio.all_tasks() if "_execute" in repr(task.get_coro())]
            task.cancel()

        with mock.patch.object(self.service, "list_tasks", hangs):
            self.see_cut(request("GET", "/tasks"), cancel)
        self.assertEqual(self.lines()[-1].values["reason"], "cut: it was cancelled")


@on_both_servers
class ClientGoneTest(AccountsCase):
    """A client that leaves before the end of its answer."""

    def leave(self, method: str = "GET", path: str = "/healthz", body: bytes = b"", /,
              kind: type[BaseRequestHandler] = HealthRequestHandler, stay: bool = False, **fields: str) -> Line:
        """Ask, leave before there is an answer, and return the line; `stay`: the handler is not let go on."""
        before = len(self.lines())

        async def talk() -> None:
            with held(method.lower(), kind) as waiting:
                _, writer = await self.connect(request(method, path, body, **fields))
                await until(lambda: waiting.handlers, "the request")
                reset(writer)
                await until(lambda: waiting.handlers[0].gone, "the client's end")
                if not stay:
                    waiting.gate.set()
                await until(lambda: len(self.lines()) > before, "the line")

        self.run_in_loop(talk)
        return self.lines()[-1]

    def test_before_it_begins(self) -> None:
        line = self.leave()
        self.assertEqual((line.level, line.values["status"]), ("WARNING", 499))
        self.assertEqual((line.values["reason"], line.values["bytes"]), ("the client went away", 0))

    def test_before_the_changes_begin(self) -> None:
        line = self.leave("GET", "/changes", kind=ChangesRequestHandler)
        self.assertEqual((line.level, line.values["status"]), ("WARNING", 499))

    def test_what_a_write_did_is_reported(self) -> None:
        line = self.leave("POST", "/tasks", TASK, kind=TodoListRequestHandler)
        self.assertEqual((line.level, line.values["status"]), ("WARNING", 499))
        self.assertEqual(line.values["rev"], self.io_loop.run_sync(self.service.revision))

    def test_a_read_is_cancelled(self) -> None:
        for method in ("GET", "HEAD"):
            with self.subTest(method):
                line = self.leave(method, "/tasks", kind=TodoListRequestHandler, stay=True)
                self.assertEqual((line.level, line.values["status"]), ("WARNING", 499))
                self.assertEqual((line.values["reason"], line.values["bytes"]), ("the client went away", 0))

    def test_a_read_in_the_middle_is_cancelled(self) -> None:
        self.create()
        cancelled = asyncio.Event()

        async def hangs(query: TaskQuery) -> AsyncGenerator[TaskPage, None]:
            page = await anext(self.service.read_page(query))
            yield replace(page, end=("a", "a"))
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        async def talk() -> None:
            reader, writer = await self.connect(request("GET", "/tasks"))
            await reader.readuntil(b"\r\n\r\n")
            reset(writer)
            await cancelled.wait()
            await until(lambda: len(self.lines()) == 2, "the line")

        with mock.patch.object(self.service, "list_tasks", hangs):
            self.run_in_loop(talk)
        line = self.lines()[-1]
        self.assertEqual((line.level, line.values["status"]), ("INFO", 200))
        self.assertEqual(line.values["reason"], "the client went away")

    def test_an_error_that_it_made_is_not_passed_to_it(self) -> None:
        line = self.leave("DELETE", "/tasks/none", kind=TodoListEntryRequestHandler)
        self.assertEqual((line.level, line.values["status"]), ("WARNING", 499))
        self.assertEqual(line.values["reason"], "the client went away")

    def test_an_error_of_the_service_is_one(self) -> None:
        with mock.patch.object(TodoListRequestHandler, "post", side_effect=RuntimeError("a bug")):
            line = self.leave("POST", "/tasks", TASK, kind=TodoListRequestHandler)
        self.assertEqual((line.level, line.values["status"]), ("ERROR", 500))
        self.assertIn("a bug", line.values["trace"])

    def test_in_the_middle(self) -> None:
        body = b'{"title": "%b"}\n' % (b"x" * 10_000)
        for _ in range(3):  # more than the kernel takes for a client that reads nothing
            self.assertEqual(self.ask("POST", "/tasks", body * 1_000, Content_Type=NDJSON).code, 200)

        async def talk() -> None:
            reader, writer = await self.connect(request("GET", "/tasks"))
            await reader.readuntil(b"\r\n\r\n")
            reset(writer)
            await until(lambda: len(self.lines()) == 4, "the line")

        self.run_in_loop(talk)
        line = self.lines()[-1]
        self.assertEqual((line.level, line.values["status"]), ("INFO", 200))
        self.assertEqual(line.values["reason"], "the client went away")


@on_both_servers
class CutBodyTest(AccountsCase):
    """A request whose body does not come whole: no handler runs, and it has its line nevertheless."""

    BEGUN = request("POST", "/tasks?a=b", b"", 100, X_Request_Id="cut") + b'{"title": '

    async def send_part(self) -> asyncio.StreamWriter:
        """Send a head and a part of its body, and wait until the server has them."""
        self.began = time.monotonic()
        _, writer = await self.connect(self.BEGUN)
        await writer.drain()
        for _ in range(10):  # turns of the loop, which is the server's too: it accepts, and reads what is there
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        return writer

    async def check_line(self, status: int, reason: str) -> None:
        line = await self.line("RESPONSE", 1)
        self.assertEqual(
            {name: line.values[name] for name in ("req_id", "method", "uri", "status", "reason", "bytes")},
            {"req_id": "cut", "method": "POST", "uri": "/tasks?a=b", "status": status, "reason": reason,
             "bytes": 0})
        self.assertEqual(line.level, "WARNING" if status < 500 else "ERROR")
        self.assertGreaterEqual(line.values["time_ms"], 50)
        self.assertLess(line.values["time_ms"], (time.monotonic() - self.began) * 1000)

    def counted(self) -> float:
        """Return how many requests of the route were counted."""
        found = samples(self._app.dependencies.metrics.render().decode())
        return total(found[REQUESTS], route="/tasks", method="POST")

    def test_by_a_reset_of_the_client(self) -> None:
        async def talk() -> None:
            reset(await self.send_part())
            await self.check_line(499, "the client went away")

        self.run_in_loop(talk)
        self.assertEqual(self.counted(), 1)

    def test_by_the_end_of_what_the_client_sends(self) -> None:
        async def talk() -> None:
            writer = await self.send_part()
            writer.write_eof()
            if self.server == "tornado":
                await self.check_line(499, "the client went away")
            else:
                await self.check_refused()
            writer.close()

        self.run_in_loop(talk)

    async def check_refused(self) -> None:
        """Our own server answers: the client may still be reading."""
        line = await self.line("RESPONSE", 1)
        self.assertEqual(line.values["status"], 400)

    def test_by_a_stop_of_the_service(self) -> None:
        async def talk() -> None:
            writer = await self.send_part()
            self.http_server.stop()
            await self.http_server.close_all_connections()
            if self.server == "tornado":
                await self.check_line(499, "the client went away")
            else:
                await self.check_line(503, "cut: not at its end in drain-timeout")
            writer.close()

        self.run_in_loop(talk)

    def test_a_head_that_does_not_come_whole_is_no_request(self) -> None:
        async def talk() -> None:
            _, writer = await self.connect(self.BEGUN[:40])
            await writer.drain()
            await asyncio.sleep(0.05)
            reset(writer)
            await asyncio.sleep(0.05)

        self.run_in_loop(talk)
        self.assertEqual(self.lines(), [])


class HalfClosedTest(AccountsCase):
    """A client that has ended its input, and still reads, on our own connection."""

    def test_it_is_answered(self) -> None:
        async def talk() -> None:
            with held() as waiting:
                reader, writer = await self.connect(request("GET", "/healthz"))
                await until(lambda: waiting.handlers, "the request")
                writer.write_eof()
                await until(lambda: waiting.handlers[0].gone, "the end of the input")
                waiting.gate.set()
                self.assertIn(b"200 OK", await reader.readline())
                writer.close()

        self.run_in_loop(talk)
        [line] = self.lines()
        self.assertEqual((line.level, line.values["status"]), ("INFO", 200))
        self.assertNotIn("reason", line.values)


@on_both_servers
class StreamsTest(AccountsCase):
    """An event stream is no request that takes a time: it is counted apart."""

    tokens = TOKENS

    def counts(self) -> tuple[float, float]:
        """Return how many requests for `/changes` and how many streams were counted."""
        found = samples(self._app.dependencies.metrics.render().decode())
        return total(found.get(REQUESTS, {}), route="/changes"), total(found[STREAMS])

    def test_one_that_its_client_ends(self) -> None:
        async def talk() -> None:
            stream = await EventStream.open(self.get_http_port(), **bearer(READER))
            self.assertEqual(self.counts(), (0, 0))
            await stream.close()
            await until(self.lines, "the line")

        self.run_in_loop(talk)
        self.assertEqual(self.counts(), (0, 1))
        [line] = self.lines()
        self.assertEqual((line.level, line.values["status"]), ("INFO", 200))
        self.assertEqual(line.values["reason"], "the client went away")
        self.assertGreater(line.values["time_ms"], 0)

    def test_one_that_the_service_ends(self) -> None:
        async def talk() -> None:
            stream = await EventStream.open(self.get_http_port(), **bearer(READER))
            await self.service.stop_following()
            while await stream.block() is not None:
                pass
            await until(self.lines, "the line")
            await stream.close()

        self.run_in_loop(talk)
        self.assertEqual(self.counts(), (0, 1))
        self.assertNotIn("reason", self.lines()[0].values)

    def test_one_that_fails(self) -> None:
        async def broken(since: int | None) -> AsyncGenerator[list[Any], None]:
            yield []
            raise StoreError("gone")

        with mock.patch.object(self.service, "follow_changes", broken):
            self.see_cut(request("GET", "/changes", Accept="text/event-stream", **bearer(READER)))
        self.assertEqual(self.counts(), (0, 1))
        [line] = self.lines()
        self.assertEqual((line.level, line.values["reason"]), ("ERROR", "cut: gone"))

    def test_one_that_is_cancelled(self) -> None:
        """By others than its client: it is cut, and the client is not blamed."""
        async def cancel() -> None:
            gauge = "taskservice_event_streams"
            metrics = self._app.dependencies.metrics
            await until(lambda: total(samples(metrics.render().decode())[gauge]) == 1, "the stream")
            [task] = [task for task in asyncio.all_tasks() if "_execute" in repr(task.get_coro())]
            task.cancel()

        self.see_cut(request("GET", "/changes", Accept="text/event-stream", **bearer(READER)), cancel)
        self.assertEqual(self.counts(), (0, 1))
        self.assertEqual(self.lines()[0].values["reason"], "cut: it was cancelled")

    def test_those_that_are_refused_and_that_end_at_once_are_requests(self) -> None:
        accept = {"Accept": "text/event-stream"}
        for fields, status in (({}, 401), ({**bearer(READER), "Last_Event_ID": "x"}, 400),
                               ({**bearer(READER), "Last_Event_ID": str(2 ** 62)}, 410)):
            self.assertEqual(self.ask("GET", "/changes", None, **accept, **fields).code, status)
        self.assertEqual(self.ask("HEAD", "/changes", None, **accept, **bearer(READER)).code, 200)
        self.assertEqual(self.ask("GET", "/changes", **bearer(READER)).code, 200)
        self.assertEqual(self.counts(), (5, 0))


class RefusedTest(AccountsCase):
    """What the connection refuses, which the application does not see."""

    http = {"max_header": 1_000, "max_body": 100, "header_timeout": 0.2, "body_timeout": 0.2}

    def test_it_is_reported_and_counted(self) -> None:
        for status, data in (
                (400, b"nonsense\r\n\r\n"), (400, request("GET", "/tasks") + b"nonsense\r\n\r\n"),
                (431, request("GET", "/tasks", X="x" * 1_000)), (408, b"GET / HT"),
                (408, request("POST", "/tasks", b"", 10)),
                (400, b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n")):
            with self.subTest(data[:40]):
                answer = self.send(data).rpartition(b"HTTP/1.1 ")[2].decode()
                line = self.lines()[-1]
                self.assertEqual(
                    (line.level, line.values["status"], line.values["ip"]), ("WARNING", status, "127.0.0.1"))
                self.assertTrue(answer.startswith(str(status)))
                self.assertIn(f"\r\nX-Request-Id: {line.values['req_id']}\r\n", answer)
                for field in ("Server: taskservice", "X-Content-Type-Options: nosniff",
                              "Cache-Control: private, no-cache", "Connection: close"):
                    self.assertIn(f"\r\n{field}\r\n", answer)
                self.assertNotIn("Retry-After", answer)
                facts = json.loads(answer.partition("\r\n\r\n")[2])
                self.assertEqual((facts["message"], facts["req_id"]), (line.values["reason"], line.values["req_id"]))
                self.assertEqual((facts["method"], facts["uri"]), (line.values["method"], line.values["uri"]))

    def test_its_time_is_that_from_its_head(self) -> None:
        self.send(b"GET / HT")
        self.assertNotIn("time_ms", self.lines()[-1].values)
        self.send(request("POST", "/tasks", b"", 10))
        self.assertGreaterEqual(self.lines()[-1].values["time_ms"], 190)
        found = samples(self._app.dependencies.metrics.render().decode())
        seconds = total(found[REQUESTS.replace("count", "sum")], route="refused", method="POST", status="408")
        self.assertGreaterEqual(seconds, 0.19)

    def test_it_comes_as_a_problem_where_that_is_named(self) -> None:
        for accept, kind, phrase in (
                ("*/*", "application/json; charset=UTF-8", None), (PROBLEM, PROBLEM, "Request Timeout")):
            head, _, body = self.send(request("POST", "/tasks", b"", 10, Accept=accept)).partition(b"\r\n\r\n")
            self.assertIn(f"\r\nContent-Type: {kind}\r\n", head.decode())
            self.assertEqual(json.loads(body).get("title"), phrase)

    def test_a_handler_that_cannot_be_made(self) -> None:
        with mock.patch.object(BaseRequestHandler, "initialize", side_effect=RuntimeError("a bug")):
            self.assertIn(b" 500 ", self.send(request("GET", "/tasks")))
        [line] = self.lines()
        self.assertEqual((line.level, line.values["status"]), ("ERROR", 500))

    def gone_wrong(self) -> list[str]:
        return [said for said in super().gone_wrong() if said != "Uncaught exception"]


class FailedWriteTest(AccountsCase):
    """A write that goes nowhere, where nothing else says that nobody reads any more."""

    def test_a_list_is_read_no_further(self) -> None:
        self.create()
        pages = []
        flush = TodoListRequestHandler.flush

        async def many(query: TaskQuery) -> AsyncGenerator[TaskPage, None]:
            page = await anext(self.service.read_page(query))
            for number in range(3):
                pages.append(number)
                yield replace(page, end=("a", "a"))

        def cut(handler: Any, include_footers: bool = False) -> Any:
            handler.request.connection.cut()
            return flush(handler, include_footers)

        async def talk() -> Line:
            _, writer = await self.connect(request("GET", "/tasks"))
            line = await self.line("RESPONSE", 2)
            writer.close()
            return line

        with (mock.patch.object(self.service, "list_tasks", many),
              mock.patch.object(TodoListRequestHandler, "flush", cut)):
            line = self.run_in_loop(talk)
        self.assertEqual(pages, [0])
        self.assertEqual(line.values["reason"], "the client went away")


class LateTest(AccountsCase):
    """What comes after `answer-timeout` is another event, and no request."""

    http = {"answer_timeout": 0.1}

    def late(self, method: str = "POST", path: str = "/tasks", body: bytes = TASK, /,
             kind: type[BaseRequestHandler] = TodoListRequestHandler, half_closed: bool = False,
             ) -> tuple[bytes, Line]:
        """Ask, let a write end after the answer, and return the answer and the line of the late end."""
        before, late = len(self.lines()), len(self.lines("LATE RESPONSE"))

        async def talk() -> tuple[bytes, Line]:
            with held(method.lower(), kind) as waiting:
                reader, writer = await self.connect(request(method, path, body))
                if half_closed:
                    writer.write_eof()
                answer = await reader.read()
                writer.close()
                [line] = self.lines()[before:]
                self.assertEqual((line.level, line.values["status"]), ("ERROR", 503))
                self.assertGreaterEqual(line.values["time_ms"], 90)
                if body or method == "DELETE":
                    self.assertEqual(self._app.dependencies.metrics.in_flight, 1, "it is worked on")
                    waiting.gate.set()
                return answer, await self.line("LATE RESPONSE", late + 1)

        answer, line = self.run_in_loop(talk)
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n"))
        self.assertIn(b"\r\nRetry-After: 1\r\n", answer)
        self.assertIn(f"\r\nX-Request-Id: {line.values['req_id']}\r\n".encode(), answer)
        self.assertEqual(line.values["req_id"], self.lines()[before].values["req_id"])
        return answer, line

    def test_a_read_is_cancelled(self) -> None:
        for method, half_closed in (("GET", False), ("HEAD", False), ("GET", True)):
            with self.subTest(method, half_closed=half_closed):
                answer, line = self.late(
                    method, "/healthz", b"", kind=HealthRequestHandler, half_closed=half_closed)
                self.assertEqual((line.level, line.values["status"]), ("WARNING", 499))
                self.assertEqual(line.values["reason"], "cancelled: it was answered already")
                self.assertEqual(b'"message": "The answer took too long"' in answer, method == "GET")

    def test_a_write_may_still_take_place(self) -> None:
        for method, path, status, kind, advice in (
                ("POST", "/tasks", 201, TodoListRequestHandler, b"send it again with the same Idempotency-Key"),
                ("PUT", "/tasks/a", 204, TodoListEntryRequestHandler, b"read the task"),
                ("PATCH", "/tasks/a", 204, TodoListEntryRequestHandler, b"read the task"),
                ("DELETE", "/tasks/a", 204, TodoListEntryRequestHandler, b"read the task")):
            with self.subTest(method):
                if method == "PUT":
                    self.ask("PUT", "/tasks/a", TASK, If_None_Match="*")
                body = b"" if method == "DELETE" else TASK
                answer, line = self.late(method, path, body, kind=kind)
                self.assertEqual((line.level, line.values["status"]), ("WARNING", status))
                self.assertEqual(line.values["rev"], self.io_loop.run_sync(self.service.revision))
                self.assertIn(b'"message": "The answer took too long, and the write may still take place: '
                              b'to find out, ' + advice + b'"', answer)

    def test_one_that_fails(self) -> None:
        with mock.patch.object(TodoListRequestHandler, "post", side_effect=RuntimeError("a bug")):
            _, line = self.late()
        self.assertEqual((line.level, line.values["status"]), ("ERROR", 500))
        self.assertIn("a bug", line.values["trace"])


class DrainTest(AccountsCase):
    """What is not at its end at `drain-timeout`."""

    def cut(self, path: str) -> Line:
        """Ask, let the service cut it, and return the line."""
        async def talk() -> Line:
            with held() as waiting:
                reader, writer = await self.connect(request("GET", path))
                await until(lambda: waiting.handlers, "the request")
                await self.break_off()
                self.assertEqual(await reader.read(), b"")
                writer.close()
                waiting.gate.set()
                return await self.line("RESPONSE", 1)

        line: Line = self.run_in_loop(talk)
        return line

    def test_before_its_answer(self) -> None:
        line = self.cut("/healthz")
        self.assertEqual((line.level, line.values["status"]), ("ERROR", 503))
        self.assertEqual(line.values["reason"], "cut: not at its end in drain-timeout")

    def test_in_the_middle_of_an_answer_that_nobody_takes(self) -> None:
        lines = b'{"title": "%b"}\n' % (b"x" * 10_000) * 1_000
        for _ in range(3):  # more than the kernel takes for a client that reads nothing
            self.assertEqual(self.ask("POST", "/tasks", lines, Content_Type=NDJSON).code, 200)

        async def talk() -> Line:
            reader, writer = await self.connect(request("GET", "/tasks"))
            await reader.readuntil(b"\r\n\r\n")
            await self.break_off()
            writer.close()
            return await self.line("RESPONSE", 4)

        line = self.run_in_loop(talk)
        self.assertEqual((line.level, line.values["status"]), ("INFO", 200))
        self.assertEqual(line.values["reason"], "cut: not at its end in drain-timeout")

    def test_an_event_stream(self) -> None:
        async def talk() -> Line:
            stream = await EventStream.open(self.get_http_port())
            await self.break_off()
            line = await self.line("RESPONSE", 1)
            await stream.close()
            return line

        line = self.run_in_loop(talk)
        self.assertEqual((line.level, line.values["status"]), ("INFO", 200))
        self.assertEqual(line.values["reason"], "cut: not at its end in drain-timeout")

    def test_an_error_after_it_is_not_the_reason(self) -> None:
        self.create()

        async def broken(query: TaskQuery) -> AsyncGenerator[TaskPage, None]:
            yield replace(await anext(self.service.read_page(query)), end=("a", "a"))
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            raise StoreError("gone")

        async def talk() -> Line:
            reader, writer = await self.connect(request("GET", "/tasks"))
            await reader.readuntil(b"\r\n\r\n")
            await self.break_off()
            writer.close()
            return await self.line("RESPONSE", 2)

        with mock.patch.object(self.service, "list_tasks", broken):
            line = self.run_in_loop(talk)
        self.assertEqual((line.level, line.values["status"]), ("ERROR", 200))
        self.assertEqual(line.values["reason"], "cut: not at its end in drain-timeout")
        self.assertIn("StoreError: gone", line.values["trace"])

    async def break_off(self) -> None:
        """Stop as the service does, when time is up."""
        server: Any = self.http_server
        self.assertFalse(await server.drain(0.05))
        await server.close_all_connections()


del AccountsCase

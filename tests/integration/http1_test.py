"""The HTTP/1.1 server, spoken to in raw bytes: requests, answers, and what is between them."""

import asyncio
from contextvars import ContextVar

from tornado import httputil
from tornado.web import RequestHandler

from tests.helpers.http1 import ServerTestCase, echoed, on_uvloop_too
from tests.helpers.raw import answers

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


@on_uvloop_too
class RequestTest(ServerTestCase):
    """What the application is given."""

    async def test_method_target_fields_and_peer_reach_the_application(self) -> None:
        [answer] = await self.ask(
            b"PUT /a%20b?c=d HTTP/1.1\r\nHost: example.org:80\r\nX-A: 1\r\nx-a:\t2 \t\r\n"
            b"Connection: close\r\nContent-Length: 3\r\n\r\nabc")
        said = echoed(answer)
        self.assertEqual(
            [said[key] for key in ("method", "uri", "host", "body", "ip", "protocol")],
            ["PUT", "/a%20b?c=d", "example.org:80", "abc", "127.0.0.1", "http"])
        self.assertEqual(said["headers"]["X-A"], "1,2")

    async def test_absolute_form_takes_the_place_of_host(self) -> None:
        for target, uri, host in (
                (b"http://a.example/x?y", "/x?y", "a.example"), (b"HTTP://a:1", "/", "a:1"),
                (b"http://a?y", "/?y", "a"), (b"https://[::1]:2/", "/", "[::1]:2")):
            with self.subTest(target):
                [answer] = await self.ask(
                    b"GET %b HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n" % target)
                said = echoed(answer)
                self.assertEqual((said["uri"], said["host"]), (uri, host))
                self.assertEqual(said["headers"]["Host"], host)

    async def test_methods_that_the_parser_does_not_know_are_for_the_application(self) -> None:
        for method in (b"FOO", b"DESCRIBE", b"QUERY", b"VERSION-CONTROL"):
            with self.subTest(method):
                data = await self.talk(
                    method + b" / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
                    b"Connection: close\r\n\r\nx")
                [answer] = answers(data, ["GET"])
                self.assertEqual(answer.status, 200 if method == b"QUERY" else 405)

    async def test_a_head_may_come_byte_by_byte(self) -> None:
        client = await self.connect()
        for byte in b"\r\n" + LAST:
            await client.send(bytes([byte]))
            await asyncio.sleep(0)
        self.assertEqual(echoed(answers(await client.rest(), ["GET"])[0])["uri"], "/last")

    async def test_empty_lines_before_a_request_are_passed_over(self) -> None:
        self.assertEqual(
            [answer.status for answer in await self.ask(b"\r\n\r\n" + GET + b"\r\n" + LAST)],
            [200, 200])

    async def test_an_offer_to_upgrade_is_passed_over_and_the_body_kept(self) -> None:
        for body, framing in ((b"abc", b"Content-Length: 3"),
                              (b"3\r\nabc\r\n0\r\n\r\n", b"Transfer-Encoding: chunked")):
            with self.subTest(framing):
                first, _ = await self.ask(
                    b"POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
                    + framing + b"\r\n\r\n" + body + LAST)
                self.assertEqual(echoed(first)["body"], "abc")

    async def test_chunks_are_joined_and_extensions_and_trailers_dropped(self) -> None:
        body = b"3;a=b\r\nabc\r\nB;x=\"y\"\r\n\r\n\r\n0\r\n\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n"
        head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        whole = head + body + LAST
        for split in range(len(head), len(head + body) + 5):
            data = await self.talk(whole[:split], whole[split:])
            first, last = answers(data, ["POST", "GET"])
            self.assertEqual(echoed(first)["body"], "abc\r\n\r\n0\r\n\r\nde", split)
            self.assertNotIn("X-Trailer", echoed(first)["headers"])
            self.assertEqual(echoed(last)["uri"], "/last")

    async def test_a_body_may_come_in_pieces_to_who_takes_it_so(self) -> None:
        client = await self.connect()
        await client.send(b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
        await self.until(lambda: self.app.asked == ["/upload"])
        await client.send(b"def" + LAST)
        self.app.may_answer.set()
        self.assertEqual((await client.answer()).body, b"6")
        self.assertEqual(echoed(await client.answer())["uri"], "/last")


@on_uvloop_too
class AnswerTest(ServerTestCase):
    """What goes back."""

    async def test_a_connection_serves_many_requests(self) -> None:
        client = await self.connect()
        for number in range(5):
            await client.send(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number)
            self.assertEqual(echoed(await client.answer())["uri"], f"/{number}")

    async def test_who_stays_connected(self) -> None:
        for version, fields, sent in (
                (b"1.1", b"", None), (b"1.1", b"Connection: close\r\n", "close"),
                (b"1.1", b"Connection: a, Close\r\n", "close"), (b"1.0", b"", "close"),
                (b"1.1", b"Connection: keep-alive\r\n", None),
                (b"1.0", b"Connection: keep-alive\r\n", "Keep-Alive"),
                (b"1.0", b"Connection: Keep-Alive\r\nHost: h\r\n", "Keep-Alive")):
            with self.subTest(version=version, fields=fields):
                host = b"Host: h\r\n" if version == b"1.1" else b""
                client = await self.connect()
                await client.send(b"GET / HTTP/" + version + b"\r\n" + host + fields + b"\r\n")
                answer = await client.answer()
                self.assertEqual(answer.headers["Connection"], sent)
                if sent == "close":
                    self.assertEqual(await client.rest(), b"")
                else:
                    await client.send(LAST)
                    self.assertEqual((await client.answer()).status, 200)

    async def test_the_application_may_close(self) -> None:
        client = await self.connect()
        await client.send(b"GET /liar/close HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertEqual((await client.answer()).headers.get_all("Connection"), ["close"])
        self.assertEqual(await client.rest(), b"")

    async def test_the_application_may_not_keep_a_connection_that_closes(self) -> None:
        [answer] = await self.ask(
            b"GET /liar/keep HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        self.assertEqual(answer.headers.get_all("Connection"), ["close"])

    async def test_the_application_does_not_choose_the_transfer_coding(self) -> None:
        data = await self.talk(b"GET /liar/gzip HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        [answer] = answers(data, ["GET"])
        self.assertEqual(answer.headers.get_all("Transfer-Encoding"), ["chunked"])
        self.assertEqual(answer.body, b"xxx")

    async def test_the_application_cannot_switch_protocols(self) -> None:
        [answer] = await self.ask(b"GET /liar/101 HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertEqual((answer.status, answer.headers["Connection"]), (501, "close"))
        self.assertIn(b"switches to no other protocol", answer.body)

    async def test_a_reason_that_is_too_long_gives_way(self) -> None:
        data = await self.talk(b"GET /liar/reason HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        self.assertTrue(data.startswith(b"HTTP/1.1 404 Not Found\r\n"), data)

    async def test_a_length_that_is_no_number_does_not_go_out(self) -> None:
        for length in ("+3", "0_3", "3,3", "3.0", "-3", "three"):
            with self.subTest(length):
                self.server.delegate = Answering(httputil.HTTPHeaders({"Content-Length": length}))
                [answer] = answers(await self.talk(LAST), ["GET"])
                self.assertEqual(answer.status, 500)
                self.assertEqual(len(self.records), 1)
                self.records.clear()

    async def test_pipelined_requests_are_answered_in_order_one_at_a_time(self) -> None:
        client = await self.connect()
        paths = [b"/wait", b"/2", b"/stream/2/3", b"/4"]
        await client.send(b"".join(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % path for path in paths))
        await self.until(lambda: bool(self.app.asked))
        await asyncio.sleep(0.02)
        self.assertEqual(self.app.asked, ["/wait"])
        self.app.may_answer.set()
        bodies = [await client.answer() for _ in paths]
        self.assertEqual(
            [echoed(bodies[0])["uri"], echoed(bodies[1])["uri"], bodies[2].body,
             echoed(bodies[3])["uri"]],
            ["/wait", "/2", b"xxxxxx", "/4"])

    async def test_a_pipelined_request_does_not_see_context_variables_of_the_one_before(self) -> None:
        number = ContextVar("number", default=0)

        class Counting(RequestHandler):
            """Counts how often it is called in a context."""

            def get(self, size: str) -> None:
                number.set(number.get() + 1)
                self.write(str(number.get()) * int(size))

        self.app.add_handlers(".*", [("/count/(.*)", Counting)])
        for size in (1, 3_000_000):  # the client takes the second more slowly than it is written
            counted = await self.ask(b"GET /count/%d HTTP/1.1\r\nHost: h\r\n\r\n" % size * 3 + LAST)
            self.assertEqual([answer.body == b"1" * size for answer in counted[:3]], [True] * 3)

    async def test_what_has_no_body_has_none(self) -> None:
        for request, length in (
                (b"HEAD / HTTP/1.1", True), (b"HEAD /stream/3/3 HTTP/1.1", False),
                (b"GET /liar/204 HTTP/1.1", False), (b"GET /liar/304 HTTP/1.1", False)):
            with self.subTest(request):
                data = await self.talk(request + b"\r\nHost: h\r\n\r\n" + LAST)
                head, _, rest = data.partition(b"\r\n\r\n")
                self.assertTrue(rest.startswith(b"HTTP/1.1 200 OK\r\n"), rest)
                self.assertEqual(b"Content-Length" in head, length)
                self.assertNotIn(b"Transfer-Encoding", head)

    async def test_an_answer_of_unknown_length_is_chunked_or_ends_with_the_connection(self) -> None:
        request = b"GET /stream/2/3 HTTP/1.%d\r\nHost: h\r\nConnection: %b\r\n\r\n"
        data = await self.talk(request % (1, b"close"))
        self.assertTrue(data.endswith(b"\r\n\r\n3\r\nxxx\r\n3\r\nxxx\r\n0\r\n\r\n"), data)
        data = await self.talk(request % (0, b"keep-alive"))
        self.assertTrue(data.endswith(b"Connection: close\r\n\r\nxxxxxx"), data)
        self.assertNotIn(b"Transfer-Encoding", data)

    async def test_every_answer_has_one_date(self) -> None:
        for request in (LAST, b"BROKEN\r\n\r\n"):
            data = await self.talk(request)
            self.assertEqual(data.count(b"\r\nDate: "), 1)

    async def test_a_lie_about_the_length_is_cut(self) -> None:
        for lie in (b"short", b"long"):
            with self.subTest(lie):
                client = await self.connect()
                await client.send(b"GET /liar/%b HTTP/1.1\r\nHost: h\r\n\r\n" % lie)
                with self.assertRaises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await client.answer()
                    await client.answer()

    async def test_what_has_no_head_is_no_answer(self) -> None:
        for body in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"):
            with self.subTest(body):
                self.server.delegate = headless = Headless(body)
                client = await self.connect()
                await client.send(GET + GET)
                with self.assertRaises(ConnectionResetError):
                    await client.rest()
                if not body:
                    self.assertEqual(str(headless.error), "Tried to write no head")

    async def test_a_line_end_in_a_field_does_not_go_out(self) -> None:
        client = await self.connect()
        await client.send(b"GET /liar/split HTTP/1.1\r\nHost: h\r\n\r\n")
        with self.assertRaises((ConnectionResetError, asyncio.IncompleteReadError)):
            await client.answer()

    async def test_a_cut_answer_does_not_pass_for_whole(self) -> None:
        for version in (0, 1):
            with self.subTest(version):
                client = await self.connect()
                await client.send(b"GET /stream/2/3/cut HTTP/1.%d\r\nHost: h\r\n\r\n" % version)
                with self.assertRaises(ConnectionResetError):
                    await client.rest()


class Raising(httputil.HTTPMessageDelegate):
    """Raises in one of its methods."""

    def __init__(self, where: str, error: Exception) -> None:
        self.where = where
        self.error = error
        self.closed = 0

    def raise_in(self, where: str) -> None:
        """Raise if it is here."""
        if where == self.where:
            raise self.error

    def headers_received(self, start_line: object, headers: object) -> None:
        self.raise_in("headers_received")

    async def data_received(self, chunk: bytes) -> None:
        self.raise_in("data_received")

    def finish(self) -> None:
        self.raise_in("finish")

    def on_connection_close(self) -> None:
        self.closed += 1
        self.raise_in("on_connection_close")


@on_uvloop_too
class RaisingTest(ServerTestCase):
    """An application that breaks."""

    async def test_each_is_answered_and_reported(self) -> None:
        request = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
        for where in ("start_request", "headers_received", "data_received", "finish"):
            for error, status in ((RuntimeError("planted"), 500),
                                  (httputil.HTTPInputError("planted"), 400)):
                with self.subTest(where=where, status=status):
                    self.records.clear()
                    delegate = Raising(where, error)
                    self.server.delegate = Starting(delegate)
                    [answer] = answers(await self.talk(request), ["POST"])
                    self.assertEqual(answer.status, status)
                    self.assertEqual(len(self.records), int(status == 500))
                    self.assertEqual(
                        delegate.closed, int(where in ("headers_received", "data_received")))

    async def test_one_that_breaks_when_its_connection_is_lost(self) -> None:
        self.server.delegate = Starting(Raising("on_connection_close", RuntimeError("planted")))
        client = await self.connect()
        await client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na")
        await asyncio.sleep(0.01)
        client.writer.transport.abort()
        await self.until(lambda: bool(self.records))
        [record] = self.records
        self.assertEqual((record.name, record.getMessage()), ("tornado.application", "Uncaught exception"))
        self.assertIn("planted", str(record.exc_info))
        await self.until(lambda: not self.server.connections)


class Answering(httputil.HTTPServerConnectionDelegate, httputil.HTTPMessageDelegate):
    """Answers each request with these fields and a body of three bytes."""

    connection: httputil.HTTPConnection

    def __init__(self, fields: httputil.HTTPHeaders) -> None:
        self.fields = fields

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        self.connection = request_conn
        return self

    def finish(self) -> None:
        start_line = httputil.ResponseStartLine("", 200, "OK")
        self.connection.write_headers(start_line, self.fields, b"abc")
        self.connection.finish()

    def on_close(self, server_conn: object) -> None:
        pass


class Headless(Answering):
    """Sends a body without a head, or not even that."""

    def __init__(self, body: bytes) -> None:
        super().__init__(httputil.HTTPHeaders())
        self.body = body
        self.error: Exception | None = None

    def finish(self) -> None:
        if self.body:
            self.connection.write(self.body)
        try:
            self.connection.finish()
        except httputil.HTTPOutputError as error:
            self.error = error


class Starting(httputil.HTTPServerConnectionDelegate):
    """Hands each request to the same delegate."""

    def __init__(self, delegate: Raising) -> None:
        self.delegate = delegate

    def start_request(self, server_conn: object, request_conn: object) -> Raising:
        self.delegate.raise_in("start_request")
        return self.delegate

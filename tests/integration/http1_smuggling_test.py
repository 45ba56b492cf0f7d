"""Requests in which two parties could see different things: refused, and the connection closed."""

import asyncio

from taskservice.http1.server import HTTP1Server, Refusal
from tests.helpers.http1 import ServerTestCase, on_uvloop_too
from tests.helpers.raw import answers
from tests.helpers.malformed import CHUNKED, H, NOT_IMPLEMENTED, REFUSED, SMUGGLED, UNSUPPORTED


@on_uvloop_too
class SmugglingTest(ServerTestCase):
    """Each is answered once, with what follows it unseen."""

    async def refused(self, request: bytes, status: int) -> None:
        """Send a request and another; fail unless the first is refused and the second unseen."""
        self.app.asked.clear()
        client = await self.connect()
        await client.send(request + SMUGGLED)
        [answer] = answers(await client.rest(), ["GET"])
        self.assertEqual((answer.status, answer.headers["Connection"]), (status, "close"))
        self.assertEqual(self.app.asked, [])
        await client.close()

    async def test_what_is_ambiguous_is_refused(self) -> None:
        for name, request in REFUSED.items():
            with self.subTest(name):
                await self.refused(request, 400)

    async def test_codings_that_are_not_known_are_not_implemented(self) -> None:
        for name, request in NOT_IMPLEMENTED.items():
            with self.subTest(name):
                await self.refused(request, 501)

    async def test_what_comes_in_pieces_is_refused_as_well(self) -> None:
        for name, request in REFUSED.items():
            with self.subTest(name):
                client = await self.connect()
                try:
                    for at in range(0, len(request), 7):
                        await client.send(request[at:at + 7])
                        await asyncio.sleep(0)
                    client.writer.write_eof()
                    data = await client.rest()
                except OSError:
                    continue  # it was refused before all of it was sent
                self.assertTrue(data.startswith(b"HTTP/1.1 400 "), data)
                self.assertNotIn("/smuggled", self.app.asked)

    async def test_a_fault_is_answered_before_more_comes(self) -> None:
        """Else whoever sends it would wait for a timeout."""
        for request in (
                b"GET / HTTP/1.1\n", H + b"A: b\n", H + b"\n", b"GET /\0", b"\x16\x03\x01",
                CHUNKED + b"3\n", CHUNKED + b"3;a\n", CHUNKED + b"3\r\nabc\n",
                CHUNKED + b"0\r\nA: b\n", CHUNKED + b"0\r\n\n", CHUNKED + b"0\r\n\r\r"):
            with self.subTest(request):
                client = await self.connect()
                await client.send(request)
                [answer] = answers(await client.rest(), ["GET"])
                self.assertEqual(answer.status, 400)

    async def test_other_versions_are_refused(self) -> None:
        for name, request in UNSUPPORTED.items():
            with self.subTest(name):
                await self.refused(request, 400)

    async def test_an_answer_under_way_comes_before_the_refusal(self) -> None:
        client = await self.connect()
        await client.send(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n" + b"BROKEN\r\n\r\n" + SMUGGLED)
        await self.until(lambda: bool(self.app.asked))
        await asyncio.sleep(0.02)
        self.app.may_answer.set()
        found = answers(await client.rest(), ["GET", "GET"])
        self.assertEqual([answer.status for answer in found], [200, 400])
        self.assertEqual(self.app.asked, ["/wait"])


class RefusalTest(ServerTestCase):
    """How a refusal looks is for the service to say."""

    def make_server(self) -> HTTP1Server:
        self.refusals: list[Refusal] = []

        def refuse(refusal: Refusal) -> tuple[dict[str, str], bytes]:
            self.refusals.append(refusal)
            if refusal.uri == "/hook-fails":
                raise RuntimeError("planted")
            return {"X-Refused": str(refusal.status)}, b"refused"

        return HTTP1Server(self.app, refuse=refuse)

    async def test_it_knows_what_it_can(self) -> None:
        [answer] = answers(await self.talk(b"PUT /a HTTP/1.1\r\nBad\r\n\r\n"), ["PUT"])
        self.assertEqual((answer.headers["X-Refused"], answer.body), ("400", b"refused"))
        [refusal] = self.refusals
        self.assertEqual(
            (refusal.status, refusal.method, refusal.uri, refusal.remote_ip, refusal.headers),
            (400, "PUT", "/a", "127.0.0.1", None))
        await self.talk(b"PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\n")
        refusal = self.refusals[1]
        assert refusal.headers is not None
        self.assertEqual((refusal.status, refusal.headers["Host"]), (413, "h"))
        await self.talk(b"\x80\x80\r\n\r\n")
        self.assertEqual((self.refusals[2].method, self.refusals[2].uri), (None, None))

    async def test_head_gets_no_body(self) -> None:
        data = await self.talk(b"HEAD / HTTP/1.1\r\nBad\r\n\r\n")
        self.assertTrue(data.endswith(b"\r\n\r\n"), data)

    async def test_one_that_fails_is_made_up_for(self) -> None:
        [answer] = answers(await self.talk(b"GET /hook-fails HTTP/1.1\r\n\r\n"), ["GET"])
        self.assertEqual((answer.status, answer.body), (400, b"No Host\n"))
        self.assertEqual(len(self.records), 1)

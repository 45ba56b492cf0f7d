"""Requests in which two parties could see different things: refused, and the connection closed."""

import asyncio

from taskservice.http1.server import HTTP1Server, Refusal
from tests.integration.http1_harness import ServerTestCase, answers, on_uvloop_too

H = b"GET / HTTP/1.1\r\nHost: h\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

REFUSED = {
    # RFC 9112 §6.1, §6.3: what says how long the body is
    "two lengths": H + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "the same length twice": H + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": H + b"Content-Length: 3, 3\r\n\r\nabc",
    "a length with a sign": H + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": H + b"Content-Length: -3\r\n\r\nabc",
    "a hexadecimal length": H + b"Content-Length: 0x3\r\n\r\nabc",
    "a length with a space in it": H + b"Content-Length: 3 0\r\n\r\nabc",
    "a length with an underscore": H + b"Content-Length: 1_0\r\n\r\nabc",
    "an empty length": H + b"Content-Length:\r\n\r\nabc",
    "a length beyond 64 bits": H + b"Content-Length: 18446744073709551619\r\n\r\nabc",
    "a length of very many digits": H + b"Content-Length: " + b"0" * 5000 + b"3\r\n\r\nabc",
    "a length of 20 digits": H + b"Content-Length: 00000000000000000003\r\n\r\nabc",
    "a length in other digits": H + "Content-Length: ³\r\n\r\nabc".encode("latin-1"),
    "length and coding": H + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding and length": H + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "an unknown coding": H + b"Transfer-Encoding: gzip\r\n\r\nabc",
    "identity": H + b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc",
    "a coding after chunked": H + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": H + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked, twice, after another coding":
        H + b"Transfer-Encoding: gzip, chunked, chunked\r\n\r\n0\r\n\r\n",
    "a coding after chunked in another field":
        H + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    "chunked with a parameter": H + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
    "two words before chunked": H + b"Transfer-Encoding: a b, chunked\r\n\r\n0\r\n\r\n",
    "nothing before chunked": H + b"Transfer-Encoding: , chunked\r\n\r\n0\r\n\r\n",
    "nothing after chunked": H + b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n",
    "a length and a coding before chunked":
        H + b"Content-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding before chunked in 1.0":
        b"GET / HTTP/1.0\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked in two fields": H + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "something like chunked": H + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a quoted chunked": H + b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "chunked after a tab": H + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "an empty coding": H + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "a coding in 1.0": b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # RFC 9112 §7.1: chunks
    "a chunk size with 0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a sign": CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "an empty chunk size": CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a space": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "a chunk size with an underscore": CHUNKED + b"1_0\r\nabc\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "a chunk ended by LF": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "chunk data without its CRLF": CHUNKED + b"3\r\nabc0\r\n\r\n",
    "chunk data ended by LF": CHUNKED + b"3\r\nabc\n0\r\n\r\n",
    "chunk data ended by two other bytes": CHUNKED + b"3\r\nabcXX0\r\n\r\n",
    "an extension with LF in it": CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "an extension with CR in it": CHUNKED + b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "a body ended by LFs": CHUNKED + b"3\r\nabc\r\n0\n\n",
    "a trailer ended by LF": CHUNKED + b"0\r\nA: b\n\r\n",
    "a trailer with a space before the colon": CHUNKED + b"0\r\nA : b\r\n\r\n",
    "a folded trailer": CHUNKED + b"0\r\nA: b\r\n c\r\n\r\n",
    # RFC 9112 §2.2, §5: lines and fields
    "lines ended by LF": b"GET / HTTP/1.1\nHost: h\n\n",
    "a request line ended by LF": b"GET / HTTP/1.1\nHost: h\r\n\r\n",
    "a request line ended by CR": b"GET / HTTP/1.1\rHost: h\r\n\r\n",
    "a field ended by LF": H + b"A: b\nContent-Length: 3\r\n\r\nabc",
    "a field ended by CR": H + b"A: b\rContent-Length: 3\r\n\r\nabc",
    "an empty line of LF": H + b"\n" + SMUGGLED,
    "a folded field": H + b"A: b\r\n c\r\n\r\n",
    "a folded field, by a tab": H + b"A: b\r\n\tc\r\n\r\n",
    "a folded first field": b"GET / HTTP/1.1\r\n Host: h\r\n\r\n",
    "a space before the colon": H + b"Content-Length : 3\r\n\r\nabc",
    "a tab before the colon": H + b"A\t: b\r\n\r\n",
    "a space before the name": b"GET / HTTP/1.1\r\n Host: h\r\nA: b\r\n\r\n",
    "no name": H + b": b\r\n\r\n",
    "no colon": H + b"A\r\n\r\n",
    "NUL in a value": H + b"A: b\0c\r\n\r\n",
    "a control byte in a value": H + b"A: b\x01c\r\n\r\n",
    "DEL in a value": H + b"A: b\x7fc\r\n\r\n",
    "NUL in a name": H + b"A\0: b\r\n\r\n",
    "a byte beyond ASCII in a name": H + b"\xc4: b\r\n\r\n",
    "a quote in a name": H + b"\"A\": b\r\n\r\n",
    # RFC 9112 §3.2: host
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": H + b"Host: i\r\n\r\n",
    "the same host twice": H + b"host: h\r\n\r\n",
    "two hosts in 1.0": b"GET / HTTP/1.0\r\nHost: h\r\nHost: i\r\n\r\n",
    "a list of hosts": b"GET / HTTP/1.1\r\nHost: h, i\r\n\r\n",
    "a host with a space": b"GET / HTTP/1.1\r\nHost: h i\r\n\r\n",
    "a host with a path": b"GET / HTTP/1.1\r\nHost: h/i\r\n\r\n",
    "a host with a user": b"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n",
    "a host with two ports": b"GET / HTTP/1.1\r\nHost: h:1:2\r\n\r\n",
    "a host with a port that is none": b"GET / HTTP/1.1\r\nHost: h:1a\r\n\r\n",
    "an open bracket": b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "a host beyond ASCII": b"GET / HTTP/1.1\r\nHost: \xe4\r\n\r\n",
    # RFC 9112 §3: the request line
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
    "a space at the end": b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
    "a tab": b"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "a control byte in the target": b"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n",
    "NUL in the target": b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n",
    "DEL in the target": b"GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n",
    "bytes beyond ASCII in the target that are not UTF-8": b"GET /\xe4 HTTP/1.1\r\nHost: h\r\n\r\n",
    "a surrogate in the target": b"GET /\xed\xa0\x80 HTTP/1.1\r\nHost: h\r\n\r\n",
    "half a character in the target": b"GET /\xc3 HTTP/1.1\r\nHost: h\r\n\r\n",
    "a fragment": b"GET /#a HTTP/1.1\r\nHost: h\r\n\r\n",
    "a fragment after a query": b"GET /?a#b HTTP/1.1\r\nHost: h\r\n\r\n",
    "a relative target": b"GET a HTTP/1.1\r\nHost: h\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\nHost: h\r\n\r\n",
    "an asterisk": b"GET * HTTP/1.1\r\nHost: h\r\n\r\n",
    "another scheme": b"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "an absolute target without host": b"GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n",
    "an absolute target with a user": b"GET http://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "an absolute target beyond ASCII": b"GET http://\xc3\xa4/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "an absolute target with an open bracket": b"GET http://[::1/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "an absolute target and two hosts": b"GET http://h/ HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
    "CONNECT": b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
    "a method that is no token": b"G(T / HTTP/1.1\r\nHost: h\r\n\r\n",
    "a method beyond ASCII": b"G\xc3\x84T / HTTP/1.1\r\nHost: h\r\n\r\n",
    "no method": b" / HTTP/1.1\r\nHost: h\r\n\r\n",
    "a method with a control byte": b"G\x01T / HTTP/1.1\r\nHost: h\r\n\r\n",
    "a very long method": b"A" * 50 + b" / HTTP/1.1\r\nHost: h\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/0.9 and a request": b"GET /\r\n" + SMUGGLED,
    "another protocol": b"GET / RTSP/1.0\r\nHost: h\r\n\r\n",
    "http in lower case": b"GET / http/1.1\r\nHost: h\r\n\r\n",
    "a version that is none": b"GET / HTTP/1\r\nHost: h\r\n\r\n",
    "a version of many digits": b"GET / HTTP/1.10\r\nHost: h\r\n\r\n",
    "CR before the request": b"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "LF before the request": b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "a space before the request": b" GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    # what is no HTTP and never would have an empty line
    "TLS": bytes.fromhex("16030100c8010000c40303") + b"\x00" * 50,
    "noise": b"\xff\xfe\x00\x01" * 20,
    "one LF": b"GET / HTTP/1.1\nHost: h",
    "a line without end": b"A" * 100,
}

NOT_IMPLEMENTED = {
    # RFC 9112 §6.1: well-formed, but not known here
    "a coding before chunked": H + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "codings with parameters before chunked":
        H + b"Transfer-Encoding: a;b=c ; d=\"e, \\\" chunked\" ,\tx , Chunked\r\n\r\n0\r\n\r\n",
    "a coding before chunked in another field":
        H + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a name that chunked begins, before chunked":
        H + b"Transfer-Encoding: chunkedx, chunked\r\n\r\n0\r\n\r\n",
    "identity before chunked": H + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
}

UNSUPPORTED = {
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
    "HTTP/3.0": b"GET / HTTP/3.0\r\nHost: h\r\n\r\n",
    "HTTP/0.9 by name": b"GET / HTTP/0.9\r\nHost: h\r\n\r\n",
}


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

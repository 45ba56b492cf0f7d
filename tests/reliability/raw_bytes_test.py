"""Whatever bytes come, the server answers without a 5xx or closes, goes on serving, and logs it in logfmt.

Requests as they should be are mutated at random. A failure names its case: with TASKSERVICE_SEED and the case's
number the same bytes come again.
"""
import asyncio
import os
import re
import unittest
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from random import Random
from typing import NamedTuple

from tests.helpers.live import live_server
from tests.helpers.logs import parse
from tests.helpers.processes import ServiceProcess
from tests.helpers.timing import FULL
from tests.helpers.timing import at_most

CASES = 20_000 if FULL else 1_000
SEED = os.environ.get("TASKSERVICE_SEED", "1")
PATIENCE = at_most(5)  # seconds within which the connection is answered and closed
QUIET = 0.1  # seconds without a word from the server, after which this side of the connection is closed
AT_ONCE = 32
UNKNOWN_CODING = 501  # of a well-formed Transfer-Encoding: the one answer of 5xx that a client can ask for

STREAM = b"Content-Type: text/event-stream"
STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [^\r\n]*\r\n")

ID = b"01980c7e5d3a7b2c9f4e8a6b1c2d3e4f"
TASK = b'{"title": "Task1", "priority": "high", "due_date": 1767225600}'
LENGTH = b"Content-Length: %d\r\n"


def request(line: bytes, *headers: bytes, body: bytes = b"", sized: bool = True) -> bytes:
    """Return the bytes of a request."""
    fields = [b"Host: localhost", *headers]
    if body and sized:
        fields.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([line, *fields, b"", body])


def chunked(*chunks: bytes) -> bytes:
    """Return a body in chunks (RFC 9112 §7.1)."""
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


GET = request(b"GET /tasks HTTP/1.1")
POST = request(b"POST /tasks HTTP/1.1", b"Content-Type: application/json", body=TASK)

CORPUS = (
    GET,
    request(b"GET /tasks?priority=high&q=task&sort=-title&limit=2 HTTP/1.1", b"Accept: application/x-ndjson"),
    request(b"GET /tasks/%b HTTP/1.1" % ID, b'If-None-Match: W/"1", "2"', b"X-Request-Id: a-b_c.1"),
    request(b"GET /changes?since=0 HTTP/1.1", b"Accept: application/json;q=0.5"),
    request(b"GET /changes HTTP/1.1", b"Accept: text/event-stream", b"Last-Event-ID: 1"),
    request(b"GET /openapi.json HTTP/1.1", b"Accept-Encoding: gzip, br;q=0.5", b"Connection: close"),
    request(b"GET http://localhost/tasks HTTP/1.1"),
    request(b"HEAD /tasks HTTP/1.1"),
    request(b"OPTIONS /tasks HTTP/1.1"),
    request(b"DELETE /tasks/%b HTTP/1.1" % ID, b'If-Match: "1"'),
    POST,
    request(b"POST /tasks HTTP/1.1", b'Idempotency-Key: "k-1"', b"Prefer: return=representation", body=TASK),
    request(b"POST /tasks HTTP/1.1", b"Content-Type: application/x-ndjson", body=TASK + b"\n" + TASK),
    request(b"POST /tasks HTTP/1.1", b"Content-Type: application/x-www-form-urlencoded", body=TASK),
    request(b"POST /tasks HTTP/1.1", b"Content-Type: multipart/form-data; boundary=x",
            body=b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'),
    request(b"POST /tasks HTTP/1.1", b"Expect: 100-continue", body=TASK),
    request(b"POST /tasks HTTP/1.1", b"Transfer-Encoding: chunked", body=chunked(TASK[:7], TASK[7:]), sized=False),
    request(b"PUT /tasks/%b HTTP/1.1" % ID, b"If-Match: *", body=TASK),
    request(b"PATCH /tasks/%b HTTP/1.1" % ID, b"Content-Type: application/merge-patch+json", body=b'{"title": "x"}'),
    b"GET /tasks HTTP/1.0\r\n\r\n",
    b"POST /tasks HTTP/1.0\r\nConnection: keep-alive\r\n" + LENGTH % len(TASK) + b"\r\n" + TASK,
    GET + POST + GET,
)

HEADERS = (
    b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: 5, 5", b"Content-Length: +5", b"Content-Length: -1",
    b"Content-Length: 0x10", b"Content-Length: 99999999999999999999", b"Content-Length: \xb2", b"Content-Length:",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding : chunked",
    b"Host: other", b"Host: a b", b"Host:", b"Expect: 100-continue", b"Expect: 200-ok", b"Connection: upgrade",
    b"Upgrade: h2c", b"Connection: close, keep-alive", b"Content-Encoding: gzip", b"Content-Type: multipart/form-data",
    b"If-Match: \"", b"If-None-Match: W/", b"Accept: ;q=", b"Idempotency-Key: \"\\", b"Prefer: return=\"",
    b"Cookie: a=\"\\012", b"X-Request-Id: \xff\xfe", b"Range: bytes=0-0,-1", b": nothing", b"no colon", b" folded: 1",
    b"X: " + b"x" * 70_000, b"\x00: \x00", b"X-Forwarded-For: ::1", b"Accept-Encoding: gzip;q=2",
)

NUMBERS = (
    b"0", b"-0", b"-1", b"+1", b"1e9", b"1.0", b"0x1", b"1_0", b"00001", b"2147483648", b"9223372036854775807",
    b"9223372036854775808", b"18446744073709551616", b"9" * 40, b"9" * 5_000, "\u0663".encode(), b"NaN", b"Infinity")

NOISE = (b"\r", b"\n", b"\r\n", b"\r\n ", b"\n\t", b"\r\r\n", b"\x00", b"\x0b", b"\x1c", b"\x7f", b"\x85", b"\xff",
         b"\xed\xa0\x80", b"%", b"%00", b"%ff", b"\\ud800", b"\"", b"{", b"[" * 2_000, b";", b",", b":", b" ", b"\t",
         b"..", b"//", b"?", b"#", b"&" * 1_500, b"=", b"\xe2\x80\xa8")

Mutation = Callable[[Random, bytes], bytes]


def place(random: Random, data: bytes) -> int:
    """Return a place in the data, its end included."""
    return random.randint(0, len(data))


def piece(random: Random, data: bytes) -> tuple[int, int]:
    """Return start and end of a piece of the data, mostly a short one."""
    start = place(random, data)
    return start, min(len(data), start + random.choice((1, 1, 2, 4, 8, 32, 256)))


def flip_bits(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8)) if data else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def delete(random: Random, data: bytes) -> bytes:
    start, end = piece(random, data)
    return data[:start] + data[end:]


def duplicate(random: Random, data: bytes) -> bytes:
    start, end = piece(random, data)
    return data[:end] + data[start:end] * random.choice((1, 1, 2, 50)) + data[end:]


def splice(random: Random, data: bytes) -> bytes:
    other = random.choice(CORPUS)
    return data[:place(random, data)] + other[place(random, other):]


def truncate(random: Random, data: bytes) -> bytes:
    return data[:place(random, data)]


def inject_header(random: Random, data: bytes) -> bytes:
    ends = [match.end() for match in re.finditer(rb"\r\n", data)] or [0]
    at = random.choice(ends)
    return data[:at] + random.choice(HEADERS) + random.choice((b"\r\n", b"\r\n", b"\n", b"\r")) + data[at:]


def repeat_line(random: Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    lines.insert(random.randint(0, len(lines)), random.choice(lines))
    return b"\r\n".join(lines)


def break_line(random: Random, data: bytes) -> bytes:
    """Put another line end, or a folded line (RFC 9112 §5.2), in the place of one."""
    ends = [match.start() for match in re.finditer(rb"\r\n", data)]
    if not ends:
        return data
    at = random.choice(ends)
    return data[:at] + random.choice((b"\r", b"\n", b"\n\r", b"", b"\r\n\t", b"\r\n ", b"\r\n\r\n")) + data[at + 2:]


def change_number(random: Random, data: bytes) -> bytes:
    numbers = list(re.finditer(rb"[0-9]+", data))
    if not numbers:
        return data
    number = random.choice(numbers)
    return data[:number.start()] + random.choice(NUMBERS) + data[number.end():]


def insert_noise(random: Random, data: bytes) -> bytes:
    at = place(random, data)
    return data[:at] + random.choice(NOISE) + data[at:]


MUTATIONS: Sequence[Mutation] = (
    flip_bits, delete, duplicate, splice, truncate, inject_header, inject_header, repeat_line, break_line,
    change_number, insert_noise, insert_noise)


class Case(NamedTuple):
    """A mutated stream, and how it is made again."""

    name: str
    data: bytes


def make_case(number: int, seed: str = SEED) -> Case:
    """Make the mutated stream of this number."""
    random = Random(f"{seed}/{number}")
    data = random.choice(CORPUS)
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        data = random.choice(MUTATIONS)(random, data)
    return Case(f"TASKSERVICE_SEED={seed} case {number}", data)


async def exchange(port: int, data: bytes, patience: float = QUIET) -> bytes:
    """Send a stream, close this side of it, and return what came until the other side was closed.

    This side closes once the other says no more, for `patience` seconds at first: Tornado drops what it has to answer
    when it sees the end of what it reads. An event stream is left when it has begun.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = bytearray()
    try:
        writer.write(data)
        with suppress(TimeoutError):
            while await asyncio.wait_for(read_more(reader, answer), QUIET if answer else patience):
                pass
        writer.write_eof()
        while await read_more(reader, answer):
            pass
    except OSError:
        pass  # reset: it was closed with bytes unread
    finally:
        writer.close()
    return bytes(answer)


async def read_more(reader: asyncio.StreamReader, answer: bytearray) -> bool:
    """Read some of the answer; return whether there can be an end of it that is yet to come."""
    answer += (part := await reader.read(65536))
    return part != b"" and STREAM not in answer


async def fault(port: int, data: bytes) -> str | None:
    """Return what is wrong with how a stream is answered."""
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await exchange(port, data)
    except TimeoutError:
        return f"neither answered nor closed within {PATIENCE} s"
    statuses = [int(status) for status in STATUS.findall(answer)]
    if any(status >= 500 and status != UNKNOWN_CODING for status in statuses):
        return f"answered {statuses}: {answer!r}"
    return None if statuses or not answer else f"no HTTP: {answer!r}"


async def faults(port: int, cases: int) -> list[str]:
    """Try the cases, some at once; return what was wrong, with the bytes."""
    found: list[str] = []
    numbers = count()

    async def work() -> None:
        while (number := next(numbers)) < cases and len(found) < 10:
            case = make_case(number)
            if (reason := await fault(port, case.data)) is not None:
                found.append(f"{case.name}: {reason}\nthe bytes: {case.data!r}")

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return found


class RawBytesTest(unittest.TestCase):
    """The tests share a server; the last of them, by name, looks at what the others left."""

    server = "taskservice"
    service: ServiceProcess

    @classmethod
    def setUpClass(cls) -> None:
        cls.service = cls.enterClassContext(
            live_server({"memory": None}, "DEBUG", http={"server": cls.server}))

    def test_1_requests_as_they_should_be_are_answered(self) -> None:
        for data in CORPUS:
            with self.subTest(data):
                answer = asyncio.run(exchange(self.service.port, data, PATIENCE))
                self.assertRegex(answer, rb"HTTP/1\.1 [1-4][0-9]{2} ")

    def test_2_mutated_requests_are_answered_or_the_connection_closes(self) -> None:
        found = asyncio.run(faults(self.service.port, CASES))
        self.assertFalse(found, "\n\n".join(found))

    def test_3_server_lives_and_has_logged_everything_in_logfmt(self) -> None:
        answer = asyncio.run(exchange(self.service.port, GET, PATIENCE))
        self.assertRegex(answer, rb"\AHTTP/1\.1 200 ")
        self.assertEqual(self.service.stop(), 0)
        self.assertEqual(self.service.stderr, [])
        for line in self.service.stdout:
            parse(line)
        self.assertGreater(len(self.service.stdout), len(CORPUS))


class RawBytesTestOnTornado(RawBytesTest):
    """The same on Tornado's own server, which may close without an answer."""

    server = "tornado"


class MutationTest(unittest.TestCase):

    def test_each_mutation_changes_something_and_takes_anything(self) -> None:
        for mutation in MUTATIONS:
            with self.subTest(mutation.__name__):
                changed = [mutation(Random(number), POST) for number in range(20)]
                self.assertGreater(len(set(changed) - {POST}), 5)
                self.assertIsInstance(mutation(Random(0), b""), bytes)

    def test_case_comes_again_as_it_was(self) -> None:
        self.assertEqual(make_case(7), make_case(7))
        self.assertNotEqual(make_case(7), make_case(8))


if __name__ == "__main__":
    unittest.main()

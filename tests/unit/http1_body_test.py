"""Bodies: what they are and where they end depends on their bytes, and not on how these arrive."""

import unittest
from collections.abc import Iterable
from typing import NamedTuple

import httptools
from hypothesis import given
from hypothesis import strategies as st

from taskservice.http1.body import ChunkedBody, SizedBody
from taskservice.http1.request import BadRequest
from tests.helpers.strategies import cut_into, property_settings

MOST_BESIDE = 16 * 1024
"""Bytes: of the size line of a chunk, and of the last chunk with its trailers."""

NEXT = b"GET / HTTP/1.1\r\n\r\n"


class Outcome(NamedTuple):
    """What became of a body."""

    end: str
    """How it ended: `complete`, `incomplete`, or the fault."""
    body: bytes
    rest: bytes


def outcome(pieces: Iterable[bytes]) -> Outcome:
    """Take a body that arrives in pieces, as a connection does."""
    body, taken, rest = ChunkedBody(), b"", b""
    for piece in pieces:
        rest += piece
        while rest and not body.complete:
            try:
                more, rest = body.take(rest)
            except BadRequest as error:
                return Outcome(str(error), taken, b"")
            taken += more
    return Outcome("complete" if body.complete else "incomplete", taken, rest)


class _Listener:
    """What llhttp calls."""

    def __init__(self) -> None:
        self.body = b""
        self.complete = False

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


def llhttp_outcome(data: bytes) -> Outcome:
    """Take a body with llhttp, byte by byte, so that it never sees what comes after."""
    listener = _Listener()
    parser = httptools.HttpRequestParser(listener)
    parser.feed_data(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    for at in range(len(data)):
        try:
            parser.feed_data(data[at:at + 1])
        except httptools.HttpParserError:
            return Outcome("fault", listener.body, b"")
        if listener.complete:
            return Outcome("complete", listener.body, data[at + 1:])
    return Outcome("incomplete", listener.body, b"")


TOKENS = st.text("aZ09!#$%&'*+-.^_`|~", min_size=1, max_size=3).map(str.encode)
QUOTED = st.sampled_from((b'""', b'"a"', b'"a;b, c\t\\"\\\\\x80"'))
EXTENSIONS = st.lists(
    st.one_of(TOKENS, st.tuples(TOKENS, TOKENS | QUOTED).map(b"=".join)), max_size=3)
TRAILERS = st.lists(st.sampled_from((b"A: b", b"X:", b"B: \t\x80 c ", b"Host: h")), max_size=3)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return the data of a well-formed chunked body, and what it looks like."""
    data, encoded = b"", b""
    for chunk in draw(st.lists(st.binary(min_size=1, max_size=20) | st.just(b"\r\n\r\n"), max_size=4)) + [b""]:
        form = draw(st.sampled_from((b"%x", b"%X", b"00%x")))
        encoded += b";".join([form % len(chunk), *draw(EXTENSIONS)]) + b"\r\n"
        encoded += chunk + b"\r\n" if chunk else b""
        data += chunk
    return data, encoded + b"".join(line + b"\r\n" for line in draw(TRAILERS)) + b"\r\n"


BROKEN = st.sampled_from((
    b"\r", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n", b";", b"=", b'"', b"\\", b" ", b"\t", b"\0", b"\x7f", b"\xff", b":",
    b"0", b"f", b"g", b",", b"-", b"+", b"0x", b"1" * 17, b"Content-Length: 3\r\n", b"transfer-encoding: chunked\r\n",
    b"5\r\nabcde\r\n", b"0\r\n\r\n"))


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Return bytes that could be a chunked body, and mostly are not quite one."""
    _, encoded = draw(bodies())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(encoded)))
        encoded = encoded[:at] + draw(BROKEN) + encoded[at + draw(st.integers(0, 2)):]
    return encoded + draw(st.sampled_from((b"", NEXT)))


class SizedBodyTest(unittest.TestCase):

    def test_it_ends_at_its_length(self) -> None:
        body = SizedBody(5)
        self.assertEqual(body.take(b"abc"), (b"abc", b""))
        self.assertFalse(body.complete)
        self.assertEqual(body.take(b"deGET"), (b"de", b"GET"))
        self.assertTrue(body.complete)


class ChunkedBodyTest(unittest.TestCase):

    @property_settings(300)
    @given(bodies(), st.data())
    def test_a_well_formed_one_is_taken_however_it_arrives(
            self, made: tuple[bytes, bytes], data: st.DataObject) -> None:
        body, encoded = made
        self.assertEqual(outcome(cut_into(data, encoded + NEXT)), Outcome("complete", body, NEXT))

    def test_every_way_to_cut_one_in_three(self) -> None:
        encoded = b"3;a=b\r\nabc\r\n4\r\n\r\n\r\n\r\n0\r\nX: y\r\n\r\n"
        data = encoded + NEXT
        for first in range(len(encoded) + 3):
            for second in range(first, len(encoded) + 3):
                self.assertEqual(
                    outcome((data[:first], data[first:second], data[second:])),
                    Outcome("complete", b"abc\r\n\r\n", NEXT))

    @property_settings(300)
    @given(streams(), st.data())
    def test_whatever_comes_the_outcome_does_not_depend_on_how(self, stream: bytes, data: st.DataObject) -> None:
        self.assertEqual(outcome(cut_into(data, stream)), outcome([stream]))

    @property_settings(300)
    @given(streams())
    def test_what_is_taken_is_what_llhttp_takes(self, stream: bytes) -> None:
        """But llhttp lets extensions pass that have `=` without a name or a value, and may find a fault earlier."""
        ours, theirs = outcome([stream]), llhttp_outcome(stream)
        if ours.end == "complete":
            self.assertEqual(ours, theirs)
        elif ours.end == "incomplete":
            self.assertEqual(ours.body, theirs.body)
            self.assertNotEqual(theirs.end, "complete")

    def test_a_size_that_is_cut_is_one_size(self) -> None:
        """What is left of the line, with the data, looks like a chunk of its own."""
        data = b"a\r\n0\r\n\r\n" + b"b" * 9
        encoded = b"11\r\n" + data + b"\r\n0\r\n\r\n"
        self.assertEqual(outcome([encoded[:1], encoded[1:]]), Outcome("complete", data, b""))

    def test_what_has_come_is_given_at_once(self) -> None:
        body = ChunkedBody()
        self.assertEqual(body.take(b"5\r\nab"), (b"ab", b""))
        self.assertEqual(body.take(b"c"), (b"c", b""))

    def test_what_comes_before_a_fault_is_given_first(self) -> None:
        body = ChunkedBody()
        self.assertEqual(body.take(b"2\r\nab\r\nx\r\n"), (b"ab", b"x\r\n"))
        with self.assertRaises(BadRequest):
            body.take(b"x\r\n")

    def test_a_fault_is_found_with_its_byte(self) -> None:
        for start, fault in (
                (b"", b";"), (b"", b"g"), (b"3", b"\n"), (b"3", b" "), (b"3\r", b"a"), (b"1" * 16, b"1"),
                (b"3;a", b"\n"), (b"3;a", b"\0"), (b"3;a=\"b", b"\n"),
                (b"1\r\nx", b"\n"), (b"1\r\nx", b"y"), (b"1\r\nx\r", b"\r"), (b"0\r\n", b"\n"),
                (b"0\r\nA: ", b"\0"), (b"0\r\nA: b", b"\n"), (b"0\r\nA: b\r", b"c"), (b"0\r\nA: b\r\n", b"\n")):
            for pieces in ([start + fault], [start, fault]):
                with self.subTest(pieces):
                    self.assertEqual(outcome([start]).end, "incomplete")
                    self.assertIn("alformed" if start[:4] != b"1\r\nx" else "longer", outcome(pieces).end)

    def test_what_comes_beside_the_data_has_its_limit_at_the_byte(self) -> None:
        for before, after in (
                (b"1;", b"\r\na\r\n0\r\n\r\n"), (b"0;", b"\r\n\r\n"),
                (b"0\r\n" + b"A: b\r\n" * 100 + b"X:", b"\r\n\r\n")):
            beside = len(before + after.partition(b"a")[0])
            for piece in (1, 1460, 1 << 20):
                with self.subTest(before[:4], piece=piece):
                    most = before + b"x" * (MOST_BESIDE - beside)
                    self.assertEqual(outcome(pieces_of(most + after, piece)).end, "complete")
                    self.assertRegex(outcome(pieces_of(most + b"x" + after, piece)).end, "too m")
                    self.assertRegex(outcome(pieces_of(most + b"x" * 10, piece)).end, "too m")

    def test_each_size_line_has_that_limit_of_its_own(self) -> None:
        """Nothing of a chunk before counts, also where the lines arrive in pieces."""
        lines = b"1\r\na\r\n" + b"1;" + b"x" * (MOST_BESIDE - 4)
        for piece in (1, 1460, 1 << 20):
            with self.subTest(piece=piece):
                self.assertEqual(outcome(pieces_of(lines + b"\r\nb\r\n0\r\n\r\n", piece)).body, b"ab")
                self.assertRegex(outcome(pieces_of(lines + b"x\r\nb\r\n", piece)).end, "too m")

    def test_trailers_that_say_how_long_a_body_is_are_refused(self) -> None:
        """Somebody else may merge them into the head (RFC 9112 §7.1.2)."""
        for name in (b"Content-Length", b"content-length", b"TRANSFER-ENCODING", b"Transfer-Encoding"):
            self.assertIn("trailers", outcome([b"0\r\n" + name + b": 3\r\n\r\n"]).end)
            self.assertEqual(outcome([b"0\r\nX-" + name + b"-X: 3\r\n\r\n"]).end, "complete")

    def test_it_takes_any_number_of_lines_with_data_between_them(self) -> None:
        chunk = b"1;" + b"x" * (MOST_BESIDE - 4) + b"\r\na\r\n"
        self.assertEqual(outcome([chunk * 5 + b"0\r\n\r\n"]).body, b"aaaaa")


def pieces_of(data: bytes, size: int) -> list[bytes]:
    """Cut into pieces of one size."""
    return [data[at:at + size] for at in range(0, len(data), size)]


if __name__ == "__main__":
    unittest.main()

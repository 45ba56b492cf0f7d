"""Tasks as bytes."""

import unittest
import zlib

from taskservice.datamodel import StoredTask, TaskEntry
from taskservice.http.representation import GzipStream, Joined, joined_members


class RepresentationTest(unittest.TestCase):

    def test_members_of_an_object(self) -> None:
        tasks = [StoredTask.of(name, 1, TaskEntry(name.upper())) for name in "ab"]
        self.assertEqual(joined_members(tasks), b'"a": {"title": "A"}, "b": {"title": "B"}')
        self.assertEqual(joined_members([]), b"")

    def test_portions_are_one_document(self) -> None:
        for portions in ([], [b""], [b"1"], [b"1", b"2, 3"], [b"", b"1", b"", b"2", b""]):
            joined = Joined(b"[")
            document = b"".join(map(joined.portion, portions)) + joined.end(b"]")
            self.assertEqual(document, b"[" + b", ".join(filter(None, portions)) + b"]")

    def test_each_piece_can_be_read_when_it_has_come_and_the_last_ends_the_stream(self) -> None:
        stream, reader = GzipStream(), zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        for piece in (b"a" * 1000, b"", b"b"):
            self.assertEqual(reader.decompress(stream.compress(piece, last=False)), piece)
            self.assertFalse(reader.eof)
        self.assertEqual(reader.decompress(stream.compress(b"end", last=True)), b"end")
        self.assertTrue(reader.eof)

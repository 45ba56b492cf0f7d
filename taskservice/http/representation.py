"""Tasks as they go over the wire: as bytes, in lists and on their own."""

import zlib
from collections.abc import Iterable, Mapping

from taskservice.datamodel import StoredTask

JSON = "application/json; charset=UTF-8"

COMMON_FIELDS: Mapping[str, str] = {
    "Server": "taskservice", "X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}
"""The header fields of every answer, whether a handler gives it or the connection."""


def joined_members(tasks: Iterable[StoredTask]) -> bytes:
    """Return the tasks as members of a JSON object: `"id": task, …`, without its braces."""
    return b", ".join([task.member for task in tasks])


class Joined:
    """A JSON array or object that is encoded in portions: its members, joined by commas."""

    def __init__(self, opening: bytes) -> None:
        """Start with the opening bracket and whatever precedes it."""
        self._before = opening

    def portion(self, members: bytes) -> bytes:
        """Return the bytes to send for members that are joined already; there may be none."""
        if not members:
            return b""
        piece, self._before = self._before + members, b", "
        return piece

    def end(self, closing: bytes) -> bytes:
        """Return the bytes to send after the last portion."""
        return closing if self._before == b", " else self._before + closing


class GzipStream:
    """Compresses a stream with gzip (RFC 1952); each piece can be read as soon as it arrives."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(6, wbits=16 + zlib.MAX_WBITS)

    def compress(self, piece: bytes, last: bool) -> bytes:
        """Return a piece compressed; `last` ends the stream."""
        compressed = self._compressor.compress(piece)
        return compressed + self._compressor.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)

"""The body of a request, extracted from the bytes that the connection receives (RFC 9112 §6 and §7).

The content and the end of a body depend on its bytes alone: never on how they arrive.
"""

import re
from enum import Enum, auto

from taskservice.http1.request import QUOTED, TOKEN, BadRequest

MAX_CHUNK_OVERHEAD = 16 * 1024
"""Maximum size of a chunk's size line, in bytes; for the last chunk, with all that follows it."""

_CRLF = b"\r\n"
_TOKEN, _QUOTED = TOKEN.encode(), QUOTED.encode()
# RFC 9112 §7.1, without white space around `;` and `=`, which llhttp and Tornado refuse as well.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;%b(?:=(?:%b|%b))?+)*+\r\n" % (_TOKEN, _TOKEN, _QUOTED))
_SIZE_START = re.compile(rb"[0-9A-Fa-f]{1,16}(?:[;\r]|\Z)")
# Trailers are dropped (§7.1.2); but a length in them could mislead others, so it is refused.
_TRAILER = re.compile(
    rb"(?!(?i:content-length|transfer-encoding):)%b:[\t \x21-\x7e\x80-\xff]*+\r\n" % _TOKEN)
_NOT_IN_A_LINE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # CR ends a line together with LF


class SizedBody:
    """A body of known length."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def complete(self) -> bool:
        """Whether all of it has been taken."""
        return self._left == 0

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the part of `data` that belongs to the body, and the rest."""
        if len(data) > self._left:
            data, rest = data[:self._left], data[self._left:]
        else:
            rest = b""
        self._left -= len(data)
        return data, rest


class _Part(Enum):
    """The part of a chunked body that comes next."""

    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    NOTHING = auto()


class ChunkedBody:
    """A chunked body. Extensions and trailers are checked, and dropped (RFC 9112 §7.1)."""

    __slots__ = ("_part", "_left", "_line", "_overhead")

    def __init__(self) -> None:
        self._part = _Part.SIZE
        self._left = 0            # bytes of the chunk
        self._line = bytearray()  # the first part of a line
        self._overhead = 0        # bytes of the last chunk's size line and of the trailers so far

    @property
    def complete(self) -> bool:
        """Whether all of it has been taken."""
        return self._part is _Part.NOTHING

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the decoded body in `data`, and the rest; raises BadRequest.

        A fault stays in the rest until the body before it has been returned: that may be too large, which has to be
        answered first.
        """
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and not self.complete:
            if self._part is _Part.SIZE and not self._line:
                at = _take_whole_chunks(data, at, pieces)
            if self._part is _Part.DATA:
                at = self._take_data(data, at, pieces)
                continue
            try:
                at = self._take_line(data, at)
            except BadRequest:
                if not pieces:
                    raise
                break  # it is found again: nothing that follows can make the line valid
        return b"".join(pieces), data[at:]

    def _take_data(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        piece = data[at:at + self._left]
        pieces.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._part = _Part.DATA_END
        return at + len(piece)

    def _take_line(self, data: bytes, at: int) -> int:
        """Take a line, or a part of one; return where it ends. Raises BadRequest."""
        before = len(self._line)
        end = data.find(b"\n", at) + 1 or len(data)
        self._line += data[at:end]
        if len(self._line) > MAX_CHUNK_OVERHEAD - self._overhead:
            raise BadRequest(_FAULTS[self._part])
        if self._line.endswith(b"\n"):
            line, self._line = bytes(self._line), bytearray()
            self._judge(line)
        elif not self._can_go_on(max(0, before - 1)):
            raise BadRequest(_FAULTS[self._part])
        return end

    def _judge(self, line: bytes) -> None:
        """Go on to the part after a line; raises BadRequest."""
        if self._part is _Part.DATA_END and line == _CRLF:
            self._part = _Part.SIZE
        elif self._part is _Part.SIZE and (size := _SIZE.fullmatch(line)) is not None:
            self._left = int(size[1], 16)
            self._part = _Part.DATA if self._left else _Part.TRAILER
            self._overhead = 0 if self._left else len(line)
        elif self._part is _Part.TRAILER and line == _CRLF:
            self._part = _Part.NOTHING
        elif self._part is _Part.TRAILER and _TRAILER.fullmatch(line) is not None:
            self._overhead += len(line)
        else:
            raise BadRequest(_FAULTS[self._part])

    def _can_go_on(self, start: int) -> bool:
        """Return whether this can be the first part of a line; it is known to be valid up to `start`."""
        if self._part is _Part.DATA_END:
            return self._line == b"\r"
        if self._part is _Part.SIZE and _SIZE_START.match(self._line) is None:
            return False
        wrong = _NOT_IN_A_LINE.search(self._line, start)
        return wrong is None or (wrong[0] == b"\r" and wrong.end() == len(self._line))


_FAULTS = {
    _Part.SIZE: "Malformed chunk size, or too much beside it",
    _Part.DATA_END: "The data of a chunk are longer than its size",
    _Part.TRAILER: "Malformed trailers, or too many"}


def _take_whole_chunks(data: bytes, at: int, pieces: list[bytes]) -> int:
    """Take the chunks that are complete, except the last one; return where they end."""
    while (size := _SIZE.match(data, at)) is not None:
        start = size.end()
        end = start + int(size[1], 16)
        if start == end or start - at > MAX_CHUNK_OVERHEAD or data[end:end + 2] != _CRLF:
            break
        pieces.append(data[start:end])
        at = end + 2
    return at

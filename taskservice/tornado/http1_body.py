"""The body of a request, cut out of what the connection receives (RFC 9112 §6 and §7)."""

import httptools

from taskservice.tornado.http1_parser import BadRequest

_CHUNKED_HEAD = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
_END = b"\r\n\r\n"

MAX_CHUNK_OVERHEAD = 16 * 1024
"""How many bytes of extensions or trailers may come without a byte of the body."""


class SizedBody:
    """A body whose length is known."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def complete(self) -> bool:
        """Whether all of it has been taken."""
        return self._left == 0

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what of `data` belongs to the body, and what comes after it."""
        if len(data) > self._left:
            data, rest = data[:self._left], data[self._left:]
        else:
            rest = b""
        self._left -= len(data)
        return data, rest


class ChunkedBody:
    """A chunked body, decoded by llhttp, which drops extensions and trailers (RFC 9112 §7.1).

    Such a body ends with an empty line, and nothing else of it tells where without decoding it.
    So llhttp is fed up to each empty line, and no byte beyond: what comes after the body is
    never seen by a parser that would take it for the next request.
    """

    def __init__(self) -> None:
        self.complete = False
        self._data: list[bytes] = []
        self._held = b""
        self._overhead = 0
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(_CHUNKED_HEAD)

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what `data` holds of the decoded body, and what comes after; raises BadRequest."""
        data, start = self._held + data, 0
        while not self.complete and (end := data.find(_END, start)) >= 0:
            self._feed(data[start:end + len(_END)])
            start = end + len(_END)
        rest = data[start:]
        if not self.complete:
            rest = self._hold(rest)
        decoded, self._data = b"".join(self._data), []
        return decoded, rest

    def _hold(self, data: bytes) -> bytes:
        """Feed all but what could be the first part of an empty line."""
        known = len(data)
        while known and data[known - 1] in _END and len(data) - known < len(_END) - 1:
            known -= 1
        self._held = data[known:]
        if known:
            self._feed(data[:known])
        return b""

    def _feed(self, data: bytes) -> None:
        before = len(self._data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise BadRequest(f"Malformed chunk: {error}") from None
        self._overhead = 0 if len(self._data) > before else self._overhead + len(data)
        if self._overhead > MAX_CHUNK_OVERHEAD:
            raise BadRequest("Too much between the chunks")

    def on_body(self, data: bytes) -> None:
        self._data.append(data)

    def on_message_complete(self) -> None:
        self.complete = True
        del self._parser  # it refers to this object

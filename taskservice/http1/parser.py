"""Bytes to requests: the request line is parsed here, the fields by llhttp, which is strict.

The end of a message is decided here and never by the parser, which sees exactly one head. So nothing that it finds in a
head (an upgrade, a closed connection) can move the boundary. A head gets the same answer however its bytes arrive: the
first fault, by its place, decides.
"""

import functools
import re
from typing import NamedTuple

import httptools
from tornado.httputil import RequestStartLine

from taskservice.http1.headers import LeanHeaders
from taskservice.http1.request import (
    MAX_METHOD, TOKEN, BadRequest, body_length, check_host, keeps_alive, origin_form, waits)

_HEAD_END = b"\r\n\r\n"
_EMPTY_LINES = re.compile(rb"(?:\r\n)+")

_METHOD = TOKEN[:-2].encode() + b"{1,%d}+" % MAX_METHOD
_TARGET = rb"[\x21-\x7e\x80-\xff]++"
# A higher minor version is served as 1.1 (RFC 9110 §2.5).
_LINE = re.compile(rb"(%b) (%b) HTTP/1\.([0-9])\r\n" % (_METHOD, _TARGET))
_LINE_OF_ANOTHER_VERSION = re.compile(rb"%b %b HTTP/[0-9]\.[0-9]\r\n" % (_METHOD, _TARGET))
_LINE_START = re.compile(rb"%b(?: |\Z)" % _METHOD)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_WORDS = re.compile(rb"(%b) (%b) %b\r\n" % (_METHOD, _TARGET, _TARGET))
_LINE_FOR_LLHTTP = b"GET / HTTP/1.1\r\n"  # llhttp might treat the real one specially


class Head(NamedTuple):
    """A request's head, and its consequences for the connection."""

    start_line: RequestStartLine
    headers: LeanHeaders
    length: int
    """Bytes of the body; -1: chunked."""
    keep_alive: bool
    waits: bool
    """Whether the client waits for a 100 (Continue) before it sends the body."""


def whole_head(data: bytes, limit: int) -> tuple[bytes, bytes]:
    """Return a complete head of up to `limit` bytes, else nothing; and the rest.

    Empty lines before it are ignored (RFC 9112 §2.2).
    """
    if (empty := _EMPTY_LINES.match(data)) is not None:
        data = data[empty.end():]
    size = data.find(_HEAD_END) + len(_HEAD_END)
    if len(_HEAD_END) <= size <= limit:
        return data[:size], data[size:]
    return b"", data


def parse_head(block: bytes) -> Head:
    """Parse a head: request line, fields and the empty line. Raises BadRequest."""
    method, target, authority, version, end = _read_line(block)
    read = _read_fields_once if len(block) <= _REMEMBERED_LENGTH else _judge_fields
    fields = read(version, block[end:])
    headers = fields.headers.copy()
    if authority is not None:
        headers["host"] = authority
    return Head(
        RequestStartLine(method, target, version), headers, fields.length, fields.keep_alive, fields.waits)


class _Fields(NamedTuple):
    """The fields of a head, and what follows from them."""

    headers: LeanHeaders
    length: int
    keep_alive: bool
    waits: bool


def _judge_fields(version: str, block: bytes) -> _Fields:
    """Parse the fields of a head, and the empty line; raises BadRequest."""
    headers = _read_fields(block)
    check_host(version, headers, None)
    return _Fields(
        headers, body_length(version, headers), keeps_alive(version, headers.get("connection")),
        waits(version, headers.get("expect")))


# A client sends the same fields with almost every request. They are few and short, so that nobody fills the memory.
_read_fields_once = functools.lru_cache(maxsize=128)(_judge_fields)
_REMEMBERED_LENGTH = 1024


def _read_line(block: bytes) -> tuple[str, str, str | None, str, int]:
    """Return method, target, its authority, version, and where the line ends; BadRequest."""
    line = _LINE.match(block)
    if line is None:
        _check_line_start(block[:block.index(b"\r\n") + 2], 0)
        other = _LINE_OF_ANOTHER_VERSION.match(block) is not None
        raise BadRequest("HTTP version not supported" if other else "Malformed request line")
    method = line[1].decode()
    target, authority = origin_form(method, line[2].decode("latin-1"))
    version = "HTTP/1.0" if line[3] == b"0" else "HTTP/1.1"
    return method, target, authority, version, line.end()


def _check_line_start(line: bytes | bytearray, start: int) -> None:
    """Raise BadRequest for a fault in the first part of a request line, which is valid up to `start`."""
    if _LINE_START.match(line) is None:
        raise BadRequest("Malformed method")
    control = _CONTROL.search(line, start)
    if control is not None and line[control.start():] not in (b"\r", b"\r\n"):
        raise BadRequest("Malformed request line")


def _read_fields(block: bytes) -> LeanHeaders:
    """Parse the fields of a head, and the empty line, by llhttp; raises BadRequest."""
    listener, offer = _Listener(), False
    try:
        httptools.HttpRequestParser(listener).feed_data(_LINE_FOR_LLHTTP + block)
    except httptools.HttpParserUpgrade:
        offer = True
    except httptools.HttpParserError as error:
        raise _malformed(error) from None
    if not listener.complete:  # it sees the end of the head elsewhere
        raise BadRequest("Malformed request")
    fields: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for name, value in listener.lines:
        key = name.decode("latin-1").lower()
        text = value.rstrip(b" \t").decode("latin-1")
        if key in fields:
            repeated.setdefault(key, [fields[key]]).append(text)
        else:
            fields[key] = text
    headers = LeanHeaders.of(fields, repeated)
    if offer:
        del headers["upgrade"]  # it is not taken up (RFC 9110 §7.8)
    return headers


class _Listener:
    """The callbacks of llhttp."""

    __slots__ = ("lines", "complete")

    def __init__(self) -> None:
        self.lines: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.lines.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True


def _malformed(error: httptools.HttpParserError) -> BadRequest:
    return BadRequest(f"Malformed request: {error}")


class PartialHead:
    """A head that arrives in pieces: a fault is found with the first byte that makes it one.

    Each byte is looked at once, so many small pieces cost no more than few large ones.
    """

    def __init__(self, limit: int) -> None:
        """Take a head of up to `limit` bytes."""
        self.block = bytearray()
        self._limit = limit
        self._parser: httptools.HttpRequestParser | None = None  # once the line is there
        self._fed = 0

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the head, empty until it is complete, and the rest of `data`. Raises BadRequest."""
        before = len(self.block)
        self.block += data[:self._limit - before]
        end = self.block.find(_HEAD_END, max(0, before - len(_HEAD_END)))
        if end >= 0:
            end += len(_HEAD_END)
            return bytes(self.block[:end]), data[end - before:]
        self._check(max(0, before - 1))
        if len(self.block) == self._limit:
            raise BadRequest(f"The head is larger than {self._limit} bytes", 431)
        return b"", b""

    def _check(self, start: int) -> None:
        """Raise BadRequest for a fault in the part so far, which is valid up to `start`."""
        if self._parser is None:
            end = self.block.find(b"\r\n", start) + 2
            if end < 2:
                _check_line_start(self.block, start)
                return
            _read_line(bytes(self.block[:end]))
            self._parser, self._fed = httptools.HttpRequestParser(object()), end
            self._parser.feed_data(_LINE_FOR_LLHTTP)
        try:
            self._parser.feed_data(bytes(self.block[self._fed:]))
        except httptools.HttpParserError as error:
            raise _malformed(error) from None
        self._fed = len(self.block)


def guess_line(block: bytes | bytearray) -> tuple[str | None, str | None]:
    """Return method and target of a refused head, for the log; None: unknown."""
    words = _WORDS.match(block)
    return (None, None) if words is None else (words[1].decode(), words[2].decode("latin-1"))

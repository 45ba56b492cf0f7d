"""Bytes to requests: llhttp judges the grammar, and what it lets pass is refused here.

Where a message ends is decided here and never by the parser, which is shown exactly one message.
So nothing that it makes of a head (an upgrade, a closed connection) can move the boundary.
"""

import functools
import re
from typing import NamedTuple
from urllib.parse import urlsplit

import httptools
from tornado.httputil import RequestStartLine

from taskservice.tornado.http1_headers import LeanHeaders

_METHOD = re.compile(rb"[A-Z][A-Z-]{0,31}")
# What llhttp is shown under its own name. It would refuse what it does not know, and end the
# message at the head of what it knows all too well, as CONNECT.
_COMMON_METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
# RFC 3986 §3.2.2 and §3.2.3: a name or address, an IPv6 address in brackets; then a port.
_HOST = re.compile(
    r"(?:(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_LONGEST_HOST = 300  # characters; a name of the DNS has up to 253


class BadRequest(Exception):
    """A request that is not answered by the application, and after which the connection closes."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class Head(NamedTuple):
    """A request's head, and what follows from it for the connection."""

    start_line: RequestStartLine
    headers: LeanHeaders
    length: int
    """Bytes of the body; -1: chunked."""
    keep_alive: bool
    waits: bool
    """Whether the client holds the body back until it is asked for it."""


def parse_head(block: bytes) -> Head:
    """Read a head: request line, fields and the empty line. Raises BadRequest."""
    method, target, version = _request_line(block)
    headers = _fields(block)
    if "host" in headers or version == "HTTP/1.1":
        _check_host(headers)
    if target[:1] != "/":
        target = _path_of(method, target, headers)
    if "#" in target:
        raise BadRequest("A request target has no fragment")
    return Head(
        RequestStartLine(method, target, version), headers, _body_length(version, headers),
        _keeps_alive(version, headers.get("connection")), _waits(version, headers.get("expect")))


def _request_line(block: bytes) -> tuple[str, str, str]:
    """Split the request line at its two spaces (RFC 9112 §3): llhttp would accept more of them."""
    words = block[:block.index(b"\r\n")].decode("latin-1").split(" ")
    if len(words) != 3:
        raise BadRequest("Malformed request line")
    if words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest("HTTP version not supported")  # 505 may be said, too (RFC 9110 §15.6.6)
    return words[0], words[1], words[2]


def _fields(block: bytes) -> LeanHeaders:
    """Take the fields of a head from llhttp; raises BadRequest."""
    listener = _Listener()
    try:
        httptools.HttpRequestParser(listener).feed_data(_with_common_method(block))
    except httptools.HttpParserUpgrade:
        pass  # an offer that is not taken up (RFC 9110 §7.8): an ordinary request
    except httptools.HttpParserError as error:
        raise BadRequest(f"Malformed request: {error}") from None
    if not listener.complete:
        raise BadRequest("Malformed request")
    headers = LeanHeaders()
    for name, value in listener.lines:
        headers.append(name.decode("latin-1").lower(), value.rstrip(b" \t").decode("latin-1"))
    return headers


class _Listener:
    """Is told by llhttp what it reads."""

    __slots__ = ("lines", "complete")

    def __init__(self) -> None:
        self.lines: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.lines.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True


def _with_common_method(block: bytes) -> bytes:
    """Return a head with a method that llhttp knows; raises BadRequest where it is none at all.

    One that could be a method is for the application to refuse, with the 405 that tells which
    ones there are.
    """
    method = block[:block.find(b" ")]
    if method in _COMMON_METHODS:
        return block
    if not _METHOD.fullmatch(method):
        raise BadRequest("Malformed method")
    return b"GET" + block[len(method):]


def _check_host(headers: LeanHeaders) -> None:
    """Ask for one well-formed Host (RFC 9112 §3.2): two parties must not see two hosts."""
    hosts = headers.get_list("host")
    if len(hosts) != 1:
        raise BadRequest("More than one Host" if hosts else "No Host")
    if len(hosts[0]) > _LONGEST_HOST or not _is_host(hosts[0]):
        raise BadRequest("Malformed Host")


@functools.lru_cache(maxsize=256)
def _is_host(host: str) -> bool:
    return _HOST.fullmatch(host) is not None


def _path_of(method: str, target: str, headers: LeanHeaders) -> str:
    """Return the path of a target that is no path; raises BadRequest (RFC 9112 §3.2).

    In the absolute form the target's authority takes the place of Host.
    """
    if target == "*" and method == "OPTIONS":
        return target
    if not target.lower().startswith(("http://", "https://")):
        raise BadRequest("Malformed request target")
    try:
        parts = urlsplit(target)
    except ValueError:
        raise BadRequest("Malformed request target") from None
    if not 0 < len(parts.netloc) <= _LONGEST_HOST or not _is_host(parts.netloc):
        raise BadRequest("Malformed request target")
    headers["host"] = parts.netloc
    rest = target[target.index("//") + 2 + len(parts.netloc):]
    return rest if rest.startswith("/") else f"/{rest}"


def _body_length(version: str, headers: LeanHeaders) -> int:
    """Return the bytes of the body, -1 for a chunked one; raises BadRequest (RFC 9112 §6).

    llhttp has refused what conflicts, repeats, or is no number.
    """
    if (coding := headers.get("transfer-encoding")) is not None:
        if coding.lower() != "chunked" or version != "HTTP/1.1":
            raise BadRequest("Unknown Transfer-Encoding")
        return -1
    return int(headers.get("content-length", 0))


def _keeps_alive(version: str, options: str | None) -> bool:
    """Tell whether the client expects the connection to stay (RFC 9112 §9.3)."""
    if options is None:
        return version == "HTTP/1.1"
    wanted = {option.strip(" \t") for option in options.lower().split(",")}
    return "close" not in wanted and (version == "HTTP/1.1" or "keep-alive" in wanted)


def _waits(version: str, expectation: str | None) -> bool:
    """Tell whether the client expects to be told to send the body (RFC 9110 §10.1.1)."""
    return (expectation is not None and version == "HTTP/1.1"
            and expectation.lower() == "100-continue")


class HeadCheck:
    """Finds fault with the beginning of a head, so that junk is not waited for."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._fed = 0

    def look(self, block: bytes) -> None:
        """Look at all that has come, of which it has seen a part; raises BadRequest."""
        data = block[self._fed:]
        if not self._fed:
            if b" " not in block[:40]:
                if len(block) >= 40 or not _METHOD.match(block):
                    raise BadRequest("Malformed method")
                return
            data = _with_common_method(block)
        self._fed = len(block)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise BadRequest(f"Malformed request: {error}") from None


def guess_line(block: bytes) -> tuple[str | None, str | None]:
    """Return method and target of a head that could not be read, to tell of it; None: unknown."""
    words = block.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return (words[0], words[1]) if len(words) == 3 else (None, None)

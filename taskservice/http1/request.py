"""The meaning of a request's head, whether our connection parsed it or Tornado's.

A head that two parties could understand differently is refused (RFC 9112 §11.2).
"""

import functools
import re
from urllib.parse import quote

from tornado.httputil import HTTPHeaders, HTTPInputError

MAX_METHOD = 32
"""Maximum length of a method, in characters; the longest registered one has 17."""

TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # RFC 9110 §5.6.2
QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"'  # §5.6.4

# RFC 3986 §3.2.2 and §3.2.3: a name or address, an IPv6 address in brackets; then a port.
_HOST = re.compile(
    r"(?:(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_MAX_HOST = 300  # characters; a name of the DNS has up to 253
_ABSOLUTE = re.compile(r"(?i:https?)://([^/?#]*)(.*)", re.DOTALL)
_ASCII = "".join(map(chr, range(0x21, 0x7f)))

_LENGTH = re.compile(r"[0-9]{1,19}")
_CODING = rf"{TOKEN}(?:[ \t]*+;[ \t]*+{TOKEN}=(?:{TOKEN}|{QUOTED}))*"
# Its groups are not possessive, which Python 3.11.2 gets wrong; each begins or ends with a sign of its own.
_CODED = re.compile(rf"(?:(?!chunked[ \t,;]){_CODING}[ \t]*+,[ \t]*+)+chunked")
_QUOTED_TEXT = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)  # without an end: all the rest


class BadRequest(HTTPInputError):
    """A request that the application does not see, and after which the connection closes."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def origin_form(method: str, target: str) -> tuple[str, str | None]:
    """Return a target (RFC 9112 §3.2) as path and query, or `*`; and its authority, if it has one.

    Bytes beyond ASCII, which are Latin-1 there, are percent-encoded if they are UTF-8. Raises BadRequest.
    """
    authority = None
    if target[:1] != "/" and not (target == "*" and method == "OPTIONS"):
        authority, target = _split_absolute(method, target)
    if "#" in target:
        raise BadRequest("A request target has no fragment")
    return target if target.isascii() else _percent_encoded(target), authority


def _split_absolute(method: str, target: str) -> tuple[str, str]:
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or not absolute[1] or not _is_host(absolute[1]):
        raise BadRequest("Malformed request target")
    authority, path = absolute.groups()
    if not path and method == "OPTIONS":
        return authority, "*"  # RFC 9112 §3.2.4
    return authority, path if path.startswith("/") else f"/{path}"


def _percent_encoded(target: str) -> str:
    """Return a target as RFC 3986 has it; curl and others send the text that was typed, in UTF-8."""
    try:
        return quote(target.encode("latin-1").decode("utf-8"), safe=_ASCII)
    except UnicodeDecodeError:
        raise BadRequest("The request target is neither ASCII nor UTF-8") from None


def check_host(version: str, headers: HTTPHeaders, authority: str | None) -> None:
    """Check that there is one well-formed Host (RFC 9112 §3.2): two parties must not see two hosts.

    The target's authority, if it has one, takes its place. Raises BadRequest.
    """
    host = headers.get("host")
    if host is None and version == "HTTP/1.1":
        raise BadRequest("No Host")
    if host and not _is_host(host):  # two of them are joined by a comma
        raise BadRequest("More than one Host, or a malformed one")
    if authority is not None:
        headers["host"] = authority


def _is_host(text: str) -> bool:
    return len(text) <= _MAX_HOST and _has_host_form(text)


@functools.lru_cache(maxsize=256)
def _has_host_form(host: str) -> bool:
    return _HOST.fullmatch(host) is not None


def body_length(version: str, headers: HTTPHeaders) -> int:
    """Return the bytes of the body, -1 for a chunked one; raises BadRequest (RFC 9112 §6)."""
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    if coding is not None:
        _check_coding(version, coding.lower(), length)
        return -1
    if length is None:
        return 0
    if _LENGTH.fullmatch(length) is None:
        raise BadRequest("Content-Length is not one number of at most 19 digits")
    return int(length)


def _check_coding(version: str, coding: str, length: str | None) -> None:
    """Accept `chunked` alone; raises BadRequest (RFC 9112 §6.1, §6.3)."""
    if version != "HTTP/1.1":
        raise BadRequest("Transfer-Encoding is not for HTTP/1.0")
    if length is not None:
        raise BadRequest("Transfer-Encoding and Content-Length say two things")
    if coding != "chunked":
        if _CODED.fullmatch(coding):
            raise BadRequest("Transfer-Encoding: no coding is known here but chunked", 501)
        raise BadRequest("Malformed Transfer-Encoding, or its last coding is not chunked")


def keeps_alive(version: str, options: str | None) -> bool:
    """Return whether the client expects the connection to stay (RFC 9112 §9.3)."""
    if options is None:
        return version == "HTTP/1.1"
    wanted = {option.strip(" \t") for option in options.lower().split(",")}
    return "close" not in wanted and (version == "HTTP/1.1" or "keep-alive" in wanted)


def waits(version: str, expectations: str | None) -> bool:
    """Return whether the client waits for a 100 (Continue) before it sends the body (RFC 9110 §10.1.1).

    Other expectations are ignored, as §10.1.1 allows.
    """
    if expectations is None or version != "HTTP/1.1":
        return False
    members = _QUOTED_TEXT.sub("", expectations.lower()).split(",")
    return "100-continue" in (member.partition(";")[0].strip(" \t") for member in members)

"""Answers as bytes: the head, and how the body is delimited (RFC 9112 §6.3)."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from http.client import responses

from tornado.httputil import HTTPHeaders
from tornado.log import gen_log


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

MAX_REASON_LENGTH = 150
"""Maximum length of a reason phrase: proxies refuse a status line that is too long."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that the connection answers, not the application."""

    status: int
    message: str
    """The fault, for the client to read; it may quote the request."""
    method: str | None
    uri: str | None
    """Method and target, as they came; None if they could not be found."""
    remote_ip: str
    headers: HTTPHeaders | None = None
    """The request's fields; None if they could not be parsed."""
    request_id: str = ""
    """The application's id of the request; empty if it has not seen it."""
    seconds: float | None = None
    """Seconds since its head was complete; None if it never was."""


Refuse = Callable[[Refusal], tuple[Mapping[str, str], bytes]]
"""Makes header fields and body of the answer to a refused request; may log it."""


def refuse_plainly(refusal: Refusal) -> tuple[Mapping[str, str], bytes]:
    """Return the message as text, and log it as Tornado's server does."""
    gen_log.info("Malformed HTTP message from %s: %s", refusal.remote_ip, refusal.message)
    return {"Content-Type": "text/plain; charset=UTF-8"}, f"{refusal.message}\n".encode()


def refusal_bytes(refusal: Refusal, fields: Mapping[str, str], body: bytes) -> bytes:
    """Return the whole answer to a refused request; the connection closes after it."""
    reason = HTTPStatus(refusal.status).phrase
    own = f"Date: {http_date()}", f"Content-Length: {len(body)}", "Connection: close"
    head = head_bytes(refusal.status, reason, [*map(": ".join, fields.items()), *own])
    return head if refusal.method == "HEAD" else head + body


def head_bytes(code: int, reason: str, fields: Sequence[str]) -> bytes:
    """Return status line, lines of fields and the empty line; too long a reason is replaced by the standard one.

    Raises ValueError for a line end within a field: it would begin another field.
    """
    if len(reason) > MAX_REASON_LENGTH:
        reason = responses.get(code, "Unknown")
    text = "\r\n".join([f"HTTP/1.1 {code} {reason}", *fields, "", ""])
    if not text.count("\n") == text.count("\r") == len(fields) + 2:
        raise ValueError(f"Illegal characters (CR or LF) in header: {text!r}")
    return text.encode("latin-1")


def content_length(text: str) -> int:
    """Parse a Content-Length (RFC 9110 §8.6); raises ValueError."""
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"Content-Length is no number: {text!r}")
    return int(text)


def has_no_body(method: str, code: int) -> bool:
    """Return whether an answer ends with its head, whatever its fields say (RFC 9112 §6.3)."""
    return method == "HEAD" or code in (204, 304) or code < 200


def http_date() -> str:
    """Return the time as a Date field has it (RFC 9110 §6.6.1); formatted once a second."""
    return _date_of(int(time.time()))


@functools.lru_cache(maxsize=1)
def _date_of(second: int) -> str:
    return formatdate(second, usegmt=True)

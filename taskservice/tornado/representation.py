"""What goes over the wire: tasks as bytes, in lists and on their own."""

import re
from collections.abc import Iterable
from email.utils import formatdate

from taskservice.datamodel import StoredTask

_GZIP = re.compile(r"(?:^|[\s,])(?:x-)?gzip\s*(?:;([^,]*))?(?:,|$)")
_ZERO = re.compile(r"q=0(\.0*)?")

JSON = "application/json; charset=UTF-8"


def members(tasks: Iterable[StoredTask]) -> bytes:
    """Return the tasks as members of a JSON object: `"id": task, …`, without its braces."""
    return b", ".join(b'"%b": %b' % (task.id.encode(), task.body) for task in tasks)


def last_modified(revision: int) -> str:
    """Return a revision, which is in microseconds, as an HTTP date (RFC 9110 §5.6.7)."""
    return formatdate(revision // 1_000_000, usegmt=True)


def accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether gzip may be used, by the value of Accept-Encoding (RFC 9110 §12.5.3)."""
    match = _GZIP.search(accept_encoding.lower())
    return match is not None and not _ZERO.fullmatch((match[1] or "").replace(" ", ""))

"""What goes over the wire: tasks as bytes, in lists and on their own."""

from collections.abc import Iterable
from email.utils import formatdate

from taskservice.datamodel import StoredTask

JSON = "application/json; charset=UTF-8"


def members(tasks: Iterable[StoredTask]) -> bytes:
    """Return the tasks as members of a JSON object: `"id": task, …`, without its braces."""
    return b", ".join(b'"%b": %b' % (task.id.encode(), task.body) for task in tasks)


def last_modified(revision: int) -> str:
    """Return a revision, which is in microseconds, as an HTTP date (RFC 9110 §5.6.7)."""
    return formatdate(revision // 1_000_000, usegmt=True)

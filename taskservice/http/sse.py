"""Changes as JSON, and as server-sent events (WHATWG HTML §9.2)."""

from functools import lru_cache

from taskservice.datamodel import Change
from taskservice.http.parameters import revision_number

COMMENT = b":\n\n"
"""A comment: keeps the connection alive, and means nothing (§9.2.7)."""


def change_json(change: Change) -> bytes:
    """Return a change as JSON, on one line: `{"revision", "id", "task"}`."""
    task = b"null" if change.task is None else change.task.body
    return b'{"revision": %d, "id": "%b", "task": %b}' % (
        change.revision, change.id.encode(), task)


def event(change: Change) -> bytes:
    """Return a change as an event; its id is the revision to resume from."""
    return b"id: %d\ndata: %b\n\n" % (change.revision, change_json(change))


@lru_cache(maxsize=1)
def events(changes: tuple[Change, ...]) -> bytes:
    """Return changes as events; encoded once for all followers that are at the same changes."""
    return b"".join(map(event, changes))


def opening(revision: int, retry_ms: int) -> bytes:
    """Return the beginning of a stream: the time to wait before reconnecting, and the position.

    An id without data dispatches no event, but is remembered (§9.2.6): a client that is cut off before the first change
    resumes without a gap.
    """
    return b"retry: %d\nid: %d\n\n" % (retry_ms, revision)


def retry(milliseconds: int) -> bytes:
    """Return the end of a stream: the time to wait before reconnecting, no event (§9.2.6)."""
    return b"retry: %d\n\n" % milliseconds


def last_event_id(value: str | None) -> int | None:
    """Return the revision of a Last-Event-ID field; None if it is missing or empty (§9.2.4).

    Raises BadInputError for one that no event of ours had as its id.
    """
    return revision_number("Last-Event-ID", value) if value else None

"""Changes as JSON, and as server-sent events (WHATWG HTML §9.2)."""

from functools import lru_cache

from taskservice.datamodel import Change
from taskservice.http.parameters import revision_number

COMMENT = b":\n\n"
"""A comment: it keeps the connection alive, and says nothing (§9.2.7)."""


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
    """Return changes as events; for all followers that come to the same changes they are made once."""
    return b"".join(map(event, changes))


def opening(revision: int, retry_ms: int) -> bytes:
    """Return how a stream begins: how long to wait before coming back, and where it is.

    An id without data raises no event at the client, but is kept (§9.2.6): one that is cut off
    before the first change resumes without a gap.
    """
    return b"retry: %d\nid: %d\n\n" % (retry_ms, revision)


def retry(milliseconds: int) -> bytes:
    """Return how long to wait before coming back, at the end of a stream: no event (§9.2.6)."""
    return b"retry: %d\n\n" % milliseconds


def last_event_id(value: str | None) -> int | None:
    """Return the revision of a Last-Event-ID field; None if it is not there, or empty (§9.2.4).

    Raises BadInputError for what no event of ours had as its id.
    """
    return revision_number("Last-Event-ID", value) if value else None

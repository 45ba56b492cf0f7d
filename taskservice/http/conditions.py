"""Conditional requests: from their fields to their outcome (RFC 9110 §13)."""

import time
from collections.abc import Callable
from http import HTTPStatus

from taskservice.errors import BadInputError
from taskservice.http.dates import parse_http_date
from taskservice.http.etag import ETags
from taskservice.http.fields import shorten
from taskservice.precondition import NO_REVISION, UNCONDITIONAL, Precondition

READ_FIELDS = ("if-match", "if-unmodified-since", "if-none-match", "if-modified-since")
"""The conditions of GET and HEAD, in the order of their evaluation (§13.2.2)."""

WRITE_FIELDS = READ_FIELDS[:3]
"""Those of PUT, PATCH and DELETE; If-Modified-Since is ignored there (§13.1.3)."""


def read_outcome(
    etag: str, modified: int | None, now: float, match: str | None, unmodified_since: str | None,
    none_match: str | None, modified_since: str | None
) -> HTTPStatus:
    """Return how to answer a GET or HEAD with these READ_FIELDS: OK, 304 or 412.

    `modified` (None: not known) and `now` are in seconds since the epoch. A field that is no list of tags matches
    nothing, and fails nothing either.
    """
    if match is not None:
        tags = ETags.parse(match)
        failed = tags is not None and not tags.matches_strongly(etag)
    else:
        failed = _was_modified_by(modified, unmodified_since, now) is False
    if failed:
        return HTTPStatus.PRECONDITION_FAILED
    if none_match is None:
        known = _was_modified_by(modified, modified_since, now)
    else:  # usually it is exactly the tag
        known = none_match == etag or (
            (tags := ETags.parse(none_match)) is not None and tags.matches_weakly(etag))
    return HTTPStatus.NOT_MODIFIED if known else HTTPStatus.OK


def _was_modified_by(modified: int | None, field: str | None, now: float) -> bool | None:
    """Return whether it was `modified` by the date of a field; None if either is missing."""
    if field is None or modified is None or (date := parse_http_date(field, now)) is None:
        return None
    return modified <= date


def is_conditional(
    match: str | None, unmodified_since: str | None, none_match: str | None
) -> bool:
    """Return whether a write with these WRITE_FIELDS has a condition: a malformed date is none."""
    return not (match is None and none_match is None) or (
        parse_http_date(unmodified_since, time.time()) is not None)


def write_precondition(
    match: str | None, unmodified_since: str | None, none_match: str | None, *,
    now: Callable[[], float] = time.time
) -> Precondition:
    """Return the condition of a write with these WRITE_FIELDS.

    Raises BadInputError, which names the field, for one that is no list of tags.
    """
    if match is None and unmodified_since is None and none_match is None:
        return UNCONDITIONAL
    matching, excluded = _tags("If-Match", match), _tags("If-None-Match", none_match)
    return Precondition(
        match=None if matching is None else matching.strong_revisions,
        weak=NO_REVISION if matching is None else matching.weak_revisions,
        unmodified_since=parse_http_date(unmodified_since, now()) if match is None else None,
        none_match=NO_REVISION if excluded is None else excluded.revisions,
        now=now)


def _tags(name: str, value: str | None) -> ETags | None:
    """Return the tags of a field, which may be missing; raises BadInputError."""
    if value is None:
        return None
    if (tags := ETags.parse(value)) is None:
        raise BadInputError(
            f'{name}: expected * or a list of entity tags such as "123", quotes included, got '
            f"'{shorten(value)}'")
    return tags

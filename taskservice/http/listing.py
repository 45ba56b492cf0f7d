"""The query of a list, and the cursor to its next page."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import orjson

from taskservice.datamodel import (
    TASK_ID, SortKey, TaskPriority, TaskQuery, TaskSort, is_sort_key, search_words)
from taskservice.errors import BadInputError
from taskservice.http.fields import remembered
from taskservice.http.parameters import (
    ascii_query, bad_value, check_length, epoch_seconds, parse_query, revision_number,
    whole_number)

MAX_PAGE_SIZE = 1000
"""The largest `limit`."""

STREAMED_AT_ONCE = 100
"""How many tasks of a list without a `limit` are read and written at a time."""

MAX_WORDS = 10
"""Maximum number of words in a search: each is another condition for the engine."""

MAX_WORD_LENGTH = 100
"""Maximum length of a word in a search, folded, in characters."""

MAX_CURSOR_LENGTH = 1_228
"""Maximum length of a cursor, in characters: a title key of 200 characters of 4 bytes fits."""

_BOOLEANS = {"true": True, "false": False}
_PRIORITIES = {priority.value: priority for priority in TaskPriority}
_SORTS = {sort.value: sort for sort in TaskSort}
_SORTS_OF_TEXT = (TaskSort.CREATED, TaskSort.TITLE)
_CURSOR = re.compile(rf"([A-Za-z0-9_-]+)\.({TASK_ID.pattern})")
_FINGERPRINT_BYTES = 8


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A list that a client asks for: which tasks, and whether one page of them (else all, in pages).

    `parameters` are all but the cursor, as they were sent; `fingerprint` identifies the list.
    """

    query: TaskQuery
    limited: bool
    parameters: str
    fingerprint: bytes

    def next_link(self, path: str, end: tuple[SortKey, str]) -> str:
        """Return the Link to the tasks after the `end` of this page (RFC 8288 §3)."""
        cursor = encode_cursor(self.fingerprint, self.query.sort, *end)
        return f'<{path}?{self.parameters}&cursor={cursor}>; rel="next"'


@remembered
def parse_list_query(raw: str | None) -> ListRequest:
    """Parse the query of a list; raises BadInputError, naming the parameter."""
    values = parse_query(raw or "", PARAMETERS, ("priority",))
    parameters = check_length(_without_cursor(raw or ""))
    query = _read_query(values)
    fingerprint = _fingerprint(query)
    if "cursor" in values:
        after = decode_cursor(fingerprint, query.sort, values["cursor"][0])
        query = replace(query, after=after)
    return ListRequest(query, "limit" in values, parameters, fingerprint)


@dataclass(frozen=True, slots=True)
class ChangesRequest:
    """The changes that a client asks for: after which revision, and at most how many."""

    since: int | None
    limit: int


@remembered
def parse_changes_query(raw: str | None) -> ChangesRequest:
    """Parse the query of changes; raises BadInputError, naming the parameter."""
    values = parse_query(raw or "", ("since", "limit"))
    check_length(ascii_query(raw or ""))
    since, limit = values.get("since"), values.get("limit")
    return ChangesRequest(
        since=None if since is None else revision_number("since", since[0]),
        limit=MAX_PAGE_SIZE if limit is None else whole_number("limit", limit[0], 1, MAX_PAGE_SIZE))


def _without_cursor(query: str) -> str:
    parts = ascii_query(query).split("&")
    return "&".join(part for part in parts if part and not _is_cursor(part))


def _is_cursor(part: str) -> bool:
    """Return whether a part of a query is the cursor, however its name is encoded."""
    return bool(parse_query(part, PARAMETERS).get("cursor"))


def _read_query(values: Mapping[str, list[str]]) -> TaskQuery:
    """Parse everything but the cursor."""
    members: dict[str, Any] = {"limit": STREAMED_AT_ONCE}
    for name, given in values.items():
        if name != "cursor":
            members |= _READERS[name](name, given)
    return TaskQuery(**members)


def _choose(name: str, value: str, choices: Mapping[str, Any]) -> Any:
    if value not in choices:
        raise bad_value(name, f"one of {', '.join(choices)}", value)
    return choices[value]


def _words(value: str) -> tuple[str, ...]:
    words = search_words(value)
    if len(words) > MAX_WORDS or "\0" in value or any(
            len(word) > MAX_WORD_LENGTH for word in words):
        raise bad_value(
            "q", f"at most {MAX_WORDS} words of at most {MAX_WORD_LENGTH} characters each, and no "
            "U+0000", value)
    return words


def _read_sort(value: str) -> dict[str, Any]:
    name = value.removeprefix("-")
    if name not in _SORTS:
        raise bad_value("sort", f"one of {', '.join(_SORTS)}, with or without - before it", value)
    return {"sort": _SORTS[name], "descending": name != value}


_READERS: Mapping[str, Callable[[str, list[str]], dict[str, Any]]] = {
    "completed": lambda name, given: {name: _choose(name, given[0], _BOOLEANS)},
    "priority": lambda name, given: {
        "priorities": frozenset(_choose(name, each, _PRIORITIES) for each in given)},
    "due_before": lambda name, given: {name: epoch_seconds(name, given[0])},
    "due_after": lambda name, given: {name: epoch_seconds(name, given[0])},
    "q": lambda name, given: {"words": _words(given[0])},
    "sort": lambda name, given: _read_sort(given[0]),
    "limit": lambda name, given: {name: whole_number(name, given[0], 1, MAX_PAGE_SIZE)},
}
"""The part of the TaskQuery that each parameter of a list sets."""

PARAMETERS = (*_READERS, "cursor")


def encode_cursor(fingerprint: bytes, sort: TaskSort, key: SortKey, task_id: str) -> str:
    """Return a position as a cursor: opaque, and valid for one list only.

    It is base64url (RFC 4648 §5) of the list's fingerprint and the sort key, a dot, and the id. Text is in it as UTF-8,
    since JSON may need six bytes for a character of one.
    """
    position = fingerprint + (str(key).encode() if sort in _SORTS_OF_TEXT else orjson.dumps(key))
    return base64.urlsafe_b64encode(position).rstrip(b"=").decode() + "." + task_id


def decode_cursor(fingerprint: bytes, sort: TaskSort, cursor: str) -> tuple[SortKey, str]:
    """Return the position in a cursor, sort key and id; raises BadInputError."""
    position, task_id = _unpack(cursor)
    if position[:_FINGERPRINT_BYTES] != fingerprint:
        raise bad_value("cursor", "one of a list with the same filters and sort", cursor)
    raw = position[_FINGERPRINT_BYTES:]
    try:
        key = raw.decode() if sort in _SORTS_OF_TEXT else orjson.loads(raw)
    except ValueError as error:  # of both decoders
        raise _damaged(cursor) from error
    if not is_sort_key(sort, key, task_id):
        raise _damaged(cursor)
    return key, task_id


def _unpack(cursor: str) -> tuple[bytes, str]:
    match = _CURSOR.fullmatch(cursor) if len(cursor) <= MAX_CURSOR_LENGTH else None
    if match is None:
        raise _damaged(cursor)
    try:
        return base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4)), match[2]
    except binascii.Error as error:
        raise _damaged(cursor) from error


def _damaged(cursor: str) -> BadInputError:
    return bad_value("cursor", "the one in the Link to a next page, unchanged", cursor)


def _fingerprint(query: TaskQuery) -> bytes:
    """Return what identifies a list: a digest of filters and sort, the same in every process."""
    facts = [query.sort.value, query.descending, *(
        (name, sorted(each.value for each in value) if isinstance(value, frozenset) else value)
        for name, value in query.filters().items())]
    return blake2b(repr(facts).encode(), digest_size=_FINGERPRINT_BYTES).digest()

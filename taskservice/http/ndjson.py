"""Tasks as lines of JSON (NDJSON), out and in."""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, overload

import orjson

from taskservice.datamodel import MAX_ID_LENGTH, TASK_ID, StoredTask, TaskEntry
from taskservice.errors import (
    InvalidTaskError, MalformedBodyError, TooManyLinesError, Violation)
from taskservice.validation import check_size, check_task, parse_json, shorten

MAX_VIOLATIONS = 100
"""How many violations an error lists; later lines are not checked."""

_TRIPLE = frozenset({"id", "revision", "task"})

_LINE = re.compile(rb"[^ \t\r\n][^\n]*")
"""A line from its first character that is not blank; the search skips blank lines fast."""


def task_lines(tasks: Iterable[StoredTask]) -> bytes:
    """Return one line for each task: `{"id", "revision", "task"}`."""
    return b"".join(
        b'{"id": "%b", "revision": %d, "task": %b}\n' % (task.id.encode(), task.revision, task.body)
        for task in tasks)


def created_lines(created: Iterable[tuple[str, int]]) -> bytes:
    """Return one line for each task that was created, `{"id", "revision"}`, in the order of the request."""
    return b"".join(
        b'{"id": "%b", "revision": %d}\n' % (task_id.encode(), revision)
        for task_id, revision in created)


class _Tasks(Sequence[tuple[str | None, TaskEntry]]):
    """The ids and tasks of a checked body; a task is decoded each time it is asked for.

    Decoded tasks take up to four times the memory of their lines, and encoders need one at a time.
    """

    def __init__(self, body: bytes, starts: Sequence[int], ids: Sequence[str | None]) -> None:
        self._body = body
        self._starts = starts
        self._ids = ids

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> tuple[str | None, TaskEntry]: ...

    @overload
    def __getitem__(self, index: slice) -> "_Tasks": ...

    def __getitem__(self, index: int | slice) -> "tuple[str | None, TaskEntry] | _Tasks":
        if isinstance(index, slice):
            return _Tasks(self._body, self._starts[index], self._ids[index])
        return self._ids[index], self._decoded(self._starts[index])

    def __iter__(self) -> Iterator[tuple[str | None, TaskEntry]]:
        return zip(self._ids, map(self._decoded, self._starts))

    def _decoded(self, start: int) -> TaskEntry:
        end = self._body.find(b"\n", start)
        document = orjson.loads(self._body[start:end if end >= 0 else None])
        return TaskEntry.from_dict(document.get("task", document))


@dataclass(frozen=True, slots=True)
class Batch:
    """The tasks of a body, in order, with their ids if they have any; `lines` has the line number of each."""

    tasks: Sequence[tuple[str | None, TaskEntry]]
    ids: Sequence[str | None]
    lines: Sequence[int]

    def id_taken(self, task_id: str) -> InvalidTaskError:
        """Make the error for an id that turns out to exist already."""
        line = self.lines[self.ids.index(task_id)]
        return InvalidTaskError([Violation(f"/{line}/id", f"'{task_id}' exists already")])


def parse_batch(
    body: bytes, max_lines: int | None = None, max_task: int | None = None
) -> Batch:
    """Parse one task a line, or `{"id", "revision", "task"}` as in answers; empty lines count.

    A revision is ignored. Raises InvalidTaskError with the first violations, whose pointers start with the line (from
    1), TooManyLinesError before it parses a line, and TaskTooLargeError for a task of more than `max_task` bytes as
    JSON. A line takes microseconds: run it in a thread if there may be very many.
    """
    if max_lines is not None and _has_more_lines(body, max_lines):
        raise TooManyLinesError(
            f"The body has more than {max_lines} lines, the limit http.max-ndjson-lines")
    ids: list[str | None] = []
    starts, lines = array("Q"), array("Q")
    given: set[str] = set()
    violations: list[Violation] = []
    for number, start, line in _lines(body):
        try:
            task_id, entry = _parse(line, given)
        except InvalidTaskError as error:
            violations += [Violation(f"/{number}{v.pointer}", v.detail) for v in error.violations]
            if len(violations) >= MAX_VIOLATIONS:
                break
        else:
            # As JSON of ours it is hardly longer than its line, so usually it need not be encoded.
            if max_task is not None and len(line) > max_task // 2:
                check_size(entry, max_task, f"line {number}: ")
            ids.append(task_id)
            starts.append(start)
            lines.append(number)
    if not (ids or violations):
        violations = [Violation("", "expected a task a line, got none")]
    if violations:
        raise InvalidTaskError(violations[:MAX_VIOLATIONS])
    return Batch(_Tasks(body, starts, ids), ids, lines)


def _has_more_lines(body: bytes, limit: int) -> bool:
    """Return whether more than `limit` lines have content."""
    # There is at most one more line than line feeds: usually counting these is enough.
    return body.count(b"\n") >= limit and sum(1 for _ in islice(_lines(body), limit + 1)) > limit


def _lines(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the lines with content: number, offset and content of each."""
    number, start = 1, 0
    for match in _LINE.finditer(body):
        number += body.count(b"\n", start, match.start())
        start = match.start()
        yield number, start, match[0].rstrip(b" \t\r")


def _parse(line: bytes, given: set[str]) -> tuple[str | None, TaskEntry]:
    """Parse a line; raises InvalidTaskError with pointers from the line's own document.

    The id of the line, if any, is added to `given`.
    """
    try:
        document = parse_json(line)
    except MalformedBodyError as error:
        raise InvalidTaskError([Violation("", str(error))]) from error
    if not (isinstance(document, dict) and "task" in document):
        return None, check_task(document)
    violations = _check_triple(document, given)
    try:
        entry = check_task(document["task"])
    except InvalidTaskError as error:
        violations += [Violation(f"/task{v.pointer}", v.detail) for v in error.violations]
    if violations:
        raise InvalidTaskError(violations)
    return document["id"], entry


def _check_triple(document: dict[str, Any], given: set[str]) -> list[Violation]:
    """Return the faults of a triple besides its task."""
    task_id = document.get("id")
    violations = [
        Violation(f"/{_token(name)}", "expected id, revision and task, and nothing else")
        for name in sorted(document.keys() - _TRIPLE)[:MAX_VIOLATIONS]]
    if not (isinstance(task_id, str) and TASK_ID.fullmatch(task_id)):
        violations.append(Violation(
            "/id", f"expected 1 to {MAX_ID_LENGTH} of the characters a-z, A-Z, 0-9, -"))
    elif task_id in given:
        violations.append(Violation("/id", "an earlier line has this id"))
    else:
        given.add(task_id)
    return violations


def _token(name: str) -> str:
    """Return a member's name as a token of a JSON Pointer (RFC 6901 §3), cut to a readable length."""
    return shorten(name).replace("~", "~0").replace("/", "~1")

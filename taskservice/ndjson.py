"""Tasks as lines of JSON (NDJSON), out and in."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from taskservice.datamodel import TASK_ID, StoredTask, TaskEntry
from taskservice.errors import InvalidTaskError, MalformedBodyError, Violation
from taskservice.validation import check_task, parse_json, shorten

MOST_VIOLATIONS = 100
"""How many violations are told; the lines after them are not looked at."""

_TRIPLE = frozenset({"id", "revision", "task"})


def task_lines(tasks: Iterable[StoredTask]) -> bytes:
    """Return a line a task: `{"id", "revision", "task"}`."""
    return b"".join(
        b'{"id": "%b", "revision": %d, "task": %b}\n' % (task.id.encode(), task.revision, task.body)
        for task in tasks)


def created_lines(created: Iterable[tuple[str, int]]) -> bytes:
    """Return a line a task that was created, `{"id", "revision"}`, in the order of the request."""
    return b"".join(
        b'{"id": "%b", "revision": %d}\n' % (task_id.encode(), revision)
        for task_id, revision in created)


@dataclass(frozen=True, slots=True)
class Batch:
    """The tasks of a body, in order, with the ids that they have; `lines` has each one's line."""

    tasks: Sequence[tuple[str | None, TaskEntry]]
    lines: Sequence[int]

    def id_taken(self, task_id: str) -> InvalidTaskError:
        """Make the error for an id that turns out to exist already."""
        found = (line for (id_, _), line in zip(self.tasks, self.lines) if id_ == task_id)
        return InvalidTaskError([Violation(f"/{next(found)}/id", f"'{task_id}' exists already")])


def parse_batch(body: bytes) -> Batch:
    """Read a task a line, or `{"id", "revision", "task"}` as they come out; empty lines count.

    A revision is passed over. Raises InvalidTaskError with the first violations, whose pointers
    start with the line (from 1). A line takes microseconds: run it in a thread where there may be
    very many.
    """
    tasks: list[tuple[str | None, TaskEntry]] = []
    lines = array("L")
    given: set[str] = set()
    violations: list[Violation] = []
    for number, line in _lines(body):
        try:
            tasks.append(_parse(line, given))
        except InvalidTaskError as error:
            violations += [Violation(f"/{number}{v.pointer}", v.detail) for v in error.violations]
            if len(violations) >= MOST_VIOLATIONS:
                break
        else:
            lines.append(number)
    if not (tasks or violations):
        violations = [Violation("", "expected a task a line, got none")]
    if violations:
        raise InvalidTaskError(violations[:MOST_VIOLATIONS])
    return Batch(tasks, lines)


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Go through the lines with something on them, without a copy of all of them."""
    number, start = 0, 0
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        number += 1
        if line := body[start:end].strip(b" \t\r"):
            yield number, line
        start = end + 1


def _parse(line: bytes, given: set[str]) -> tuple[str | None, TaskEntry]:
    """Read a line; raises InvalidTaskError, its pointers from the line's own document.

    An id that it has is added to those `given`.
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
    """Return what is wrong with a triple beside its task."""
    task_id = document.get("id")
    violations = [
        Violation(f"/{_token(name)}", "expected id, revision and task, and nothing else")
        for name in sorted(document.keys() - _TRIPLE)[:MOST_VIOLATIONS]]
    if not (isinstance(task_id, str) and TASK_ID.fullmatch(task_id)):
        violations.append(Violation("/id", "expected 1 to 128 of the characters a-z, A-Z, 0-9, -"))
    elif task_id in given:
        violations.append(Violation("/id", "an earlier line has this id"))
    else:
        given.add(task_id)
    return violations


def _token(name: str) -> str:
    """Return a member's name as a token of a JSON Pointer (RFC 6901 §3), not too long."""
    return shorten(name).replace("~", "~0").replace("/", "~1")

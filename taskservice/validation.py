"""Validation by the task's JSON Schema: from JSON to a TaskEntry, or every reason why not.

jsonschema-rs, compiled once, checks in under a microsecond. orjson decodes: it is strict where Python's own json is not
(no NaN or Infinity, no lone surrogate, only UTF-8, bounded nesting).
"""

from typing import Any

import jsonschema_rs
import orjson

from taskservice import read_schema
from taskservice.datamodel import TaskEntry
from taskservice.errors import (
    InvalidTaskError, MalformedBodyError, TaskTooLargeError, Violation)

TASK_SCHEMA = read_schema("todoList-v1.0")

DETAIL_LENGTH = 160
"""How many characters of a violation an error shows: it may quote a whole value."""

_validator = jsonschema_rs.validator_for(TASK_SCHEMA)


def parse_json(body: bytes) -> Any:
    """Decode JSON (RFC 8259) in UTF-8; raises MalformedBodyError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedBodyError("Invalid JSON body") from error


def check_task(document: Any) -> TaskEntry:
    """Make an entry from a decoded document; raises InvalidTaskError with every violation."""
    if not _validator.is_valid(document):
        raise InvalidTaskError([
            Violation(_pointer(error.instance_path), shorten(error.message))
            for error in _validator.iter_errors(document)])
    return TaskEntry.from_dict(document)


def parse_task(body: bytes) -> TaskEntry:
    """Make an entry from JSON; raises MalformedBodyError, InvalidTaskError."""
    return check_task(parse_json(body))


def check_size(entry: TaskEntry, max_task: int, where: str = "") -> TaskEntry:
    """Return the entry; raises TaskTooLargeError if its JSON has more than `max_task` bytes.

    The message begins with `where`, the place of the task in a body of several.
    """
    if (size := len(entry.to_json())) > max_task:
        raise TaskTooLargeError(
            f"{where}the task has {size} bytes as JSON, and the limit is {max_task}: twice "
            "http.max-body, and 1 KiB")
    return entry


def _pointer(path: list[str | int]) -> str:
    """Return the JSON Pointer (RFC 6901) of a path."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def shorten(text: str) -> str:
    """Return the text, cut to a length that a message should have."""
    return text if len(text) <= DETAIL_LENGTH else f"{text[:DETAIL_LENGTH]}…"

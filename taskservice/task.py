"""A task as a client writes it: one table of its members, from which its JSON is made and read."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from json.encoder import encode_basestring
from operator import attrgetter
from typing import Any


class TaskPriority(Enum):
    """How urgent a task is, most urgent first."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"
    NONE = "none"

    @property
    def rank(self) -> int:
        """The place in the order of urgency: 0 for the most urgent."""
        return _RANKS[self]


_PRIORITIES = {priority.value: priority for priority in TaskPriority}
_RANKS = {priority: rank for rank, priority in enumerate(TaskPriority)}


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """A task as a client writes it: None stands for a member that was not sent.

    `due_date` is in seconds since the epoch and keeps its type: 1 stays 1, and 1.5 stays 1.5.
    """

    title: str
    description: str | None = None
    priority: TaskPriority | None = None
    completed: bool | None = None
    due_date: int | float | None = None

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> "TaskEntry":
        """Make an entry of a document that conforms to the schema; KeyError without a title."""
        values: list[Any] = [members["title"], *map(members.get, _NAMES[1:])]
        for place, decode in _DECODED:
            if values[place] is not None:
                values[place] = decode(values[place])
        return cls(*values)

    def to_dict(self) -> dict[str, Any]:
        """Return the members that were sent, in the order of the schema."""
        return {
            name: value.value if isinstance(value, Enum) else value
            for name, value in zip(_NAMES, _values(self)) if value is not None}

    def to_json(self) -> bytes:
        """Encode the entry as JSON (RFC 8259) in UTF-8, as clients get it.

        By hand, in half the time that an encoder takes to find out what is what.
        """
        return f"""{{{', '.join([
            prefix + encode(value) for prefix, encode, value in zip(_PREFIXES, _ENCODERS, _values(self))
            if value is not None])}}}""".encode()


def _number(value: int | float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"JSON has no {value}")
    return repr(value)


@dataclass(frozen=True, slots=True)
class Member:
    """How a member of a task is written in JSON, and how it is made of what JSON has."""

    encode: Callable[[Any], str]
    """Gives the JSON of a value."""
    decode: Callable[[Any], Any] | None = None
    """Gives the value of decoded JSON; None: it is the same."""


MEMBERS = {
    "title": Member(encode_basestring),
    "description": Member(encode_basestring),
    "priority": Member(lambda priority: f'"{priority.value}"', _PRIORITIES.__getitem__),
    "completed": Member({True: "true", False: "false"}.__getitem__),
    "due_date": Member(_number),
}
"""The members of a task, in the order of the schema and of TaskEntry."""

# In columns, as loops over these take half the time of loops over MEMBERS.
_NAMES = tuple(MEMBERS)
_PREFIXES = tuple(f'"{name}": ' for name in MEMBERS)
_ENCODERS = tuple(member.encode for member in MEMBERS.values())
_DECODED = tuple(
    (place, member.decode) for place, member in enumerate(MEMBERS.values())
    if member.decode is not None)
_values = attrgetter(*MEMBERS)

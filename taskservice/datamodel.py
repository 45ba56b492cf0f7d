"""The object data model: a task, what an engine hands out, and what an engine is asked for."""

import json
import math
import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from json.encoder import encode_basestring
from typing import Any, ClassVar, Mapping

from taskservice.errors import BadInputError
from taskservice.folding import fold

TASK_ID = re.compile("[a-zA-Z0-9-]{1,128}")
"""The form of a task's id, whether the server or a client chose it."""

LARGEST_REVISION = 2 ** 63 - 1
"""The largest that the SQL engines can hold."""

NO_DUE_DATE = float(2 ** 53)
"""Where a task without a due date sorts: after all others, whose magnitude is below this."""

TITLE_KEY_LENGTH = 200
"""How many characters of a title count for sorting; titles that begin alike for as long go by id.

A cursor holds as much, and goes into a `Link`: the head of any answer stays below 4 KiB. An entry of
PostgreSQL's indexes has little more room. A store's `title_key` column depends on it.
"""


DELETION_LIFETIME = 7 * 24 * 3600 * 1_000_000
"""How long a deletion is kept for readers of changes, in microseconds."""

IDEMPOTENCY_KEY_LIFETIME = 24 * 3600 * 1_000_000
"""How long an idempotency key is kept, in microseconds."""


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
        """Make an entry of a document that conforms to the schema (see `representation`)."""
        priority = members.get("priority")
        return cls(
            title=members["title"],
            description=members.get("description"),
            priority=None if priority is None else _PRIORITIES[priority],
            completed=members.get("completed"),
            due_date=members.get("due_date"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the members that were sent, in the order of the schema."""
        members: dict[str, Any] = {"title": self.title}
        if self.description is not None:
            members["description"] = self.description
        if self.priority is not None:
            members["priority"] = self.priority.value
        if self.completed is not None:
            members["completed"] = self.completed
        if self.due_date is not None:
            members["due_date"] = self.due_date
        return members

    def to_json(self) -> bytes:
        """Encode the entry as JSON (RFC 8259) in UTF-8, as clients get it.

        By hand, in half the time that an encoder takes to find out what is what.
        """
        members = ['{"title": ' + encode_basestring(self.title)]
        if self.description is not None:
            members.append('"description": ' + encode_basestring(self.description))
        if self.priority is not None:
            members.append(f'"priority": "{self.priority.value}"')
        if self.completed is not None:
            members.append(f'"completed": {"true" if self.completed else "false"}')
        if self.due_date is not None:
            if not math.isfinite(self.due_date):
                raise ValueError(f"JSON has no {self.due_date}")
            members.append(f'"due_date": {self.due_date!r}')
        return (", ".join(members) + "}").encode()


@dataclass(frozen=True)
class StoredTask:
    """What an engine hands out: a task's id, the revision of its last write, and its JSON.

    The JSON is made once, when the task is written; the entry is parsed from it when asked for.
    """

    id: str
    revision: int
    body: bytes

    member: ClassVar[bytes] = b""
    """The task as it is in a list; kept in the instance once it has been in one."""

    @classmethod
    def of(cls, task_id: str, revision: int, entry: TaskEntry) -> "StoredTask":
        """Encode `entry`, and keep it beside its encoding."""
        task = cls(task_id, revision, entry.to_json())
        task.__dict__["entry"] = entry
        return task

    @cached_property
    def entry(self) -> TaskEntry:
        """The task itself."""
        return TaskEntry.from_dict(json.loads(self.body))


class TaskSort(Enum):
    """What a list can be sorted by; ties go by id.

    CREATED is the order of ids, which is that of creation but for ids that clients chose.
    """

    CREATED = "created"
    UPDATED = "updated"
    DUE_DATE = "due_date"
    PRIORITY = "priority"
    TITLE = "title"


SortKey = int | float | str
"""The id (created), revision (updated), seconds (due_date), rank (priority), title's beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQuery:
    """Which tasks, in which order, from where, and how many at most.

    `words` are folded, and each has to occur in the folded title or description (`fold`). A due
    date has to lie strictly between `due_after` and `due_before` (seconds since the epoch), and be
    there. `after` is the keyset position to go on from: sort key and id of the last task seen.
    `descending` reverses the whole order, ties included.
    """

    completed: bool | None = None
    priorities: frozenset[TaskPriority] = frozenset()
    due_after: float | None = None
    due_before: float | None = None
    words: tuple[str, ...] = ()
    sort: TaskSort = TaskSort.CREATED
    descending: bool = False
    after: tuple[SortKey, str] | None = None
    limit: int = 1000

    def __post_init__(self) -> None:
        """Raise BadInputError for an `after` that is no task's: some engines could not compare it."""
        if self.after is not None and not is_sort_key(self.sort, *self.after):
            raise BadInputError("a position to go on from that no task has")

    @property
    def filtered(self) -> bool:
        """Whether tasks may be left out."""
        return bool(
            self.priorities or self.words or self.completed is not None
            or self.due_after is not None or self.due_before is not None)

    def sort_key(self, task: StoredTask) -> tuple[SortKey, str]:
        """Return where `task` stands in this order: its sort key and its id."""
        return sort_key(self.sort, task.id, task.revision, task.entry), task.id

    def matches(self, entry: TaskEntry) -> bool:
        """Tell whether `entry` passes the filters."""
        due = entry.due_date
        return (
            (self.completed is None or self.completed is bool(entry.completed))
            and (not self.priorities or (entry.priority or TaskPriority.NONE) in self.priorities)
            and (self.due_after is None or due is not None and due > self.due_after)
            and (self.due_before is None or due is not None and due < self.due_before)
            and (not self.words or _contains(search_text(entry), self.words))
        )


def _contains(text: str, words: tuple[str, ...]) -> bool:
    return all(word in text for word in words)


def sort_key(sort: TaskSort, task_id: str, revision: int, entry: TaskEntry) -> SortKey:
    """Return what a task is sorted by, with the schema's defaults for what was not sent."""
    match sort:
        case TaskSort.CREATED:
            return task_id
        case TaskSort.UPDATED:
            return revision
        case TaskSort.DUE_DATE:
            return NO_DUE_DATE if entry.due_date is None else entry.due_date
        case TaskSort.PRIORITY:
            return (entry.priority or TaskPriority.NONE).rank
        case TaskSort.TITLE:
            return entry.title[:TITLE_KEY_LENGTH]


def is_sort_key(sort: TaskSort, key: object, task_id: str) -> bool:
    """Tell whether a task with this id may have `key` as its sort key."""
    match sort:
        case TaskSort.CREATED:
            return key == task_id
        case TaskSort.UPDATED:
            return type(key) is int and 0 <= key <= LARGEST_REVISION
        case TaskSort.DUE_DATE:
            return (isinstance(key, (int, float)) and type(key) is not bool
                    and abs(key) <= NO_DUE_DATE)
        case TaskSort.PRIORITY:
            return type(key) is int and 0 <= key < len(TaskPriority)
        case TaskSort.TITLE:
            return isinstance(key, str) and "\0" not in key


def search_text(entry: TaskEntry) -> str:
    """Return what a search looks in: title and description, folded, on lines of their own.

    A word has no white space in it, so none can match across the two.
    """
    return fold(f"{entry.title}\n{entry.description or ''}")


def search_words(text: str) -> tuple[str, ...]:
    """Return the words that a text asks for, folded, each once."""
    return tuple(dict.fromkeys(fold(text).split()))


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A page of a list: the store's revision when it was read, its tasks, whether more follow."""

    revision: int
    tasks: tuple[StoredTask, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Change:
    """The latest write of one id: the task as it is now, or None where it was deleted."""

    id: str
    revision: int
    task: StoredTask | None


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Changes in the order of their revisions, and the revision to go on from."""

    revision: int
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key for a safe retry: whose it is, the key, and the digest of the body it is for.

    Source: draft-ietf-httpapi-idempotency-key-header.
    """

    owner: str
    key: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Created:
    """What a create made: id and revision of each task, in order; `replayed` if it was earlier."""

    tasks: tuple[tuple[str, int], ...]
    replayed: bool = False

"""The data model: a task, queries, pages and changes, as engines take and return them."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from itertools import accumulate
from operator import attrgetter
from typing import Any

from taskservice.errors import BadInputError
from taskservice.folding import fold
from taskservice.stored_task import StoredTask as StoredTask
from taskservice.task import TaskEntry as TaskEntry, TaskPriority as TaskPriority

MAX_ID_LENGTH = 128
"""Maximum length of a task's id, in characters."""

TASK_ID = re.compile(f"[a-zA-Z0-9-]{{1,{MAX_ID_LENGTH}}}")
"""The form of a task's id, chosen by the server or by a client."""

MAX_REVISION = 2 ** 63 - 1
"""The largest revision that the SQL engines can store."""

NO_DUE_DATE = float(2 ** 53)
"""The sort key of a task without a due date: after all others, which are smaller in magnitude."""

TITLE_KEY_LENGTH = 200
"""How many characters of a title count for sorting; titles that agree in them are ordered by id.

A cursor holds as many and goes into a `Link`, and the head of any answer has to stay below 4 KiB. An entry of
PostgreSQL's indexes has little more room. The stores' column `title_key` depends on it.
"""


DELETION_LIFETIME = 7 * 24 * 3600 * 1_000_000
"""How long readers of changes can learn of a deletion, in microseconds."""

IDEMPOTENCY_KEY_LIFETIME = 24 * 3600 * 1_000_000
"""How long an idempotency key is kept, in microseconds."""

MAX_FOLDED_GROWTH = 2
"""The folded text of a task has at most this many times the characters of the text itself, or MIN_FOLDED."""

MIN_FOLDED = 500

PAGE_BYTES = 512 * 1024
"""Bytes of JSON of the tasks that are read together with their page; the others are `unread`."""

PORTION_BYTES = 256 * 1024
"""Bytes of JSON in a portion of an answer, unless its first task alone is larger.

The service holds little more than that for a reader, however slow it is and however large the answer.
"""


class TaskSort(Enum):
    """What a list can be sorted by; ties are ordered by id.

    CREATED is the order of ids, which is the order of creation except for ids that clients chose.
    """

    CREATED = "created"
    UPDATED = "updated"
    DUE_DATE = "due_date"
    PRIORITY = "priority"
    TITLE = "title"


SortKey = int | float | str
"""The id (created), revision (updated), seconds (due_date), rank (priority), or first characters of the title."""


@dataclass(frozen=True, slots=True)
class Facet:
    """A value that lists filter or sort by, derived from a task; the SQL engines have a column for each.

    Members that were not sent count as the schema's defaults.
    """

    name: str
    kind: type
    """The type of the column: str, bool, int or float."""
    of: Callable[[TaskEntry | StoredTask], Any]
    sort: TaskSort | None = None
    """The sort order whose key it is; `largest` is the limit of a number."""
    largest: float = 0

    def is_key(self, key: object) -> bool:
        """Return whether a task may have `key` as its sort key."""
        if self.kind is str:
            return isinstance(key, str) and "\0" not in key
        if self.kind is int:
            return type(key) is int and 0 <= key <= self.largest
        return type(key) in (int, float) and abs(key) <= self.largest  # type: ignore[arg-type]  # a number


FACETS = (
    Facet("title_key", str, lambda entry: entry.title[:TITLE_KEY_LENGTH], TaskSort.TITLE),
    Facet("completed", bool, lambda entry: bool(entry.completed)),
    Facet("priority", int, lambda entry: (entry.priority or TaskPriority.NONE).rank,
          TaskSort.PRIORITY, len(TaskPriority) - 1),
    Facet("due_date", float, lambda entry: NO_DUE_DATE if entry.due_date is None else entry.due_date,
          TaskSort.DUE_DATE, NO_DUE_DATE),
)

SORTED = {facet.sort: facet for facet in FACETS if facet.sort is not None}
"""The facets that lists can be sorted by; the other orders go by id and revision."""


def _filter(default: Any, passes: Callable[[Any, StoredTask], bool]) -> Any:
    """Declare a field of TaskQuery that filters tasks, unless it has its default."""
    return field(default=default, metadata={"passes": passes})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQuery:
    """Selects and orders tasks: the filters, the order, where to start, and how many at most.

    `words` are folded, and each has to occur in the folded title or description (`fold`). With `due_after` or
    `due_before` (seconds since the epoch) a task needs a due date strictly between them. `after` is the position to go
    on from: sort key and id of the last task of the page before. `descending` reverses the whole order, ties included.
    """

    completed: bool | None = _filter(None, lambda value, task: bool(task.completed) is value)
    priorities: frozenset[TaskPriority] = _filter(
        frozenset(), lambda values, task: (task.priority or TaskPriority.NONE) in values)
    due_after: float | None = _filter(
        None, lambda value, task: task.due_date is not None and task.due_date > value)
    due_before: float | None = _filter(
        None, lambda value, task: task.due_date is not None and task.due_date < value)
    words: tuple[str, ...] = _filter(
        (), lambda words, task: _contains(search_text(task.entry), words))
    sort: TaskSort = TaskSort.CREATED
    descending: bool = False
    after: tuple[SortKey, str] | None = None
    limit: int = 1000

    def __post_init__(self) -> None:
        """Raise BadInputError for an `after` that no task can have: some engines could not compare it."""
        if self.after is not None and not is_sort_key(self.sort, *self.after):
            raise BadInputError("a position to go on from that no task has")

    def filters(self) -> dict[str, Any]:
        """Return the filters in use, with their values."""
        return {
            name: value for name, value, default in zip(FILTERS, _filter_values(self), _UNFILTERED)
            if value != default}

    @property
    def filtered(self) -> bool:
        """Whether any filter is in use."""
        return bool(_filter_values(self) != _UNFILTERED)

    def sort_key(self, task: StoredTask) -> tuple[SortKey, str]:
        """Return the position of `task` in this order: its sort key and its id."""
        return _SORT_KEYS[self.sort](task), task.id

    def matcher(self) -> Callable[[StoredTask], bool]:
        """Return what finds out whether a task passes the filters."""
        used = [(FILTERS[name], value) for name, value in self.filters().items()]

        def matches(task: StoredTask) -> bool:
            for passes, value in used:
                if not passes(value, task):
                    return False
            return True
        return matches


FILTERS: Mapping[str, Callable[[Any, StoredTask], bool]] = {
    each.name: each.metadata["passes"] for each in fields(TaskQuery) if each.metadata}
"""The filters of TaskQuery: each takes its value and a task, and returns whether the task passes."""

_UNFILTERED = tuple(each.default for each in fields(TaskQuery) if each.metadata)
_filter_values = attrgetter(*FILTERS)


def _contains(text: str, words: tuple[str, ...]) -> bool:
    return all(word in text for word in words)


_SORT_KEYS: Mapping[TaskSort, Callable[[StoredTask], SortKey]] = {
    TaskSort.CREATED: attrgetter("id"), TaskSort.UPDATED: attrgetter("revision"),
    **{sort: facet.of for sort, facet in SORTED.items()}}
"""What a task is sorted by, with the schema's defaults for members that were not sent."""


def is_sort_key(sort: TaskSort, key: object, task_id: str) -> bool:
    """Return whether a task with this id may have `key` as its sort key."""
    match sort:
        case TaskSort.CREATED:
            return key == task_id
        case TaskSort.UPDATED:
            return type(key) is int and 0 <= key <= MAX_REVISION
        case _:
            return SORTED[sort].is_key(key)


def search_text(entry: TaskEntry) -> str:
    """Return the text that searches look in: title and description, folded, each on a line of its own.

    A word has no white space, so none can match across the two. Some texts become far longer by folding, such as U+FDFA
    alone (18 characters each); of these only the beginning is searched, so that what is stored stays in proportion to
    what was sent.
    """
    text = f"{entry.title}\n{entry.description or ''}"
    return fold(text)[:max(MAX_FOLDED_GROWTH * len(text), MIN_FOLDED)]


def search_words(text: str) -> tuple[str, ...]:
    """Return the folded words of a search, each once."""
    return tuple(dict.fromkeys(fold(text).split()))


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A page of a list, as it was when the store had `revision`.

    Tasks beyond PAGE_BYTES are `unread`: their ids follow `tasks` in the page's order. `end` is the position from which
    the next page goes on; None on the last page.
    """

    revision: int
    tasks: tuple[StoredTask, ...]
    end: tuple[SortKey, str] | None = None
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Portion:
    """Tasks looked up by id: those that exist among the first `read` of the ids asked for."""

    tasks: tuple[StoredTask, ...]
    read: int


@dataclass(frozen=True, slots=True)
class Change:
    """The latest write of one id: the task as it is now, or None if it was deleted."""

    id: str
    revision: int
    task: StoredTask | None

    @property
    def size(self) -> int:
        """The length of its JSON in bytes."""
        return 0 if self.task is None else self.task.size


def fitting(sizes: Iterable[int], limit: int) -> int:
    """Return how many of these sizes, from the first, add up to at most `limit`; at least one."""
    return max(1, bisect_right(list(accumulate(sizes)), limit))


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Changes in the order of their revisions, the revision to go on from, and whether more follow."""

    revision: int
    changes: tuple[Change, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key for a safe retry: the client, the key, and the digest of the request body.

    Source: draft-ietf-httpapi-idempotency-key-header.
    """

    owner: str
    """The client's name, or empty: keys without an owner hold for every client, since a client whose request got no
    answer may get a name before it tries again."""
    key: str
    digest: bytes

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Owner and key of each earlier create that would be this one, the client's own first."""
        return ((self.owner, self.key), ("", self.key)) if self.owner else ((self.owner, self.key),)


@dataclass(frozen=True, slots=True)
class Created:
    """The result of a create: id and revision of each task, in order; `replayed` if an earlier request made them."""

    tasks: tuple[tuple[str, int], ...]
    replayed: bool = False

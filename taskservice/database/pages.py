"""The statements that read a page of a list, for both SQL engines.

Every sort has an index that begins with `completed` and `priority`. Each pair of them is a part of
that index, in the order of the sort; a list is merged from the parts that its filters admit, which
reads a handful of entries whatever is filtered. Two filters are left:

- a range of due dates, which each entry of an index can be checked for without its row;
- words, for which the text of each task has to be looked at.

Here it depends on how many tasks pass. Where many do, walking in the order of the sort finds a
page soon; where few do, it is quicker to find them all and sort them. So there are two statements:
a walk that goes no further than a number of tasks, and, for when it has not filled the page, one
that finds all.

Statements use `$1, $2, …` in the order of their first occurrence, which asyncpg and apsw both take.
Numbers of filters stand in the text, so that a plan for any position knows them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from taskservice.datamodel import NO_DUE_DATE, TaskPriority, TaskQuery, TaskSort

DATES_WALKED = 10_000
"""After how many entries of an index the walk for due dates ends: some milliseconds."""

TEXTS_WALKED = 2_000
"""After how many tasks the walk for words ends: each text is looked up by its id."""

SORT_COLUMNS = {
    TaskSort.CREATED: ("id",),
    TaskSort.UPDATED: ("revision", "id"),
    TaskSort.DUE_DATE: ("due_date", "id"),
    TaskSort.PRIORITY: ("priority", "id"),
    TaskSort.TITLE: ("title_key", "id"),
}

INDEXES = {
    TaskSort.CREATED: "tasks_filtered_created",
    TaskSort.UPDATED: "tasks_filtered_updated",
    TaskSort.DUE_DATE: "tasks_filtered_due_date",
    TaskSort.PRIORITY: "tasks_filtered_created",
    TaskSort.TITLE: "tasks_filtered_title",
}

Statement = tuple[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Dialect:
    """In what the statements of the engines differ."""

    contains: str
    """The function (text, part) that answers a position, 0 for none."""
    indexed_by: str
    """How a table in FROM is told which `{index}` to use; empty where the planner finds it."""
    part: str
    """A `{select}` of a UNION ALL in an `{order}`, of which at most `{limit}` rows are wanted."""
    looked_up: str
    """Tables in FROM: each id that `{found}` gives as `found`, and its task, looked up for each."""


SQLITE = Dialect(
    contains="instr", indexed_by=" INDEXED BY {index}", part="{select}",
    looked_up="({found}) CROSS JOIN tasks INDEXED BY sqlite_autoindex_tasks_1 ON tasks.id = found")
POSTGRES = Dialect(
    contains="strpos", indexed_by="", part="({select} ORDER BY {order} LIMIT {limit})",
    # As PostgreSQL expects a third of all texts to have a word, it would read the whole table.
    looked_up="({found}) AS texts, LATERAL (SELECT * FROM tasks WHERE id = found OFFSET 0) AS tasks")


def page_statements(query: TaskQuery, dialect: Dialect) -> list[Statement]:
    """Return the statements of a page, with their arguments; each selects at least id, revision, body.

    Each asks for one task more than the limit: that one shows that there are more. The last
    statement finds every task there is; one before it has the page where it fills it.
    """
    if query.words:
        return [_Page(query, dialect).walked(), _Page(query, dialect).searched()]
    if _due_range(query) and query.sort is not TaskSort.DUE_DATE:
        return [_Page(query, dialect).walked(), _Page(query, dialect).in_range()]
    return [_Page(query, dialect).merged()]


class _Page:
    """A statement in the making, with its arguments."""

    def __init__(self, query: TaskQuery, dialect: Dialect) -> None:
        self._query = query
        self._dialect = dialect
        self._arguments: list[Any] = []
        self._columns = SORT_COLUMNS[query.sort]
        self._order = _listed(
            f"{column} DESC" if query.descending else column for column in self._columns)
        self._rows = query.limit + 1

    def merged(self) -> Statement:
        """Return the statement of a page for which an index decides all."""
        query, columns = self._query, ("id", "revision", "body")
        if query.filtered or query.sort not in (TaskSort.CREATED, TaskSort.UPDATED):
            return self._merge(columns, self._parts(), self._rows), self._arguments
        return (f"SELECT {_listed(columns)} FROM tasks{_where(self._after())} "
                f"ORDER BY {self._order} LIMIT {self._rows}"), self._arguments

    def walked(self) -> Statement:
        """Return the statement that checks the first tasks in the order of the sort."""
        query = self._query
        checks = _due_range(query)
        if query.sort is TaskSort.PRIORITY:
            parts = self._parts_by_completed()
            checks.append(f"priority IN ({_listed(_ranks(query))})")
        else:
            parts = self._parts()
        limit = DATES_WALKED
        if query.words:
            limit = TEXTS_WALKED
            checks.append(f"(SELECT {self._has_words()} FROM texts WHERE texts.id = walked.id)")
        walk = self._merge(("id", "due_date"), parts, limit)
        return self._rows_of(
            f"SELECT id FROM ({walk}) AS walked{_where(checks)} LIMIT {self._rows}")

    def in_range(self) -> Statement:
        """Return the statement that finds the tasks in a range of due dates, and sorts them."""
        table = f"tasks{self._indexed_by(TaskSort.DUE_DATE)}"
        return self._rows_of(f"SELECT id FROM {self._sorted(table)}")

    def searched(self) -> Statement:
        """Return the statement that looks at all texts, and sorts the tasks that it finds."""
        found = f"SELECT id AS found FROM texts WHERE {self._has_words()}"
        return self._rows_of(
            f"SELECT id FROM {self._sorted(self._dialect.looked_up.format(found=found))}")

    def _sorted(self, table: str) -> str:
        query = self._query
        conditions = [
            f"completed IN ({_listed(_completed(query))})",
            f"priority IN ({_listed(_ranks(query))})", *_due_range(query), *self._after()]
        return f"{table}{_where(conditions)} ORDER BY {self._order} LIMIT {self._rows}"

    def _merge(
        self, columns: Sequence[str], parts: Sequence[Sequence[str]], limit: int
    ) -> str:
        """Merge parts of the sort's index, each given by its conditions, into one order."""
        selected = _listed(dict.fromkeys((*columns, *self._columns)))
        table = f"tasks{self._indexed_by(self._query.sort)}"
        selects = [f"SELECT {selected} FROM {table}{_where(conditions)}" for conditions in parts]
        if len(selects) > 1:
            selects = [
                self._dialect.part.format(select=select, order=self._order, limit=limit)
                for select in selects]
        return f"{' UNION ALL '.join(selects)} ORDER BY {self._order} LIMIT {limit}"

    def _parts(self) -> list[list[str]]:
        """Return the conditions of each part that the filters admit."""
        query = self._query
        if query.sort is TaskSort.PRIORITY and not query.priorities:
            return self._parts_by_completed()
        conditions = _due_range(query) if query.sort is TaskSort.DUE_DATE else []
        return [
            [f"completed = {completed}", f"priority = {rank}", *conditions, *self._after(rank)]
            for completed, rank in product(_completed(query), _ranks(query))]

    def _parts_by_completed(self) -> list[list[str]]:
        """Return the conditions of parts with all priorities, which are in the order of those."""
        return [
            [f"completed = {completed}", *self._after()] for completed in _completed(self._query)]

    def _after(self, rank: int | None = None) -> list[str]:
        """Return the condition that a task comes after the query's position, if there is one.

        In a part with one priority, its `rank`, the position is simpler. It has to be: SQLite does
        not find the place of a pair in an index where the first of it is a constant.
        """
        query = self._query
        if query.after is None:
            return []
        key, task_id = query.after
        if rank is None or query.sort is not TaskSort.PRIORITY:
            key = float(key) if query.sort is TaskSort.DUE_DATE else key
            return [self._beyond(self._columns, (key, task_id)[-len(self._columns):])]
        if rank == key:
            return [self._beyond(("id",), (task_id,))]
        assert isinstance(key, int)
        return [] if (rank < key) is query.descending else ["false"]

    def _beyond(self, columns: Sequence[str], values: Sequence[Any]) -> str:
        operator = "<" if self._query.descending else ">"
        placeholders = _listed(map(self._placeholder, values))
        return f"({_listed(columns)}) {operator} ({placeholders})"

    def _has_words(self) -> str:
        contains = self._dialect.contains
        return " AND ".join(
            f"{contains}(search_text, {self._placeholder(word)}) > 0"
            for word in self._query.words)

    def _placeholder(self, value: Any) -> str:
        """Return the placeholder of an argument; a value that several parts need has one."""
        if value not in self._arguments:
            self._arguments.append(value)
        return f"${self._arguments.index(value) + 1}"

    def _indexed_by(self, sort: TaskSort) -> str:
        return self._dialect.indexed_by.format(index=INDEXES[sort])

    def _rows_of(self, ids: str) -> Statement:
        """Return the statement that reads the tasks of which another gives the ids."""
        return (f"SELECT id, revision, body FROM tasks WHERE id IN ({ids}) "
                f"ORDER BY {self._order} LIMIT {self._rows}"), self._arguments


def _completed(query: TaskQuery) -> Sequence[bool]:
    return (False, True) if query.completed is None else (query.completed,)


def _ranks(query: TaskQuery) -> Sequence[int]:
    return sorted(priority.rank for priority in query.priorities or TaskPriority)


def _due_range(query: TaskQuery) -> list[str]:
    conditions = []
    if query.due_after is not None:
        conditions.append(f"due_date > {float(query.due_after)!r}")
    if query.due_before is not None:
        conditions.append(f"due_date < {float(query.due_before)!r}")
    return [*conditions, f"due_date < {NO_DUE_DATE!r}"] if conditions else []


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))

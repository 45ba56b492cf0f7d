"""The statements that read a page of a list, for both SQL engines.

Every sort has an index that begins with `completed` and `priority`. Each pair of them is a part of
that index, in the order of the sort; a list is merged from the parts that its filters admit, which
reads a handful of entries whatever is filtered. Two filters are left:

- a range of due dates, which each entry of an index can be checked for without its row;
- words, for which the text of each task has to be looked at.

Here it depends on how many tasks pass. Where many do, walking in the order of the sort finds a
page soon; where few do, it is quicker to find them all and sort them. So there are two statements:
a walk that goes no further than a number of tasks, and, for when it has not filled the page, one
that finds all. The walk says whether it was cut short: in a small store it never is.

In between is a range with many tasks of which none comes early in the sort, such as those that are due
next year, by creation. There PostgreSQL goes on in the order of the sort: an entry that it passes over
costs a third of one that it sorts. How many tasks are in the range is seen in the first ones by title.

Where the store has a search index, that finds the few texts which a word may be in, and only those
are looked at.

Statements use `$1, $2, …` in the order of their first occurrence, which asyncpg and apsw both take.
Numbers of filters stand in the text, so that a plan for any position knows them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import Any

from taskservice.datamodel import (
    FILTERS, NO_DUE_DATE, PAGE_BYTES, SORTED, StoredTask, TaskPage, TaskPriority, TaskQuery, TaskSort)

DATES_WALKED = 3_000
"""How many entries of an index the walk for due dates checks: about a millisecond."""

TEXTS_WALKED = 2_000
"""How many tasks the walk for words checks: each text is looked up by its id."""

SORT_COLUMNS: Mapping[TaskSort, Sequence[str]] = {
    TaskSort.CREATED: ("id",), TaskSort.UPDATED: ("revision", "id"),
    **{sort: (facet.name, "id") for sort, facet in SORTED.items()}}

INDEXES = {sort: f"tasks_filtered_{sort.value}" for sort in TaskSort} | {
    TaskSort.PRIORITY: "tasks_filtered_created"}

RANGES = {"due_after": ("due_date", ">"), "due_before": ("due_date", "<")}
"""The filters that an entry of an index decides: its column, and the comparison with the value."""

_RANGED = tuple(dict.fromkeys(column for column, _ in RANGES.values()))

_OTHERS = {"completed", "priorities", "words"}
if unknown := FILTERS.keys() - RANGES.keys() - _OTHERS:
    raise NotImplementedError(f"no statement knows the filters {unknown}")

CUT = ""
"""The id in a row that is no task: there are tasks that a walk has not come to."""

Statement = tuple[str, Sequence[Any]]

Candidates = Callable[[Sequence[str]], Sequence[tuple[str, str]]]
"""Returns, for words, conditions on `texts` that a search index can check, each with its argument for `{}`.

All texts with these words fulfil them; there are none if the index is of no help.
"""


@dataclass(frozen=True, slots=True)
class Dialect:
    """The differences between the statements of the engines."""

    contains: str
    """The function (text, part) that returns a position, 0 for none."""
    indexed_by: str
    """How a table in FROM names the `{index}` to use; empty if the planner finds it."""
    part: str
    """A `{select}` of a UNION ALL in an `{order}`, of which at most `{limit}` rows are needed."""
    gathered: str
    """A `{table}` in FROM, of which all rows `{where}` are found, with `{columns}`, and then sorted."""
    looked_up: str
    """Tables in FROM: each id in `{found}` as `found`, and its task, looked up for each."""
    many: float | None
    """From this share of tasks in a range of due dates on, it is quicker to pass over the others; None if never."""


SQLITE = Dialect(
    contains="instr", indexed_by=" INDEXED BY {index}", part="{select}",
    gathered="{table}{where}",
    looked_up="({found}) CROSS JOIN tasks INDEXED BY sqlite_autoindex_tasks_1 ON tasks.id = found",
    many=None)
POSTGRES = Dialect(
    contains="strpos", indexed_by="", part="({select} ORDER BY {order} LIMIT {limit})",
    # With many tasks in the range, the planner would walk along the sort's index, hoping to meet some soon.
    gathered="(SELECT {columns} FROM {table}{where} OFFSET 0) AS tasks",
    # PostgreSQL expects a third of all texts to have a word, so it would read the whole table.
    looked_up="({found}) AS texts, LATERAL (SELECT * FROM tasks WHERE id = found OFFSET 0) AS tasks",
    many=1 / 6)


PageRow = tuple[str, int, bytes | None]
"""The id, revision and JSON of a task; a JSON too large to be read with the page is None."""


def max_body(query: TaskQuery) -> int:
    """Return how many bytes a task's JSON may have to be read with its page: with these all fit PAGE_BYTES."""
    return PAGE_BYTES // (query.limit + 1)


def task_page(revision: int, rows: Sequence[PageRow], query: TaskQuery) -> TaskPage:
    """Make a page from its rows; if there is one more, the last one of the page has its JSON."""
    tasks: list[StoredTask] = []
    for task_id, written, body in rows[:query.limit]:
        if body is None:
            break
        tasks.append(StoredTask(task_id, written, body))
    end = None
    if len(rows) > query.limit:
        task_id, written, body = rows[query.limit - 1]
        assert body is not None
        end = query.sort_key(StoredTask(task_id, written, body))
    unread = tuple(task_id for task_id, _, _ in rows[len(tasks):query.limit])
    return TaskPage(revision, tuple(tasks), end, unread)


def page_statements(
    query: TaskQuery, dialect: Dialect, candidates: Candidates | None = None
) -> list[Statement]:
    """Return the statements of a page, with their arguments; each selects at least id, revision, body.

    Each asks for one task more than the limit: that one shows that there are more. A statement has
    the page unless `CUT` is among its ids: then the next one has it.
    """
    if query.words:
        return [_Page(query, dialect).walked(), _Page(query, dialect).searched(candidates)]
    if _ranges(query) and query.sort is not TaskSort.DUE_DATE:
        statements = [_Page(query, dialect).walked(), _Page(query, dialect).in_range()]
        if dialect.many and query.sort is not TaskSort.TITLE:
            statements.insert(1, _Page(query, dialect).in_order(dialect.many))
        return statements
    return [_Page(query, dialect).merged()]


class _Page:
    """A statement under construction, with its arguments."""

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
            return self._merge(columns, self._parts(_ranges(query)), self._rows), self._arguments
        return (f"SELECT {_listed(columns)} FROM tasks{_where(self._after())} "
                f"ORDER BY {self._order} LIMIT {self._rows}"), self._arguments

    def walked(self) -> Statement:
        """Return the statement that checks the first tasks in the order of the sort."""
        query = self._query
        checks = _ranges(query)
        if query.sort is TaskSort.PRIORITY:
            parts = self._parts_by_completed()
            checks.append(f"priority IN ({_listed(_ranks(query))})")
        else:
            parts = self._parts()
        limit = DATES_WALKED
        if query.words:
            limit = TEXTS_WALKED
            checks.append(f"(SELECT {self._has_words()} FROM texts WHERE texts.id = walked.id)")
        walk = self._merge(("id", *_RANGED), parts, limit)
        page, arguments = self._rows_of(
            f"SELECT id FROM ({walk}) AS walked{_where(checks)} LIMIT {self._rows}")
        # The second part runs only where the first one does not reach the limit.
        return (f"SELECT * FROM ({page}) AS page UNION ALL SELECT '{CUT}', 0, '' WHERE EXISTS "
                f"(SELECT 1 FROM ({walk}) AS walked LIMIT 1 OFFSET {limit - 1}) "
                f"LIMIT {self._rows}"), arguments

    def in_order(self, many: float) -> Statement:
        """Return the statement that goes on in the order of the sort, if a share of `many` is in the range.

        The share is that of the first tasks by title, on which due dates rarely depend. If they mislead,
        the page is the same and takes longer.
        """
        query = self._query
        titles = _Page(TaskQuery(
            sort=TaskSort.TITLE, completed=query.completed, priorities=query.priorities), self._dialect)
        number = ceil(DATES_WALKED / 3)
        sample = titles._merge(("due_date",), titles._parts(), number)
        found = self._merge(("id",), self._parts(_ranges(query)), self._rows)
        page, arguments = self._rows_of(f"SELECT id FROM ({found}) AS found WHERE (SELECT many FROM share)")
        return (f"WITH share AS MATERIALIZED (SELECT count(*) >= {ceil(many * number)} AS many "
                f"FROM ({sample}) AS sample{_where(_ranges(query))}) "
                f"SELECT * FROM ({page}) AS page UNION ALL "
                f"SELECT '{CUT}', 0, '' WHERE NOT (SELECT many FROM share)"), arguments

    def in_range(self) -> Statement:
        """Return the statement that finds the tasks in a range of due dates, and sorts them.

        A list by priority takes one priority after the other, and none of those that come after a full page.
        """
        table = f"tasks{self._indexed_by(TaskSort.DUE_DATE)}"
        if self._query.sort is not TaskSort.PRIORITY:
            return self._rows_of(f"SELECT id FROM {self._sorted(table)}")
        parts = [f"SELECT id FROM (SELECT id FROM {self._sorted(table, rank)}) AS part"
                 for rank in sorted(_ranks(self._query), reverse=self._query.descending)]
        return self._rows_of(f"{' UNION ALL '.join(parts)} LIMIT {self._rows}")

    def searched(self, candidates: Candidates | None) -> Statement:
        """Return the statement that looks at all texts, and sorts the tasks that it finds."""
        conditions = [
            condition.format(self._placeholder(argument))
            for condition, argument in (candidates(self._query.words) if candidates else ())]
        found = f"SELECT id AS found FROM texts{_where([*conditions, self._has_words()])}"
        return self._rows_of(
            f"SELECT id FROM {self._sorted(self._dialect.looked_up.format(found=found))}")

    def _sorted(self, table: str, rank: int | None = None) -> str:
        """Return what follows `SELECT id FROM` for the first tasks of a table, or of one priority."""
        query = self._query
        ranks = _ranks(query) if rank is None else [rank]
        conditions = [
            f"completed IN ({_listed(_completed(query))})",
            f"priority IN ({_listed(ranks)})", *_ranges(query), *self._after(rank)]
        gathered = self._dialect.gathered.format(
            columns=_listed(dict.fromkeys(("id", *self._columns))), table=table,
            where=_where(conditions))
        return f"{gathered} ORDER BY {self._order} LIMIT {self._rows}"

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

    def _parts(self, conditions: Sequence[str] = ()) -> list[list[str]]:
        """Return the conditions of each part that the filters admit, with others that its entries decide."""
        query = self._query
        if query.sort is TaskSort.PRIORITY and not query.priorities:
            return self._parts_by_completed(conditions)
        return [
            [f"completed = {completed}", f"priority = {rank}", *conditions, *self._after(rank)]
            for completed, rank in product(_completed(query), _ranks(query))]

    def _parts_by_completed(self, conditions: Sequence[str] = ()) -> list[list[str]]:
        """Return the conditions of parts with all priorities, which are ordered by priority."""
        return [
            [f"completed = {completed}", *conditions, *self._after()] for completed in _completed(self._query)]

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
        """Return the statement that reads the tasks whose ids another statement returns."""
        return (f"SELECT id, revision, body FROM tasks WHERE id IN ({ids}) "
                f"ORDER BY {self._order} LIMIT {self._rows}"), self._arguments


def _completed(query: TaskQuery) -> Sequence[bool]:
    return (False, True) if query.completed is None else (query.completed,)


def _ranks(query: TaskQuery) -> Sequence[int]:
    return sorted(priority.rank for priority in query.priorities or TaskPriority)


def _ranges(query: TaskQuery) -> list[str]:
    """Return the conditions of ranges: at most one for each end; tasks without a value are in none."""
    conditions: dict[tuple[str, str], float] = {}
    for name, value in query.filters().items():
        if name in RANGES:
            conditions[RANGES[name]] = min(float(value), NO_DUE_DATE)
    for column, _ in list(conditions):
        conditions.setdefault((column, "<"), NO_DUE_DATE)
    return [f"{column} {operator} {value!r}" for (column, operator), value in conditions.items()]


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))

"""What the SQL engines share: the columns of a task, and the statement of a page.

The table `tasks` has the task as JSON (`body`) and, derived from it, what lists filter and sort by.
Statements use `$1, $2, …` in the order of their first occurrence, which asyncpg and apsw both take.
"""

from typing import Any

from taskservice.datamodel import (
    NO_DUE_DATE, TITLE_KEY_LENGTH, TaskEntry, TaskPriority, TaskQuery, TaskSort,
    search_text)

SORT_COLUMNS = {
    TaskSort.CREATED: ("id",),
    TaskSort.UPDATED: ("revision", "id"),
    TaskSort.DUE_DATE: ("due_date", "id"),
    TaskSort.PRIORITY: ("priority", "id"),
    TaskSort.TITLE: ("title_key", "id"),
}

TASK_COLUMNS = (
    "id", "revision", "body", "title_key", "completed", "priority", "due_date", "search_text")


def task_values(entry: TaskEntry, body: bytes) -> tuple[Any, ...]:
    """Return the values of TASK_COLUMNS after id and revision; no due date is NO_DUE_DATE."""
    due_date = NO_DUE_DATE if entry.due_date is None else float(entry.due_date)
    return (
        body.decode(), entry.title[:TITLE_KEY_LENGTH],
        bool(entry.completed), (entry.priority or TaskPriority.NONE).rank, due_date,
        search_text(entry))


class _Arguments(list[Any]):
    """The arguments of a statement; adding one gives its placeholder."""

    def add(self, value: Any) -> str:
        self.append(value)
        return f"${len(self)}"


def page_sql(query: TaskQuery, *, contains: str) -> tuple[str, list[Any]]:
    """Return the statement of a page, and its arguments; it selects id, revision, body.

    It asks for one task more than the limit: that one tells whether there are more. `contains` is
    the name of the engine's function (text, part) that answers a position, 0 for none.
    """
    arguments = _Arguments()
    conditions = _filters(query, contains, arguments)
    columns = SORT_COLUMNS[query.sort]
    if query.after is not None:
        position = _position(query.sort, *query.after)
        values = ", ".join(arguments.add(value) for value in position)
        operator = "<" if query.descending else ">"
        conditions.append(f"({', '.join(columns)}) {operator} ({values})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    direction = " DESC" if query.descending else ""
    order = ", ".join(column + direction for column in columns)
    limit = arguments.add(query.limit + 1)
    statement = f"SELECT id, revision, body FROM tasks{where} ORDER BY {order} LIMIT {limit}"
    return statement, arguments


def _filters(query: TaskQuery, contains: str, arguments: _Arguments) -> list[str]:
    """Return the conditions; numbers are in the text, so that a plan for any position knows them."""
    conditions = []
    if query.completed is not None:
        conditions.append(f"completed = {query.completed}")
    if query.priorities:
        ranks = sorted(priority.rank for priority in query.priorities)
        conditions.append(f"priority IN ({', '.join(map(str, ranks))})")
    if query.due_after is not None:
        conditions.append(f"due_date > {float(query.due_after)!r}")
    if query.due_before is not None:
        conditions.append(f"due_date < {float(query.due_before)!r}")
    if query.due_after is not None or query.due_before is not None:
        conditions.append(f"due_date < {NO_DUE_DATE!r}")
    conditions += [f"{contains}(search_text, {arguments.add(word)}) > 0" for word in query.words]
    return conditions


def _position(sort: TaskSort, key: Any, task_id: str) -> tuple[Any, ...]:
    match sort:
        case TaskSort.CREATED:
            return (task_id,)
        case TaskSort.DUE_DATE:
            return (float(key), task_id)
        case _:
            return (key, task_id)

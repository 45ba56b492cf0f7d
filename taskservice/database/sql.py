"""What the SQL engines share: the columns of a task.

The table `tasks` has the task as JSON (`body`) and, derived from it, what lists filter and sort by;
the table `texts`, apart so that a search reads nothing else, what a search looks in.
"""

from typing import Any

from taskservice.datamodel import (
    NO_DUE_DATE, TITLE_KEY_LENGTH, TaskEntry, TaskPriority, search_text)

TASK_COLUMNS = ("id", "revision", "body", "title_key", "completed", "priority", "due_date")
"""The columns of `tasks`."""


def task_values(entry: TaskEntry, body: bytes) -> tuple[Any, ...]:
    """Return the values of TASK_COLUMNS after id and revision, and the text that a search looks in.

    No due date is NO_DUE_DATE.
    """
    due_date = NO_DUE_DATE if entry.due_date is None else float(entry.due_date)
    return (
        body.decode(), entry.title[:TITLE_KEY_LENGTH],
        bool(entry.completed), (entry.priority or TaskPriority.NONE).rank, due_date,
        search_text(entry))

"""A store in a few plain lines, to hold the engines against: a dict, and no care for speed."""

from typing import Any, Callable, Sequence

from taskservice.datamodel import (
    NO_DUE_DATE, Change, ChangePage, Created, IdempotencyKey, StoredTask, TaskEntry, TaskPage,
    TaskPriority, TaskQuery, TaskSort)
from taskservice.errors import (
    ChangesExpiredError, IdempotencyKeyReusedError, StaleRevisionError, TaskExistsError,
    TaskNotFoundError)
from taskservice.folding import fold
from taskservice.precondition import UNCONDITIONAL, Precondition

DAY = 24 * 3600 * 1_000_000
RANKS = [priority.value for priority in TaskPriority]


class ModelTodoListDB:
    """What every engine has to answer; its methods are those of an engine, without `async`."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.last = 0
        self.kept_since = 0
        self.states: dict[str, tuple[int, TaskEntry | None]] = {}
        self.keys: dict[tuple[str, str], tuple[int, bytes, Created]] = {}

    def forget(self) -> None:
        """Do what a restart does to an engine that keeps nothing but tasks."""
        self.states = {name: state for name, state in self.states.items() if state[1] is not None}
        self.keys = {}
        self.last = self.kept_since = self.next(self.last)

    def next(self, last: int) -> int:
        """Return the revision after `last`."""
        return max(last + 1, self.clock())

    def put(self, task_id: str, entry: TaskEntry | None) -> int:
        """Write a task, or None for a deletion; return the revision."""
        self.last = self.next(self.last)
        self.states[task_id] = (self.last, entry)
        return self.last

    def find(self, task_id: str, condition: Precondition = UNCONDITIONAL) -> StoredTask:
        """Return a task for which the condition holds."""
        revision, entry = self.states.get(task_id, (0, None))
        if entry is None:
            raise TaskNotFoundError(task_id)
        match, latest = condition.match, condition.unmodified_since
        modified = min(revision // 1_000_000, self.clock() // 1_000_000)
        if (match is not None and revision not in match or revision in condition.none_match
                or match is None and latest is not None and modified > latest):
            raise StaleRevisionError(task_id, revision)
        return StoredTask.of(task_id, revision, entry)

    def tasks(self) -> list[StoredTask]:
        """Return all tasks."""
        return [
            StoredTask.of(task_id, revision, entry)
            for task_id, (revision, entry) in self.states.items() if entry is not None]

    def revision(self) -> int:
        return self.last

    def create_tasks(
        self, tasks: Sequence[tuple[str, TaskEntry]], key: IdempotencyKey | None = None
    ) -> Created:
        if key is not None and (replayed := self.replayed(key)) is not None:
            return replayed
        self.check_free([task_id for task_id, _ in tasks])
        created = Created(tuple((task_id, self.put(task_id, entry)) for task_id, entry in tasks))
        if key is not None:
            self.keys[key.owner, key.key] = (self.clock(), key.digest, created)
        return created

    def replayed(self, key: IdempotencyKey) -> Created | None:
        """Return the result of an earlier create with this key, if there is one."""
        for place in key.places:
            written, digest, created = self.keys.get(place, (-DAY, b"", Created(())))
            if self.clock() - written < DAY:
                if digest != key.digest:
                    raise IdempotencyKeyReusedError
                return Created(created.tasks, replayed=True)
        return None

    def check_free(self, task_ids: list[str]) -> None:
        """Raise TaskExistsError for the first id that is taken."""
        for place, task_id in enumerate(task_ids):
            revision, entry = self.states.get(task_id, (0, None))
            if entry is not None or task_id in task_ids[:place]:
                raise TaskExistsError(task_id, revision)

    def read_task(self, task_id: str) -> StoredTask:
        return self.find(task_id)

    def update_task(
        self, task_id: str, entry: TaskEntry, condition: Precondition = UNCONDITIONAL
    ) -> StoredTask:
        self.find(task_id, condition)
        return StoredTask.of(task_id, self.put(task_id, entry), entry)

    def delete_task(self, task_id: str, condition: Precondition = UNCONDITIONAL) -> int:
        self.find(task_id, condition)
        return self.put(task_id, None)

    def read_page(self, query: TaskQuery) -> TaskPage:
        def place(task: StoredTask) -> tuple[Any, str]:
            return sort_value(query.sort, task), task.id
        found = sorted(
            (task for task in self.tasks() if passes(query, task.entry.to_dict())),
            key=place, reverse=query.descending)
        if (after := query.after) is not None:
            found = [
                task for task in found
                if (place(task) < after if query.descending else place(task) > after)]
        tasks, more = found[:query.limit], len(found) > query.limit
        return TaskPage(self.last, tuple(tasks), place(tasks[-1]) if more else None)

    def read_changes(self, since: int | None, limit: int) -> ChangePage:
        if since is not None and not self.kept_since <= since <= self.last:
            raise ChangesExpiredError
        newer = sorted(
            (revision, task_id, entry) for task_id, (revision, entry) in self.states.items()
            if revision > (self.kept_since if since is None else since))
        changes = [
            Change(task_id, revision, None if entry is None else self.find(task_id))
            for revision, task_id, entry in newer[:limit]]
        more = len(newer) > limit
        return ChangePage(changes[-1].revision if more else self.last, tuple(changes), more)


def passes(query: TaskQuery, members: dict[str, Any]) -> bool:
    """Return whether a task passes the filters."""
    due: Any = members.get("due_date")
    if due is None and (query.due_after is not None or query.due_before is not None):
        return False
    texts = [fold(members["title"]), fold(members.get("description", ""))]
    return (
        query.completed in (None, members.get("completed", False))
        and (not query.priorities
             or TaskPriority(members.get("priority", "none")) in query.priorities)
        and (query.due_after is None or due > query.due_after)
        and (query.due_before is None or due < query.due_before)
        and all(any(word in text for text in texts) for word in query.words))


def sort_value(sort: TaskSort, task: StoredTask) -> Any:
    """Return what a task is sorted by before its id."""
    members = task.entry.to_dict()
    return {
        TaskSort.CREATED: task.id,
        TaskSort.UPDATED: task.revision,
        TaskSort.DUE_DATE: members.get("due_date", NO_DUE_DATE),
        TaskSort.PRIORITY: RANKS.index(members.get("priority", "none")),
        TaskSort.TITLE: members["title"][:200],
    }[sort]

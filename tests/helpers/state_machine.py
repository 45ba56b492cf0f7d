"""Engines against the model: after any calls whatever, all of them answer alike."""

import asyncio
from contextlib import ExitStack
from typing import Any, Callable, Mapping

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from taskservice.database.revisions import Clock
from taskservice.database.todolist_db import AbstractTodoListDB
from taskservice.datamodel import IdempotencyKey, TaskEntry, TaskQuery
from taskservice.errors import TaskExistsError, TodoListError
from taskservice.precondition import ANY_REVISION, Precondition, modified_at
from tests.contract import ManualClock, quick_folder
from tests.contract.harness import NOON
from tests.helpers.model import DAY, ModelTodoListDB
from tests.helpers.strategies import client_ids, queries, server_ids, task_entries, task_ids

Maker = Callable[[str, Clock], AbstractTodoListDB]
"""Makes an engine on a folder that is its own."""


batches = st.lists(st.tuples(task_ids, task_entries), max_size=4)
keys = st.builds(
    IdempotencyKey, owner=st.sampled_from(["", "me"]), key=st.sampled_from(["k", "K"]),
    digest=st.sampled_from([b"\0", b"\xff"]))
places = st.integers(0, 20)
revisions = st.lists(st.integers(-1, 1), max_size=2)
conditions = st.fixed_dictionaries({}, optional={
    "match": revisions, "none_match": st.just("any") | revisions,
    "unmodified_since": st.integers(-1, 1)})
"""The conditions of a write: numbers are to be added to the task's revision, or to its second."""


def described(error: TodoListError) -> tuple[Any, ...]:
    """Return what has to be equal of an error."""
    members = dict(vars(error))
    if isinstance(error, TaskExistsError):  # an id that is twice in a batch has no revision yet
        del members["revision"]
    return type(error), members


class EngineMachine(RuleBasedStateMachine):
    """Does the same to engines and the model; a subclass names the engines."""

    tested: Mapping[str, Maker] = {}
    durable = True
    """Whether the tasks outlive the engines."""
    keeps_history = True
    """Whether changes and keys do; where they do not, a start is a revision of its own."""
    beginnings: tuple[int | None, ...] = (None, 0)
    """From where changes can be read, besides the revisions that there were."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.model = ModelTodoListDB(self.clock)
        self.resources = ExitStack()
        self.runner = self.resources.enter_context(asyncio.Runner())
        self.folders: dict[str, str] = {}
        self.engines: dict[str, AbstractTodoListDB] = {}

    @initialize()
    def open(self) -> None:
        for name in self.tested:
            self.folders[name] = self.resources.enter_context(quick_folder())
            self.start(name)
        if not self.keeps_history:
            self.model.forget()

    def start(self, name: str) -> None:
        """Make and start an engine."""
        self.engines[name] = self.tested[name](self.folders[name], self.clock)
        self.runner.run(self.engines[name].start())

    def teardown(self) -> None:
        for engine in self.engines.values():
            self.runner.run(engine.stop())
        self.resources.close()

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of all; compare the outcomes, and return them if they are no error."""
        try:
            expected = getattr(self.model, method)(*arguments)
        except TodoListError as error:
            expected = described(error)
        for name, engine in self.engines.items():
            outcome = self.runner.run(self.outcome(engine, method, arguments))
            note(f"{name}.{method}{arguments} -> {outcome}")
            assert outcome == expected, f"{name}.{method}: {outcome} is not {expected}"
            assert repr(outcome) == repr(expected)
        return expected

    async def outcome(self, engine: AbstractTodoListDB, method: str, arguments: Any) -> Any:
        """Return the result of a call, or the description of its error."""
        try:
            return await getattr(engine, method)(*arguments)
        except TodoListError as error:
            return described(error)

    def conditioned(self, task_id: str, condition: dict[str, Any]) -> Precondition:
        """Return the condition of a write to a task as it is now."""
        revision = self.model.states.get(task_id, (0, None))[0]
        members: dict[str, Any] = {"now": lambda: self.clock() // 1_000_000}
        for name, value in condition.items():
            if name == "unmodified_since":
                members[name] = modified_at(revision, members["now"]()) + value
            else:
                members[name] = ANY_REVISION if value == "any" else [
                    revision + number for number in value]
        return Precondition(**members)

    @rule(task_id=client_ids | server_ids, entry=task_entries)
    def create(self, task_id: str, entry: TaskEntry) -> None:
        self.call("create_tasks", [(task_id, entry)])

    @rule(batch=batches)
    def create_many(self, batch: list[tuple[str, TaskEntry]]) -> None:
        self.call("create_tasks", batch)

    @rule(batch=batches, key=keys)
    def create_with_key(self, batch: list[tuple[str, TaskEntry]], key: IdempotencyKey) -> None:
        self.call("create_tasks", batch, key)

    @rule(task_id=task_ids)
    def read(self, task_id: str) -> None:
        self.call("read_task", task_id)

    @rule(task_id=task_ids, entry=task_entries, condition=conditions)
    def update(self, task_id: str, entry: TaskEntry, condition: dict[str, Any]) -> None:
        self.call("update_task", task_id, entry, self.conditioned(task_id, condition))

    @rule(task_id=task_ids, condition=conditions)
    def delete(self, task_id: str, condition: dict[str, Any]) -> None:
        self.call("delete_task", task_id, self.conditioned(task_id, condition))

    @rule(query=queries())
    def walk(self, query: TaskQuery) -> None:
        page = self.call("read_page", query)
        while page.end is not None:
            query = queries_from(query, page.end)
            page = self.call("read_page", query)

    @rule(place=places, limit=st.integers(1, 6))
    def read_changes(self, place: int, limit: int) -> None:
        """Read from a revision that was seen, or beside one; all the pages, or the error."""
        known = sorted(revision for revision, _ in self.model.states.values())
        starts = [
            *self.beginnings, self.model.last + 1, *known, *(number - 1 for number in known)]
        since = starts[place % len(starts)]
        while not isinstance(page := self.call("read_changes", since, limit), tuple):
            since = page.revision
            if not page.changes:
                break

    @rule(step=st.sampled_from([1, 1000, -1000, DAY * 5 // 9]))
    def set_clock(self, step: int) -> None:
        """Move the clock, but not back into the life of a key: it may be forgotten by then.

        And not beyond the lifetime of a deletion: when one is forgotten is up to the engine.
        """
        if self.clock.now + step < NOON + 6 * DAY:
            self.clock.now += step

    @precondition(lambda self: self.durable)
    @rule()
    def reopen(self) -> None:
        for name, engine in self.engines.items():
            self.runner.run(engine.stop())
            self.start(name)
        if not self.keeps_history:
            self.model.forget()

    @invariant()
    def same_revision(self) -> None:
        self.call("revision")


def queries_from(query: TaskQuery, after: tuple[int | float | str, str]) -> TaskQuery:
    """Return the query of the next page."""
    members = {name: getattr(query, name) for name in TaskQuery.__slots__}
    return TaskQuery(**{**members, "after": after})

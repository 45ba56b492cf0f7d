"""Group commit: writes that are queued while a transaction runs go into the next one.

So one sync of the disk, or one round trip, serves many writers; a write that finds the queue empty is committed at
once, and none waits for company.
"""

import asyncio
import copy
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Generic

from taskservice.database.measurement import Measurement
from taskservice.database.sql.writes import Result, Write
from taskservice.errors import StoreError, TodoListError

MAX_TASKS = 1000
"""Maximum number of tasks that a transaction writes, unless one write alone has more."""


class Queued(Generic[Result]):
    """A write, and the future that its caller awaits; cancelling the caller does not undo the write."""

    __slots__ = ("write", "future")

    def __init__(self, write: Write[Result]) -> None:
        self.write = write
        self.future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    def settle(self, outcome: Result | Exception) -> None:
        """Hand the result to the caller, unless that was cancelled; an exception is raised there."""
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


Group = Sequence[Queued[Any]]
"""The writes of one transaction."""


class WriteQueue:
    """The writes that wait for a transaction, in order, so that none starves.

    The event loop adds them; one thread, the loop's own or another, takes them.
    """

    def __init__(self) -> None:
        self._waiting: deque[Queued[Any]] = deque()
        self._groups = self._grouped = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, write: Write[Result]) -> "asyncio.Future[Result]":
        """Queue a write; the future has its result once it is committed."""
        queued = Queued(write)
        self._waiting.append(queued)
        return queued.future

    def next_group(self) -> Group:
        """Take the writes of the next transaction; none if the queue is empty."""
        group: list[Queued[Any]] = []
        tasks = 0
        while self._waiting:
            tasks += self._waiting[0].write.size
            if group and tasks > MAX_TASKS:
                break
            group.append(self._waiting.popleft())
        if group:
            self._groups += 1
            self._grouped += len(group)
        return group

    def take_all(self) -> Group:
        """Take all writes that are queued."""
        taken = tuple(self._waiting)
        self._waiting.clear()
        return taken

    def measurements(self) -> Iterable[Measurement]:
        """Return how many writes wait, and how they were grouped."""
        return (
            Measurement("store_writes_waiting", "Writes that wait for a transaction", len(self._waiting)),
            Measurement("store_write_groups", "Transactions of writes", self._groups, is_counter=True),
            Measurement("store_grouped_writes", "Writes in these transactions", self._grouped, is_counter=True))


def settle(group: Group, outcomes: Sequence[Any]) -> None:
    """Hand each write of a transaction its result; on the event loop's thread."""
    for queued, outcome in zip(group, outcomes, strict=True):
        queued.settle(outcome)


def failures(error: Exception, count: int, store: str) -> list[Exception]:
    """Return an error for one write, given the error of its transaction.

    One error raised in many places would gather all their tracebacks. An error that is not the domain's becomes the
    cause of a StoreError that names the `store`.
    """
    if not isinstance(error, TodoListError):
        unforeseen = StoreError(f"{store}: {error!r}")
        unforeseen.__cause__ = error
        error = unforeseen
    return [_copied(error) for _ in range(count)]


def _copied(error: Exception) -> Exception:
    copied = copy.copy(error)
    copied.__cause__ = error.__cause__
    return copied

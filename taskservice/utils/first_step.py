"""Starts a coroutine at once: if it ends before it would wait for anything, it needs no task.

A task costs its object, a turn of the event loop and the callback of its end, a tenth of a request. So a coroutine runs
to its first wait in place, and only the rest of it in a task. `_enter_task` and `_leave_task` are public in spite of
their names: asyncio documents them for tasks of another's making ("Extending asyncio").
"""

import asyncio
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine
from contextvars import copy_context
from typing import Any

NAME = "request"
"""The name of the tasks."""

running: set["asyncio.Task[None]"] = set()
"""The tasks that are kept alive."""


def keep(task: "asyncio.Task[None]") -> None:
    """Keep a task alive until it has ended: the loop refers to it only weakly."""
    running.add(task)
    task.add_done_callback(running.discard)


class FirstStep:
    """The current task of a coroutine that has not waited yet.

    Asked for more than its name and its task context (see `taskcontext`), it makes the task that will run the rest of
    the coroutine, and passes the question on: asyncio.timeout and TaskGroup keep the task that they began in.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]) -> None:
        self.context: dict[str, Any] = {}
        self._loop = loop
        self._coroutine = coroutine
        self._variables = copy_context()
        self._rest: _Rest | None = None
        self._task: asyncio.Task[None] | None = None

    def run(self) -> "asyncio.Task[None] | None":
        """Run the first step; return the task that runs the rest, or None if the coroutine has ended.

        Raises what the coroutine raises. No other task may be running.
        """
        try:
            outcome = self._variables.run(self._step)
        except BaseException as error:
            if self._rest is not None:  # somebody has the task, which ends in the same way
                self._rest.outcome = error
            if not isinstance(error, StopIteration):
                raise
        else:
            self._make_task()
            assert self._rest is not None
            self._rest.outcome = outcome
        return self._task

    def _step(self) -> Any:
        """Return what the coroutine waits for; raises StopIteration at its end."""
        _enter_task(self._loop, self)  # type: ignore[arg-type]  # any object may be one
        try:
            return self._coroutine.send(None)
        finally:
            _leave_task(self._loop, self)  # type: ignore[arg-type]

    def _make_task(self) -> "asyncio.Task[None]":
        if self._task is None:
            self._rest = _Rest(self._coroutine)
            task: Any = asyncio.Task(self._rest, loop=self._loop, name=NAME, context=self._variables)
            task.context = self.context
            self._task = task
            keep(task)
        return self._task

    def get_name(self) -> str:
        """Return the name of the task: from Python 3.12 on logging asks for it."""
        return NAME

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make_task(), name)


class _Rest(Coroutine[Any, Any, None]):
    """A coroutine after its first step, which came to an `outcome`: what it waits for, or the error that it raised."""

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine
        self.outcome: Any = None

    def send(self, value: Any) -> Any:
        """Wait, or end, as the first step did; after that go on."""
        outcome, self.outcome = self.outcome, None
        if isinstance(outcome, BaseException):
            raise outcome
        return self._coroutine.send(value) if outcome is None else outcome

    def throw(self, *error: Any) -> Any:
        """Go on with an error: a cancellation before the wait ends first cancels what is waited for, as in a task."""
        outcome, self.outcome = self.outcome, None
        if isinstance(outcome, BaseException):
            raise error[0]
        if outcome is not None and outcome.cancel():
            return outcome
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Close it."""
        self._coroutine.close()

    def __await__(self) -> Any:
        return self

    def __repr__(self) -> str:
        return f"<the rest of {self._coroutine!r}>"

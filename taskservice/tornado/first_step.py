"""Running a coroutine at once up to its first wait: most handlers have answered before they wait for anything.

A task of its own is a tenth of the work on a request (docs/fast.md): the object, a turn of the event loop, callbacks.
So only what waits becomes a task. Python 3.12 has eager tasks for this; the service also runs on 3.11.
"""

import asyncio
from asyncio import _enter_task, _leave_task  # for whoever makes tasks of his own: "Extending" in asyncio's docs
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any, cast

_running: set[asyncio.Task[None]] = set()  # the loop itself would not keep them alive


class FirstStep:
    """Stands in for the task of a coroutine until that waits for something.

    Until then it is what `asyncio.current_task` returns. `asyncio.timeout` and `TaskGroup` keep the task that they
    began in: what they call of it later goes to the real task. But anyio's cancel scopes compare the task at their end
    with that at their beginning: they must not begin before the first wait. `context` holds the values of the task
    context.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.context: dict[str, Any] = {}
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        # As long as there is no task: the messages of cancellations, and how many of these were taken back.
        self._cancellations: list[Any] = []
        self._uncancelled = 0

    def run(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Run a coroutine; return the task that goes on with it, None if it has ended.

        Like a task, it has context variables of its own. What it raises at once is raised here, but for its
        cancellation.
        """
        context, current = copy_context(), cast("asyncio.Task[None]", self)
        _enter_task(self._loop, current)
        try:
            waits_for = context.run(coroutine.send, None)
        except (StopIteration, asyncio.CancelledError):
            return None
        finally:
            _leave_task(self._loop, current)
        return self._become_task(_Rest(coroutine, waits_for), context)

    def _become_task(self, rest: Coroutine[Any, Any, None], context: Context) -> asyncio.Task[None]:
        self._task = task = asyncio.Task(rest, loop=self._loop, context=context)
        task.context = self.context  # type: ignore[attr-defined]  # where aiotask-context looks for it
        _running.add(task)
        task.add_done_callback(_running.discard)
        for message in self._cancellations:
            task.cancel(message)
        for _ in range(self._uncancelled):
            task.uncancel()  # before Python 3.13 it is cancelled all the same
        return task

    # What may be asked of a current task.

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the task; one that does not wait yet is cancelled as soon as it does."""
        if self._task is not None:
            return self._task.cancel(msg)
        self._cancellations.append(msg)
        return True

    def cancelling(self) -> int:
        """Return how many cancellations are pending."""
        if self._task is not None:
            return self._task.cancelling()
        return len(self._cancellations) - self._uncancelled

    def uncancel(self) -> int:
        """Take one of them back, and return how many are left."""
        if self._task is not None:
            return self._task.uncancel()
        self._uncancelled += bool(self.cancelling())
        return self.cancelling()

    def get_name(self) -> str:
        """Return the task's name, which logging may ask for."""
        return "request" if self._task is None else self._task.get_name()

    def done(self) -> bool:
        """Return whether the task has ended: not as long as it runs."""
        return self._task is not None and self._task.done()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop."""
        return self._loop


class _Rest(Coroutine[Any, Any, None]):
    """A coroutine that has been run up to its first wait: it begins with that."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for
        # What a task does with a future that it gets: others cannot await it as long as this is set.
        self._blocking = getattr(waits_for, "_asyncio_future_blocking", False)
        if self._blocking:
            waits_for._asyncio_future_blocking = False
        self._next: Callable[[Any], Any] = self._first

    def _first(self, value: Any) -> Any:
        self._next = self._coroutine.send
        waits_for, self._waits_for = self._waits_for, None
        if self._blocking:
            waits_for._asyncio_future_blocking = True
        return waits_for

    def send(self, value: Any) -> Any:
        """Go on; the first time, wait for what the coroutine waits for."""
        return self._next(value)

    def throw(self, *error: Any) -> Any:
        """Go on with an error: the task was cancelled, perhaps before it has begun to wait."""
        if self._waits_for is not None:  # a task that waits would have cancelled this, and gone on when it has ended
            future = self._first(None)
            if future.cancel(*error[0].args):
                return future
            future._asyncio_future_blocking = False
        self._next = self._coroutine.send
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Close the coroutine."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, None, None]:
        return self._coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)  # where it is, for who looks at all tasks

    def __repr__(self) -> str:
        return repr(self._coroutine)

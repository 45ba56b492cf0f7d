"""Values that follow a request through its tasks, such as the request id.

They live where aiotask-context keeps them, in `task.context`, so its own `get` and `set` work
here too. Only its task factory is replaced: that one shares a single dict between a task and all
of its children, hence between all requests of a keep-alive connection, and takes none of the
keywords that asyncio passes.

A child starts with a copy of its parent's values, as with `contextvars`. A live view of the parent
(the library's `ChainMap`) would show a background task the values of the connection's next
request, and would grow with each generation of tasks.
"""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import aiotask_context

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def install(loop: asyncio.AbstractEventLoop) -> None:
    """Give each task that `loop` creates from now on a copy of its parent's values.

    This replaces any other task factory of the loop.
    """
    loop.set_task_factory(_new_task)


def set(key: str, value: object) -> None:
    """Bind `key` in the current task and in those it creates from now on.

    A task made before install() gets its values here, with nothing inherited. Raises RuntimeError outside a task: a
    request id that was silently lost would be missed only when it is needed.
    """
    _own_values()[key] = value


def bind(values: Mapping[str, object], task: asyncio.Task[Any] | None = None) -> dict[str, Any]:
    """Bind several values at once, as set() does one; return all that the task has, now and later.

    Pass the current `task` if you have it: looking it up without a loop costs a system call on Python 3.11.
    """
    bound = _own_values(task)
    bound.update(values)
    return bound


def add(key: str, amount: float, task: asyncio.Task[Any] | None) -> None:
    """Add to a number of a task, which begins at 0; do nothing if there is no task, or it has no values."""
    values: dict[str, Any] | None = getattr(task, "context", None)
    if values:
        values[key] = values.get(key, 0) + amount


def clear() -> None:
    """Remove the values of the current task: call this in a task that works for no single request."""
    _own_values().clear()


def current() -> Mapping[str, Any]:
    """Return the current task's values, oldest first: a live view, empty outside a task."""
    return getattr(aiotask_context.asyncio_current_task(), "context", _NOTHING)


def _own_values(task: Any = None) -> dict[str, Any]:
    task = task or aiotask_context.asyncio_current_task()
    if task is None:
        raise RuntimeError("the task context can be written only inside a task of a running loop")
    try:
        values: dict[str, Any] = task.context
    except AttributeError:
        task.context = values = {}
    return values


def _inherited(loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
    # A task made in a callback has no parent; one made before install() has no values.
    values: dict[str, Any] | None = getattr(asyncio.current_task(loop), "context", None)
    return {} if values is None else values.copy()


def _new_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    task: Any = asyncio.Task(coro, loop=loop, **options)
    task.context = _inherited(loop)
    return task  # type: ignore[no-any-return]  # Any lends the task its `context`

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
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import aiotask_context

_T = TypeVar("_T")

_NOTHING: Mapping[str, object] = MappingProxyType({})
_ABSENT = object()


def install(loop: asyncio.AbstractEventLoop) -> None:
    """Give each task that `loop` creates from now on a copy of its parent's values.

    A factory that is there already goes on making the tasks. (One that starts them at once, such
    as `asyncio.eager_task_factory`, runs their first step before the values are there; pass
    `eager_start=True` to this one instead.) A second call does nothing.
    """
    installed = loop.get_task_factory()
    if installed is None:
        loop.set_task_factory(_new_task)
    elif installed is not _new_task and not isinstance(installed, _Carrying):
        loop.set_task_factory(_Carrying(installed))


def get(key: str, default: object = None) -> Any:
    """Return the current task's value; `default` where it has none, and outside a task.

    Outside means in a callback, in a thread, without a loop.
    """
    try:
        return aiotask_context.get(key, default)
    except (ValueError, AttributeError):  # no current task; one made before install()
        return default


def set(key: str, value: object) -> None:
    """Bind `key` in the current task and in those it creates from now on.

    A task made before install() gets its values here, with nothing inherited. Raises RuntimeError
    outside a task: a request id that silently went nowhere is missed only when it is needed.
    """
    _own_values()[key] = value


def bind(
    values: Mapping[str, object], task: asyncio.Task[Any] | None = None
) -> Mapping[str, object]:
    """Bind several values at once, as set() does one; return what current() does from now on.

    Who knows the current task may pass it: to find it out takes a system call on Python 3.11.
    """
    bound = _own_values(task)
    bound.update(values)
    return bound


def current() -> Mapping[str, object]:
    """Return the current task's values, oldest first: a live view, empty outside a task."""
    task = aiotask_context.asyncio_current_task()
    values: Mapping[str, object] = getattr(task, "context", _NOTHING)
    return values


class scope:
    """`with scope(req_id=…):` binds values in the current task, then puts back what was there.

    Entering raises RuntimeError outside a task, as set() does.
    """

    __slots__ = ("_bound", "_before", "_values")

    def __init__(self, **values: object) -> None:
        self._bound = values

    def __enter__(self) -> None:
        # Kept for __exit__, which another task may run: the one that closes an async generator.
        self._values = values = _own_values()
        self._before = {key: values.get(key, _ABSENT) for key in self._bound}
        values.update(self._bound)

    def __exit__(self, *_: object) -> None:
        for key, value in self._before.items():
            if value is _ABSENT:
                self._values.pop(key, None)
            else:
                self._values[key] = value


def _own_values(task: Any = None) -> dict[str, object]:
    task = task or aiotask_context.asyncio_current_task()
    if task is None:
        raise RuntimeError("the task context can be written only inside a task of a running loop")
    try:
        values: dict[str, object] = task.context
    except AttributeError:
        task.context = values = {}
    return values


def _inherited(loop: asyncio.AbstractEventLoop) -> dict[str, object]:
    # A task made in a callback has no parent; one made before install() has no values.
    values: dict[str, object] | None = getattr(asyncio.current_task(loop), "context", None)
    return {} if values is None else values.copy()


class _EagerTask(asyncio.Task[_T]):
    """Runs its first step while it is constructed, so the values have to be there before."""

    def __init__(self, coro: Coroutine[Any, Any, _T], *,
                 loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        self.context = _inherited(loop)
        super().__init__(coro, loop=loop, **options)


def _new_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    if options.get("eager_start"):
        return _EagerTask(coro, loop=loop, **options)
    # Not an _EagerTask: asyncio's C code awaits its own class faster than a subclass.
    task: Any = asyncio.Task(coro, loop=loop, **options)
    task.context = _inherited(loop)
    return task  # type: ignore[no-any-return]  # Any lends the task its `context`


class _Carrying:
    """A task factory that gives values to the tasks another one makes."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Any,
                 **options: Any) -> asyncio.Future[Any]:
        task = self._make(loop, coro, **options)
        task.context = _inherited(loop)
        return task  # type: ignore[no-any-return]  # whatever the other factory makes

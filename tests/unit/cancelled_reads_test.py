"""A page whose reader is cancelled costs nothing more, also where it is made in a thread."""

import asyncio
import threading
import unittest
from collections.abc import Callable

from taskservice.database.memory_db import LONG_READ
from taskservice.database.todolist_db import InMemoryTodoListDB
from taskservice.datamodel import StoredTask, TaskEntry, TaskQuery, TaskSort
from tests.helpers.api import until

HELD = threading.Event()
LOOKED_AT: list[StoredTask] = []


class HeldQuery(TaskQuery):
    """Looks at no more than one task before HELD is set."""

    __slots__ = ()

    def matcher(self) -> Callable[[StoredTask], bool]:
        matches = super().matcher()

        def held(task: StoredTask) -> bool:
            LOOKED_AT.append(task)
            HELD.wait(30)
            return matches(task)
        return held


class CancelledReadTest(unittest.IsolatedAsyncioTestCase):

    def setUp(self) -> None:
        HELD.clear()
        LOOKED_AT.clear()
        self.addCleanup(HELD.set)

    async def test_the_rest_of_the_tasks_is_not_looked_at(self) -> None:
        await self.check(TaskSort.CREATED)

    async def test_nor_where_they_are_sorted(self) -> None:
        await self.check(TaskSort.TITLE)

    async def check(self, sort: TaskSort) -> None:
        """Cancel a page at its first task, and see that no other is looked at."""
        async with InMemoryTodoListDB() as engine:
            await engine.create_tasks([(None, TaskEntry("a"))] * (LONG_READ + 1))
            reading = asyncio.create_task(engine.read_page(HeldQuery(words=("b",), sort=sort)))
            await until(lambda: LOOKED_AT, "it looks at the first")
            reading.cancel()
            await asyncio.wait([reading])
            HELD.set()
            await asyncio.get_running_loop().shutdown_default_executor()
        self.assertEqual(len(LOOKED_AT), 1)


if __name__ == "__main__":
    unittest.main()

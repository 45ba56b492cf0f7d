"""The journal keeps the contract."""

from pathlib import Path
from unittest import IsolatedAsyncioTestCase

from taskservice.database.journal_db import JournalTodoListDB
from taskservice.database.revisions import Clock
from taskservice.database.todolist_db import AbstractTodoListDB
from taskservice.datamodel import TaskEntry
from tests import contract


class JournalContractTest(contract.DurableEngineContract, IsolatedAsyncioTestCase):
    """journal: keeps the tasks, and their changes."""

    def setUp(self) -> None:
        self.path = Path(self.enterContext(contract.quick_folder()), "tasks.journal")

    def make(self, clock: Clock) -> AbstractTodoListDB:
        return JournalTodoListDB(self.path, clock=clock)

    async def test_a_line_that_a_crash_cut_short_is_dropped(self) -> None:
        await self.create("a")
        with self.path.open("ab") as file:
            file.write(b'[["b", 5, "{')
        await self.reopen()
        await self.engine.create_task("c", TaskEntry("c"))
        await self.reopen()
        self.assertEqual(list(await self.tasks()), ["a", "c"])

"""SQLite stores of earlier versions, opened by this one."""

from pathlib import Path
from unittest import IsolatedAsyncioTestCase

import apsw

from taskservice.database.sqlite_db import SQLiteTodoListDB
from taskservice.database.todolist_db import AbstractTodoListDB, Clock, system_clock
from tests.contract import quick_folder
from tests.old_stores import OldStoreContract, dump


class OldSQLiteStoreTest(OldStoreContract, IsolatedAsyncioTestCase):

    def setUp(self) -> None:
        self.path = Path(self.enterContext(quick_folder()), "tasks.db")
        connection = apsw.Connection(str(self.path))
        connection.execute(dump("sqlite"))
        connection.close()

    async def open_store(self, clock: Clock = system_clock) -> AbstractTodoListDB:
        engine = SQLiteTodoListDB(self.path, clock=clock)
        await engine.start()
        self.addAsyncCleanup(engine.stop)
        return engine

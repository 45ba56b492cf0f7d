"""A start that fails leaves nothing open: it is tried again and again."""

import asyncio
import itertools
import os
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import apsw

from taskservice.database.sqlite import engine as sqlite_db
from taskservice.database.sqlite.connection import open_connection
from taskservice.database.sqlite.engine import READERS, SQLiteTodoListDB
from taskservice.database.todolist_db import AbstractTodoListDB, FileTodoListDB
from taskservice.datamodel import TaskEntry
from taskservice.errors import StoreError, StoreInUseError, StoreVersionError
from tests.contract import quick_folder


def descriptors() -> int:
    """Count the file descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


@unittest.skipUnless(os.path.isdir("/proc/self/fd"), "needs Linux's /proc")
class FailedStartTest(unittest.IsolatedAsyncioTestCase):

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step
        self.folder = Path(self.enterContext(quick_folder()))
        await asyncio.to_thread(descriptors)  # the thread has what it needs

    async def assert_leaves_nothing(
        self, make: Callable[[], AbstractTodoListDB], error: type[StoreError]
    ) -> None:
        """However often it fails, nothing stays open."""
        before = descriptors()
        for _ in range(3):
            try:
                await make().start()
            except error:  # which holds what its frames have, so that nothing is collected by chance
                self.assertEqual(descriptors(), before)
            else:
                self.fail("it started")

    async def assert_starts(self, engine: AbstractTodoListDB) -> None:
        """Nothing is in the way of a start that goes well."""
        before = descriptors()
        async with engine:
            await engine.create_task("a", TaskEntry("t"))
            await engine.delete_task("a")
        self.assertEqual(descriptors(), before)

    def fs(self) -> FileTodoListDB:
        """Make an engine on the folder."""
        return FileTodoListDB(self.folder / "tasks")

    def sqlite(self) -> SQLiteTodoListDB:
        """Make an engine on a file in the folder."""
        return SQLiteTodoListDB(self.folder / "tasks.db")

    async def test_of_fs_on_a_folder_in_use(self) -> None:
        async with self.fs():
            await self.assert_leaves_nothing(self.fs, StoreInUseError)
        await self.assert_starts(self.fs())

    async def test_of_fs_whose_start_cannot_be_kept(self) -> None:
        with patch.object(os, "fsync", side_effect=OSError(5, "Input/output error")):
            await self.assert_leaves_nothing(self.fs, StoreError)
        await self.assert_starts(self.fs())

    async def test_of_fs_in_the_place_of_a_file(self) -> None:
        (self.folder / "tasks").write_text("")
        await self.assert_leaves_nothing(self.fs, StoreError)

    async def test_of_sqlite_on_a_newer_store(self) -> None:
        connection = apsw.Connection(str(self.folder / "tasks.db"))
        connection.pragma("user_version", 9999)
        connection.close()
        await self.assert_leaves_nothing(self.sqlite, StoreVersionError)

    async def test_of_sqlite_on_a_store_that_cannot_be_migrated(self) -> None:
        connection = apsw.Connection(str(self.folder / "tasks.db"))
        connection.execute("CREATE TABLE tasks (other TEXT)")
        connection.close()
        await self.assert_leaves_nothing(self.sqlite, StoreError)

    async def test_of_sqlite_that_gets_only_some_of_its_connections(self) -> None:
        await self.assert_starts(self.sqlite())
        real = open_connection
        for count in range(READERS + 1):
            calls = itertools.count()

            def fails(*args: Any, **kwargs: Any) -> apsw.Connection:
                if next(calls) % (count + 1) == count:
                    raise StoreError("no descriptor left")
                return real(*args, **kwargs)

            with patch.object(sqlite_db, "open_connection", fails), self.subTest(count):
                await self.assert_leaves_nothing(self.sqlite, StoreError)
        await self.assert_starts(self.sqlite())


if __name__ == "__main__":
    unittest.main()

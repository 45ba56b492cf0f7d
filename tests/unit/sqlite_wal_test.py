"""The log of a SQLite store stays bounded, also where there is always somebody who reads."""

import asyncio
import time
import unittest
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import apsw

from taskservice.database.sqlite import checkpoints
from taskservice.database.sqlite.engine import READERS, SQLiteTodoListDB
from taskservice.datamodel import TaskEntry, TaskQuery
from taskservice.errors import StoreBusyError
from tests.contract import quick_folder

PAGE = 4096
SMALL: Mapping[str, Any] = {"WAL_PAGES": 50, "MAX_LOG_PAGES": 400}
READ_SECONDS = 0.1
WRITES = 400
WRITTEN = 10 * PAGE
"""About how many bytes a write adds to the log, at the least."""


def hold(*_: object) -> None:
    """Take as long as a read does, without the CPU."""
    time.sleep(READ_SECONDS)


class WalTest(unittest.IsolatedAsyncioTestCase):

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step
        folder = self.enterContext(quick_folder())
        self.path = Path(folder, "tasks.db")
        self.enterContext(patch.multiple(checkpoints, **SMALL))
        self.engine = SQLiteTodoListDB(self.path)
        await self.engine.start()
        self.addAsyncCleanup(self.engine.stop)
        self.longest = 0
        self.written = False

    async def write(self, writes: int) -> None:
        """Write one task at a time, and note how long the log gets."""
        for number in range(writes):
            await self.engine.create_task(None, TaskEntry("t", "x" * WRITTEN))
            self.longest = max(self.longest, self.engine.log_bytes() or 0)

    async def read_long(self, number: int) -> None:
        """Read on and on, each time for as long as a read may last."""
        await asyncio.sleep(READ_SECONDS * number / READERS)  # so that there is always one
        assert self.engine._store is not None
        while not self.written:
            await self.engine._store.readers.read("SELECT hold() FROM store", ())

    async def test_readers_that_overlap_do_not_keep_it_growing(self) -> None:
        """Nor does any of them fail."""
        assert self.engine._store is not None
        for connection in self.engine._store.readers._connections:
            connection.create_scalar_function("hold", hold)
        with patch.object(checkpoints, "GRACE", 30):  # the machine may be busy
            readers = [asyncio.create_task(self.read_long(number)) for number in range(READERS)]
            async with asyncio.timeout(60):
                await self.write(WRITES)
            self.written = True
            await asyncio.gather(*readers)
        self.assertGreater(WRITES * WRITTEN, 8 * SMALL["MAX_LOG_PAGES"] * PAGE, "it would show nothing")
        self.assertLess(self.longest, (SMALL["MAX_LOG_PAGES"] + 2 * SMALL["WAL_PAGES"]) * PAGE)

    async def test_no_read_begins_while_they_are_paused(self) -> None:
        assert self.engine._store is not None
        readers = self.engine._store.readers
        with readers.paused(30):
            read = asyncio.create_task(readers.read("SELECT 1", ()))
            await asyncio.wait([read], timeout=0.2)  # it would be over at once
            self.assertFalse(read.done())
        self.assertEqual(await asyncio.wait_for(read, 60), 1)

    async def test_a_read_that_lasts_ends_where_the_log_has_become_too_long(self) -> None:
        assert self.engine._store is not None
        read = asyncio.create_task(self.engine._store.readers.read(
            "WITH RECURSIVE n (i) AS (SELECT revision FROM store UNION ALL SELECT i + 1 FROM n) "
            "SELECT max(i) FROM n", ()))
        with patch.object(checkpoints, "GRACE", 0.01):
            async with asyncio.timeout(60):
                await self.write(SMALL["MAX_LOG_PAGES"] * PAGE // WRITTEN + 10)
                with self.assertRaisesRegex(StoreBusyError, "the log had become too long"):
                    await read
        self.assertIsNotNone((await self.engine.read_page(TaskQuery(limit=1))).end)

    async def test_a_reader_that_never_ends_holds_no_write_up_for_ever(self) -> None:
        """Such as another program: the log grows then, as there is no way round it."""
        other = apsw.Connection(str(self.path))
        self.addCleanup(other.close)
        other.execute("BEGIN; SELECT * FROM store")
        restart = checkpoints.Checkpoints._restart
        with (patch.multiple(checkpoints, PATIENCE=20),
              patch.object(checkpoints.Checkpoints, "_restart", autospec=True, side_effect=restart) as restarts):
            async with asyncio.timeout(60):
                await self.write(100)
        self.assertGreater(self.longest, SMALL["MAX_LOG_PAGES"] * PAGE)
        beyond = self.longest / PAGE - SMALL["MAX_LOG_PAGES"]
        self.assertIn(restarts.call_count, range(1, int(beyond / SMALL["WAL_PAGES"]) + 2), "not at each write")
        other.execute("COMMIT")
        grown = self.longest
        await self.write(100)
        self.assertLess(self.longest, grown + 2 * SMALL["WAL_PAGES"] * PAGE)

    async def test_a_checkpoint_that_fails_fails_no_write(self) -> None:
        with patch.object(apsw, "SQLITE_CHECKPOINT_RESTART", 99):  # SQLITE_MISUSE
            await self.write(100)
        self.assertGreater(self.longest, 0)


if __name__ == "__main__":
    unittest.main()

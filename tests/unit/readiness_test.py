"""Engines that keep files are not ready when these are gone, or cannot be written to."""

import asyncio
import errno
import os
import pwd
import shutil
import subprocess
import sys
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from taskservice.database.sqlite.engine import SQLiteTodoListDB
from taskservice.database.todolist_db import AbstractTodoListDB, FileTodoListDB
from taskservice.datamodel import TaskEntry
from taskservice.errors import StoreReadOnlyError, StoreUnavailableError

ENTRY = TaskEntry("a title")
ROOT = Path(__file__).parents[2]


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody in the block, if root: whom no mode of a file keeps from writing.

    Skips where nobody may not read the project, from which an engine loads its tables.
    """
    if os.geteuid() != 0:
        yield
        return
    for folder in (ROOT, *ROOT.parents):
        if not folder.stat().st_mode & 0o001:
            raise unittest.SkipTest(f"{folder} is closed to others")
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


class FilesCase(unittest.IsolatedAsyncioTestCase):
    """A store in a folder that all may use."""

    def setUp(self) -> None:
        folder = self.enterContext(TemporaryDirectory())
        os.chmod(folder, 0o777)
        self.folder = Path(folder)
        self.path = self.folder / "store"

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step

    def make(self) -> AbstractTodoListDB:
        """Make an engine, not started, that keeps its tasks at the path."""
        raise NotImplementedError

    async def start(self) -> AbstractTodoListDB:
        """Start an engine with a task in it, and stop it in the end."""
        engine = self.make()
        await engine.start()
        self.addAsyncCleanup(engine.stop)
        await engine.create_task("a", ENTRY)
        await engine.check_ready()
        return engine

    async def test_a_store_that_is_gone(self) -> None:
        engine = await self.start()
        self.path.rename(self.folder / "elsewhere")
        with self.assertRaisesRegex(StoreUnavailableError, f"^{self.path} is away: No such file"):
            await engine.check_ready()
        (self.folder / "elsewhere").rename(self.path)
        await engine.check_ready()

    async def test_another_store_in_its_place(self) -> None:
        engine = await self.start()
        self.path.rename(self.folder / "elsewhere")
        other = await self.start()
        with self.assertRaisesRegex(StoreUnavailableError, f"is away: another one is in its place: {self.path}"):
            await engine.check_ready()
        await other.check_ready()

    async def test_a_store_that_may_not_be_written_to(self) -> None:
        engine = await self.start()
        self.path.chmod(0o555)
        with unprivileged(), self.assertRaisesRegex(
                StoreReadOnlyError, f"^{self.path} takes no writes: Permission denied: "):
            await engine.check_ready()
        self.path.chmod(0o777)
        with unprivileged():
            await engine.check_ready()


class FolderTest(FilesCase):

    def make(self) -> AbstractTodoListDB:
        return FileTodoListDB(self.path)

    async def test_its_writes_fail_as_it_says_and_reads_go_on(self) -> None:
        engine = await self.start()
        self.path.chmod(0o555)
        with unprivileged():
            with self.assertRaises(StoreReadOnlyError):
                await engine.create_task("b", ENTRY)
            await engine.read_task("a")


class SQLiteTest(FilesCase):

    def make(self) -> AbstractTodoListDB:
        return SQLiteTodoListDB(self.path)

    async def test_one_that_could_only_be_opened_for_reading_serves_reads(self) -> None:
        engine = await self.start()
        await engine.stop()
        self.path.chmod(0o444)
        with unprivileged():
            await engine.start()
            self.assertEqual((await engine.read_task("a")).entry, ENTRY)
            with self.assertRaises(StoreReadOnlyError):
                await engine.create_task("b", ENTRY)
            with self.assertRaisesRegex(StoreReadOnlyError, "takes no writes: Permission denied"):
                await engine.check_ready()
            await engine.stop()

    async def test_a_right_that_comes_after_the_start_is_not_enough(self) -> None:
        engine = await self.start()
        await engine.stop()
        self.path.chmod(0o444)
        with unprivileged():
            await engine.start()
            with self.assertRaises(StoreReadOnlyError):
                await engine.create_task("b", ENTRY)
        self.path.chmod(0o666)
        with self.assertRaisesRegex(StoreReadOnlyError, "it could be opened for reading only"):
            await engine.check_ready()
        with self.assertRaises(StoreReadOnlyError):
            await engine.create_task("b", ENTRY)


READ_ONLY = """
import os, subprocess, sys
from taskservice.database.os_errors import check_writable
subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "taskservice-test", sys.argv[1]], check=True)
print("mounted")
check_writable(sys.argv[1], os.stat(sys.argv[1]))
"""


class ReadOnlyFileSystemTest(unittest.TestCase):

    @unittest.skipIf(shutil.which("unshare") is None, "needs the program unshare")
    def test_it_is_the_reason_whatever_the_modes_of_the_files(self) -> None:
        """In a mount namespace of its own, which goes with the process."""
        folder = self.enterContext(TemporaryDirectory())
        done = subprocess.run(
            ["unshare", "--map-root-user", "--mount", sys.executable, "-c", READ_ONLY, folder],
            cwd=ROOT, capture_output=True, text=True, timeout=60)
        if not done.stdout:
            self.skipTest(f"no file system can be mounted here: {done.stderr.splitlines()[-1:]}")
        self.assertEqual(
            done.stderr.splitlines()[-1], f"OSError: [Errno {errno.EROFS}] Read-only file system: '{folder}'")


del FilesCase

if __name__ == "__main__":
    unittest.main()

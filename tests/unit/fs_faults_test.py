"""fs: after any failure of the disk the running service and the folder agree, or it says so."""

import asyncio
import itertools
import os
import shutil
import unittest
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from taskservice.database import memory_db
from taskservice.database.todolist_db import FileTodoListDB
from taskservice.datamodel import StoredTask, TaskEntry, TaskQuery
from taskservice.errors import StoreError, TaskNotFoundError
from tests.contract import ManualClock, quick_folder
from tests.contract.harness import matching
from tests.helpers.app import journal

ENTRY = TaskEntry("t")
NEW = TaskEntry("new")

CALLS = ("open", "write", "utime", "fsync", "rename", "unlink", "close")
"""What the folder asks of the system; any of it may fail."""

Deed = Callable[[FileTodoListDB], Awaitable[object]]

DEEDS: dict[str, Deed] = {
    "create": lambda engine: engine.create_task("new", NEW),
    "create a batch": lambda engine: engine.create_tasks([(name, NEW) for name in "xyz"]),
    "create very many": lambda engine: engine.create_tasks([(f"{n}", NEW) for n in range(4)]),
    "update": lambda engine: engine.update_task("a", NEW),
    "delete": lambda engine: engine.delete_task("a"),
}


NEVER = 10 ** 9

FLUSH = 6
"""The number of the call, in an update, that flushes the folder: the file has been renamed."""


class Disk:
    """Lets calls of the operating system fail."""

    def __init__(self) -> None:
        self._calls = self._first = self._rest = 0
        self.failed = 0
        self.done = {"fsync", "close"}
        """The calls that have been done when they fail, as a network's file system may answer."""

    @contextmanager
    def failing(self, first: int, rest: int) -> Iterator[None]:
        """Let fail the call of the number `first`, counted from 0, and all from `rest` on."""
        self._calls, self.failed = 0, 0
        self._first, self._rest = first, rest
        with ExitStack() as patches:
            for name in CALLS:
                patches.enter_context(mock.patch.object(os, name, self._call(name)))
            yield

    def _call(self, name: str) -> Callable[..., Any]:
        real: Callable[..., Any] = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            number, self._calls = self._calls, self._calls + 1
            if number != self._first and number < self._rest:
                return real(*args, **kwargs)
            self.failed += 1
            if name in self.done:
                real(*args, **kwargs)
            raise OSError(5, f"{name}: Input/output error")
        return call


class FaultTest(unittest.IsolatedAsyncioTestCase):

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step
        self.enterContext(journal())
        self.folder = Path(self.enterContext(quick_folder())) / "tasks"
        self.disk = Disk()

    async def open(self, folder: Path | None = None) -> FileTodoListDB:
        """Start an engine, and stop it in the end."""
        engine = FileTodoListDB(folder or self.folder, clock=ManualClock())
        await engine.start()
        self.addAsyncCleanup(engine.stop)
        return engine

    async def fresh(self) -> FileTodoListDB:
        """Start an engine on a folder with the tasks a and b."""
        shutil.rmtree(self.folder, ignore_errors=True)
        engine = await self.open()
        await engine.create_tasks([("a", ENTRY), ("b", ENTRY)])
        return engine

    async def shown(self, engine: FileTodoListDB) -> dict[str, StoredTask]:
        """Return what a client sees; whichever way it looks, it is the same."""
        tasks = {task.id: task for task in (await engine.read_page(TaskQuery())).tasks}
        for task in tasks.values():
            self.assertEqual(await engine.read_task(task.id), task)
        return tasks

    async def after_a_restart(self) -> dict[str, StoredTask]:
        """Return what there would be if the service were killed now."""
        copy = self.folder.with_name("copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder, copy)
        engine = FileTodoListDB(copy)
        async with engine:
            return await self.shown(engine)

    async def test_after_any_failure_the_service_shows_what_is_in_the_folder(self) -> None:
        """Also where the attempt to undo what was done fails, at any step, until the disk is well."""
        self.enterContext(mock.patch.object(memory_db, "LONG_READ", 3))
        for done, (name, deed) in itertools.product((set(), {"rename", "unlink"}), DEEDS.items()):
            self.disk.done |= done
            for later in (1, 2, 3, 4, NEVER):
                number = 0
                while number < 100 and await self.fails(name, deed, number, number + later):
                    number += 1
                self.assertLess(number, 100, name)
                self.assertGreater(number, 3, name)

    async def fails(self, name: str, deed: Deed, first: int, rest: int) -> bool:
        """Do something while calls fail; return whether there are so many calls at all."""
        with self.subTest(name, first=first, rest=rest):
            engine = await self.fresh()
            before = await self.shown(engine)
            with self.disk.failing(first, rest):
                error = await self.outcome(deed(engine))
            failed = self.disk.failed
            await self.assert_agrees_or_says_so(engine)
            if error is not None:
                self.assertEqual(await self.shown(engine), before)
            self.assertIsInstance(
                error, StoreError if failed and rest == first + 1 else (StoreError, type(None)))
            await self.assert_works(engine)
            await engine.stop()
            return bool(failed)
        return True

    async def outcome(self, call: Awaitable[object]) -> StoreError | None:
        """Return the error of a call, which has to be the store's."""
        try:
            await call
        except StoreError as error:
            return error
        return None

    async def assert_agrees(self, engine: FileTodoListDB) -> None:
        """What is shown is what is there after a restart."""
        self.assertEqual(await self.shown(engine), await self.after_a_restart())

    async def assert_agrees_or_says_so(self, engine: FileTodoListDB) -> None:
        """As long as the disk fails, what may be otherwise after a restart is not shown."""
        restarted = await self.after_a_restart()
        with self.disk.failing(0, 0):
            calls = [engine.revision(), engine.read_changes(None, 10), engine.read_page(TaskQuery())]
            errors = {type(await self.outcome(call)) for call in calls}
            self.assertEqual(len(errors), 1)
            if errors == {type(None)}:
                self.assertEqual(await self.shown(engine), restarted)
            for task_id in {*restarted, *"abxyz0123", "new"}:
                try:
                    self.assertEqual(await engine.read_task(task_id), restarted.get(task_id))
                except TaskNotFoundError:
                    self.assertNotIn(task_id, restarted)
                except StoreError:
                    self.assertNotEqual(errors, {type(None)})

    async def assert_works(self, engine: FileTodoListDB) -> None:
        """With a disk that is well again all is well, without a restart."""
        await engine.check_ready()
        await engine.create_task("later", ENTRY)
        await engine.update_task("later", NEW)
        await engine.delete_task("b")
        await self.assert_agrees(engine)
        names = {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}
        self.assertEqual(names, {f"{name}.json" for name in await self.shown(engine)})

    async def test_a_doubtful_task_is_not_shown_and_others_are(self) -> None:
        engine = await self.fresh()
        with self.disk.failing(FLUSH, FLUSH):
            self.assertIsNotNone(await self.outcome(engine.update_task("a", NEW)))
            self.assertEqual((await engine.read_task("b")).entry, ENTRY)
            for call in (
                    engine.read_task("a"), engine.create_task("c", NEW), engine.check_ready(),
                    engine.create_task("a", NEW), engine.update_task("a", NEW, matching(1)),
                    engine.delete_task("a", matching(1))):
                with self.assertRaisesRegex(StoreError, "where a write that failed has to be undone"):
                    await call
        self.assertEqual((await engine.read_task("a")).entry, ENTRY)

    async def test_what_is_doubtful_at_a_stop_is_undone_if_that_goes(self) -> None:
        engine = await self.fresh()
        before = await self.shown(engine)
        with self.disk.failing(FLUSH, FLUSH):
            await self.outcome(engine.update_task("a", NEW))
        self.assertNotEqual(await self.after_a_restart(), before)
        await engine.stop()
        self.assertEqual(await self.after_a_restart(), before)
        with self.disk.failing(0, 0):
            await engine.stop()

    async def test_a_damaged_file_that_a_failed_write_replaced_needs_a_restart(self) -> None:
        """Nobody knows what was in it."""
        for deed in (DEEDS["update"], DEEDS["delete"]):
            engine = await self.fresh()
            await engine.stop()
            (self.folder / "a.json").write_text("damaged")
            engine = await self.open()
            with mock.patch.object(os, "fsync", side_effect=self.flush_of_the_folder_fails):
                self.assertIsNotNone(await self.outcome(deed(engine)))
            for call in (engine.read_task("a"), engine.revision(), engine.delete_task("b")):
                with self.assertRaisesRegex(StoreError, "a.json.*restart the service"):
                    await call
            self.assertEqual((await engine.read_task("b")).entry, ENTRY)
            await engine.stop()
            engine = await self.open()
            await self.assert_agrees(engine)

    async def test_a_link_that_somebody_put_in_the_place_of_a_file_is_no_task_that_is_unchanged(self) -> None:
        """A restart takes a link for damage: a write that failed puts the task itself back."""
        engine = await self.fresh()
        task = self.folder / "a.json"
        task.rename(self.folder / "elsewhere")
        task.symlink_to("elsewhere")
        time_ns = task.stat().st_mtime_ns
        os.utime(task, ns=(time_ns, time_ns), follow_symlinks=False)
        with mock.patch.object(os, "rename", side_effect=[OSError(5, "Input/output error"), mock.DEFAULT],
                               wraps=os.rename):
            self.assertIsNotNone(await self.outcome(engine.update_task("a", NEW)))
        self.assertFalse(task.is_symlink())
        await self.assert_agrees(engine)
        self.assertEqual((await engine.read_task("a")).entry, ENTRY)

    def flush_of_the_folder_fails(self, fd: int) -> None:
        """Do as fsync of a disk that flushes files only."""
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            raise OSError(5, "Input/output error")

    async def test_a_thread_that_cannot_be_started_leaves_all_as_it_was(self) -> None:
        self.enterContext(mock.patch.object(memory_db, "LONG_READ", 3))
        for name, deed in DEEDS.items():
            for number in range(3):
                with self.subTest(name, number=number):
                    engine = await self.fresh()
                    before = await self.shown(engine)
                    with mock.patch.object(asyncio, "to_thread", no_thread(number)):
                        try:
                            await deed(engine)
                        except RuntimeError:
                            self.assertEqual(await self.shown(engine), before)
                    await self.assert_agrees(engine)
                    await engine.stop()


def no_thread(number: int) -> Callable[..., Any]:
    """Return an `asyncio.to_thread` that fails at the call of this number."""
    calls = itertools.count()
    real = asyncio.to_thread

    async def to_thread(*args: Any) -> Any:
        if next(calls) == number:
            raise RuntimeError("can't start new thread")
        return await real(*args)
    return to_thread


if __name__ == "__main__":
    unittest.main()

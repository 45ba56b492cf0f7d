"""The search index of the SQL engines: the same answers with it, whoever writes, and while it comes and goes."""

import asyncio
from unittest.mock import patch

from taskservice import LOGGER_NAME
from taskservice.database.sql import pages
from taskservice.database.revisions import Clock
from taskservice.database.todolist_db import AbstractTodoListDB
from taskservice.datamodel import TaskEntry
from tests.contract.harness import ids
from tests.contract.pages import PageContract


class CutWalkContract(PageContract):
    """Lists in which each walk ends after a few tasks, as it does in a large store."""

    async def asyncSetUp(self) -> None:
        self.enterContext(patch.multiple(pages, TEXTS_WALKED=3, DATES_WALKED=3))
        await super().asyncSetUp()


class SearchIndexContract(CutWalkContract):
    """What holds with `search-index`, in addition to what holds for all lists."""

    def make_with(self, clock: Clock, search_index: bool) -> AbstractTodoListDB:
        """Make an engine, not started, on this test's place."""
        raise NotImplementedError

    async def has_index(self) -> bool:
        """Return whether the store has the index."""
        raise NotImplementedError

    def make(self, clock: Clock) -> AbstractTodoListDB:
        return self.make_with(clock, True)

    async def switched(self, search_index: bool) -> AbstractTodoListDB:
        """Start another engine on the same place, and stop it in the end."""
        engine = self.make_with(self.clock, search_index)
        await engine.start()
        self.addAsyncCleanup(engine.stop)
        return engine

    async def test_it_is_built_for_the_tasks_there_are_and_dropped_again(self) -> None:
        tasks = [task.id for task in await self.fill()]
        expected = ids(await self.walk(words=("milk",)))
        self.assertTrue(0 < len(expected) < len(tasks))
        for search_index in (False, True, True, False):
            await self.engine.stop()
            self.engine = await self.switched(search_index)
            self.assertIs(await self.has_index(), search_index)
            self.assertEqual(ids(await self.walk(words=("milk",))), expected)

    async def test_what_is_done_to_it_is_logged(self) -> None:
        for search_index, action in ((False, "drop"), (True, "build")):
            await self.engine.stop()
            with self.assertLogs(LOGGER_NAME, "INFO") as kept:
                self.engine = await self.switched(search_index)
            [line] = kept.output
            self.assertRegex(line, f'^INFO:.*message="SEARCH INDEX" store=".+" action="{action}"$')
        await self.engine.stop()
        with self.assertNoLogs(LOGGER_NAME, "INFO"):
            self.engine = await self.switched(True)

    async def test_processes_that_start_at_once_build_it_once(self) -> None:
        await self.engine.stop()
        self.engine = await self.switched(False)
        await self.create(*(f"{number:04}" for number in range(1500)))
        engines = await asyncio.gather(*(self.switched(True) for _ in range(4)))
        for self.engine in engines:
            self.assertEqual(ids(await self.walk(words=("1499",))), ["1499"])
            self.assertEqual(ids(await self.walk(words=("0007",))), ["0007"])

    async def test_what_a_process_without_it_writes_is_in_it(self) -> None:
        await self.engine.stop()
        without = await self.switched(False)
        self.engine = await self.switched(True)
        await without.create_tasks([(f"{number}", TaskEntry("red apple")) for number in range(6)])
        await without.update_task("4", TaskEntry("green pear"))
        await without.update_task("1", TaskEntry("red apple", "and a pear"))
        await without.delete_task("2")
        await without.create_task("2", TaskEntry("pear again"))
        await without.delete_task("5")
        self.assertEqual(ids(await self.walk(words=("pear",))), ["1", "2", "4"])
        self.assertEqual(ids(await self.walk(words=("pple", "red"))), ["0", "1", "3"])

    async def test_searches_go_on_where_another_process_drops_it(self) -> None:
        await self.create("1 apple", "2 pear", "3 apple", "4 pear", "5 apple")
        await self.switched(False)
        self.assertIs(await self.has_index(), False)
        self.assertEqual(len(await self.walk(words=("apple",))), 3)
        await self.create("6 apple")
        self.assertEqual(len(await self.walk(words=("apple",))), 4)

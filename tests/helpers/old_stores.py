"""Stores as earlier versions made them, and what has to hold once they are opened.

`tests/stores` has a dump of each, made by that version itself.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from taskservice.database.sql import migration
from taskservice.database.revisions import Clock, system_clock
from taskservice.database.todolist_db import AbstractTodoListDB
from taskservice.datamodel import (
    Created, IdempotencyKey, TaskEntry, TaskPriority, TaskQuery, TaskSort, search_words)
from tests.helpers.app import journal

if TYPE_CHECKING:
    from unittest import IsolatedAsyncioTestCase as Base
else:
    Base = object

BEGAN = 1_764_115_200_000_000
"""The revision of the first write to the store; each later one is greater by 1,000."""

KEY = IdempotencyKey("me", "k", b"\x00\xff")

CREATED = [
    "plain", "cafe-nfc", "cafe-nfd", "istanbul", "isparta", "strasse", "lodz", "odos", "hangul",
    "long-b", "long-a", "long-4", "gone"]
"""In this order; then "gone" was deleted, and "plain" written again."""


def dump(engine: str) -> str:
    """Return the SQL that makes the engine's store of version 1."""
    return (Path(__file__).parents[1] / "stores" / f"version-1-{engine}.sql").read_text("utf-8")


class OldStoreContract(Base):
    """What an engine makes of a store of version 1."""

    async def open_store(self, clock: Clock = system_clock) -> AbstractTodoListDB:
        """Start an engine on the test's old store, and stop it in the end; may be called again."""
        raise NotImplementedError

    async def run_sql(self, statement: str) -> object:
        """Run a statement as another process would; return its value."""
        raise NotImplementedError

    async def found(self, engine: AbstractTodoListDB, **query: object) -> list[str]:
        """Return the ids that a query finds, in its order."""
        page = await engine.read_page(TaskQuery(**query))  # type: ignore[arg-type]  # of any member
        return [*(task.id for task in page.tasks), *page.unread]

    async def test_everything_in_it_is_as_it_was(self) -> None:
        engine = await self.open_store()
        plain = await engine.read_task("plain")
        self.assertEqual(plain.revision, BEGAN + 17_000)
        self.assertEqual(plain.entry, TaskEntry(
            "Buy milk", "semi-skimmed", TaskPriority.HIGH, False, 1_800_000_000))
        kept = sorted(set(CREATED) - {"gone"})
        self.assertEqual(await self.found(engine), kept)
        self.assertEqual(await engine.revision(), plain.revision)
        changes = (await engine.read_changes(None, 100)).changes
        self.assertEqual([change.id for change in changes], [*CREATED[1:], "plain"])
        self.assertIsNone(changes[-2].task)

    async def test_its_keys_replay(self) -> None:
        engine = await self.open_store(lambda: BEGAN + 1_000_000)
        self.assertEqual(await engine.create_task("x", TaskEntry("x"), KEY), Created(tuple(
            (task_id, BEGAN + 1_000 * number) for number, task_id in enumerate(CREATED)), True))

    async def test_what_it_has_is_found_whatever_case_accents_and_unicode_form(self) -> None:
        engine = await self.open_store()
        for searched, expected in [
            ("cafe", ["cafe-nfc", "cafe-nfd"]), ("CAFE\u0301 lait", ["cafe-nfc", "cafe-nfd"]),
            ("istanbul", ["istanbul"]), ("isparta", ["isparta"]), ("strasse grosse", ["strasse"]),
            ("find", ["strasse"]), ("lodz", ["lodz"]), ("οδος", ["odos"]), ("한글", ["hangul"]),
            ("が", ["hangul"]), ("か", []), ("하", []), ("milk", ["plain"]), ("😀", ["long-4"]),
            ("p" * 200 + "a" * 400, ["long-a"]),
        ]:
            with self.subTest(searched):
                self.assertEqual(await self.found(engine, words=search_words(searched)), expected)

    async def test_an_earlier_version_that_still_runs_can_read_but_not_write(self) -> None:
        """What it would write, searches and pages by title would not find."""
        await self.open_store()
        self.assertEqual(await self.run_sql("SELECT count(*) FROM tasks"), 12)
        with self.assertRaisesRegex(Exception, "search"):
            await self.run_sql("UPDATE tasks SET title_key = 'x', search = 'x' WHERE id = 'plain'")

    async def test_a_migration_that_takes_long_is_logged(self) -> None:
        with patch.object(migration, "PROGRESS_INTERVAL", 0.0), journal() as kept:
            await self.open_store()
        [line] = kept.lines
        self.assertEqual((line.level, line.values["message"]), ("INFO", "MIGRATING"))
        self.assertEqual(line.values["tasks"], 12)
        self.assertTrue(line.values["store"])

    async def test_it_is_folded_in_portions(self) -> None:
        with patch.object(migration, "PORTION", 1):
            engine = await self.open_store()
        self.assertEqual(
            await self.found(engine, words=("cafe",)), ["cafe-nfc", "cafe-nfd"])

    async def test_titles_sort_by_their_first_200_characters(self) -> None:
        engine = await self.open_store()
        await engine.create_task("long-0", TaskEntry("p" * 200 + "z"))
        everything = await self.found(engine, sort=TaskSort.TITLE)
        self.assertEqual(
            [name for name in everything if name.startswith("long")],
            ["long-0", "long-a", "long-b", "long-4"])
        walked: list[str] = []
        after = None
        while len(walked) < len(everything):
            page = await engine.read_page(TaskQuery(sort=TaskSort.TITLE, after=after, limit=1))
            walked += [task.id for task in page.tasks]
            after = TaskQuery(sort=TaskSort.TITLE).sort_key(page.tasks[0])
        self.assertEqual(walked, everything)

    async def test_processes_that_start_together_migrate_it_once(self) -> None:
        engines = await asyncio.gather(*(self.open_store() for _ in range(4)))
        for number, engine in enumerate(engines):
            await engine.create_task(f"new-{number}", TaskEntry("p" * 200))
        for engine in engines:
            found = await self.found(engine, sort=TaskSort.TITLE)
            self.assertEqual(
                [name for name in found if name.startswith(("new", "long-a"))],
                ["long-a", "new-0", "new-1", "new-2", "new-3"])

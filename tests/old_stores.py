"""Stores as earlier versions made them, and what has to hold once they are opened.

`tests/stores` has a dump of each, made by that version itself.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from taskservice.database.todolist_db import AbstractTodoListDB, Clock, system_clock
from taskservice.datamodel import (
    Created, IdempotencyKey, TaskEntry, TaskPriority, TaskQuery, TaskSort)

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
    return (Path(__file__).parent / "stores" / f"version-1-{engine}.sql").read_text("utf-8")


class OldStoreContract(Base):
    """What an engine makes of a store of version 1."""

    async def open_store(self, clock: Clock = system_clock) -> AbstractTodoListDB:
        """Start an engine on the test's old store, and stop it in the end; may be called again."""
        raise NotImplementedError

    async def found(self, engine: AbstractTodoListDB, **query: object) -> list[str]:
        """Return the ids that a query finds, in its order."""
        page = await engine.read_page(TaskQuery(**query))  # type: ignore[arg-type]  # of any member
        return [task.id for task in page.tasks]

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

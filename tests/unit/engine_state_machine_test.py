"""The engines that need no server against the model, one by one and side by side."""

from pathlib import Path
from unittest.mock import patch

from hypothesis.stateful import initialize

from taskservice.database.sql import pages
from taskservice.database.sqlite.engine import SQLiteTodoListDB
from taskservice.database.revisions import Clock
from taskservice.database.todolist_db import AbstractTodoListDB, FileTodoListDB, InMemoryTodoListDB
from taskservice.datamodel import TaskEntry
from tests.helpers.state_machine import EngineMachine
from tests.helpers.strategies import machine_settings


def make_memory(folder: str, clock: Clock) -> AbstractTodoListDB:
    """Make a memory engine."""
    return InMemoryTodoListDB(clock=clock)


def make_fs(folder: str, clock: Clock) -> AbstractTodoListDB:
    """Make a file engine."""
    return FileTodoListDB(folder, clock=clock)


def make_sqlite(folder: str, clock: Clock) -> AbstractTodoListDB:
    """Make an SQLite engine."""
    return SQLiteTodoListDB(str(Path(folder, "tasks.db")), clock=clock)


def make_indexed_sqlite(folder: str, clock: Clock) -> AbstractTodoListDB:
    """Make an SQLite engine with a search index."""
    return SQLiteTodoListDB(str(Path(folder, "tasks.db")), clock=clock, search_index=True)


class MemoryMachine(EngineMachine):
    tested = {"memory": make_memory}
    durable = False


class FileMachine(EngineMachine):
    tested = {"fs": make_fs}
    keeps_history = False


class SQLiteMachine(EngineMachine):
    """With and without a search index; walks end soon, as they do in a large store."""

    tested = {"sqlite": make_sqlite, "sqlite, search-index": make_indexed_sqlite}

    def __init__(self) -> None:
        super().__init__()
        self.resources.enter_context(patch.multiple(pages, TEXTS_WALKED=2, DATES_WALKED=2))


class AllEnginesMachine(EngineMachine):
    """One history on all, from the first write on: before it, fs has the revision of its start."""

    tested = {"memory": make_memory, "fs": make_fs, "sqlite": make_sqlite}
    durable = False
    beginnings = (None,)

    @initialize()
    def open(self) -> None:
        super().open()
        self.clock.now += 1000
        self.call("create_tasks", [("first", TaskEntry("first"))])


MemoryMachineTest = MemoryMachine.TestCase
FileMachineTest = FileMachine.TestCase
SQLiteMachineTest = SQLiteMachine.TestCase
AllEnginesMachineTest = AllEnginesMachine.TestCase

MemoryMachineTest.settings = machine_settings()
FileMachineTest.settings = machine_settings()
SQLiteMachineTest.settings = machine_settings()
AllEnginesMachineTest.settings = machine_settings()

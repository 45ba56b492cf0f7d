"""Which engine the config asks for, and what is imported for it."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from taskservice.database.db_engines import ENGINES, create_todolist_db
from taskservice.database.sqlite.engine import SQLiteTodoListDB
from taskservice.database.todolist_db import AbstractTodoListDB, FileTodoListDB, InMemoryTodoListDB
from taskservice.errors import ConfigError

ROOT = Path(__file__).parents[2]

DRIVERS = ("apsw", "asyncpg")

IMPORTED = f"""
import sys
from taskservice.database.db_engines import create_todolist_db
create_todolist_db({{config}})
print(*(driver for driver in {DRIVERS} if driver in sys.modules))
"""

MISSING = """
import sys
sys.modules["{driver}"] = None  # as far as `import` goes, it is not installed
from taskservice.database.db_engines import create_todolist_db
from taskservice.errors import ConfigError
try:
    create_todolist_db({config})
except ConfigError as error:
    print(error)
"""

CONFIGS = {
    "memory": None,
    "fs": "/nowhere/tasks",
    "sqlite": "/nowhere/tasks.db",
    "postgres": "postgresql://nobody@localhost/nothing",
}


def output(script: str) -> str:
    """Return what a Python script prints, run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    return (done.stdout + done.stderr).strip()


class CreateTodoListDBTest(unittest.TestCase):
    """`create_todolist_db`."""

    def test_without_a_config_it_makes_the_memory_engine(self) -> None:
        self.assertIsInstance(create_todolist_db(None), InMemoryTodoListDB)

    def test_memory(self) -> None:
        engine = create_todolist_db({"memory": None})
        self.assertIs(type(engine), InMemoryTodoListDB)

    def test_fs(self) -> None:
        self.assertIsInstance(create_todolist_db({"fs": "/nowhere/tasks"}), FileTodoListDB)

    def test_each_name_makes_the_engine_of_that_name(self) -> None:
        for name in ENGINES:
            with self.subTest(engine=name):
                engine = create_todolist_db({name: CONFIGS[name]})
                self.assertIsInstance(engine, AbstractTodoListDB)
                self.assertEqual(engine.name, name)

    def test_an_engine_is_not_started_before_it_is_asked_to(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name in ("fs", "sqlite"):
                create_todolist_db({name: f"{folder}/store"})
            self.assertEqual(list(Path(folder).iterdir()), [])

    def test_an_unknown_name_is_named_with_those_there_are(self) -> None:
        with self.assertRaisesRegex(ConfigError, "task-db.*'mongo'.*memory.*fs.*sqlite.*postgres"):
            create_todolist_db({"mongo": "x"})

    def test_names_are_lower_case(self) -> None:
        with self.assertRaisesRegex(ConfigError, "'FS'"):
            create_todolist_db({"FS": "/nowhere"})

    def test_two_engines_are_one_too_many(self) -> None:
        with self.assertRaisesRegex(ConfigError, "task-db.*memory, fs"):
            create_todolist_db({"memory": None, "fs": "/nowhere"})

    def test_options_are_a_text_or_a_mapping(self) -> None:
        """SQLite's constructor has the same options; the others' are shown by what they do."""
        path = "/nowhere/tasks.db"
        for options, expected in (
                (path, SQLiteTodoListDB(path)), ({"path": path}, SQLiteTodoListDB(path)),
                ({"path": path, "busy-timeout": 1, "search-index": True},
                 SQLiteTodoListDB(path, busy_timeout=1, search_index=True))):
            self.assertEqual(vars(create_todolist_db({"sqlite": options})), vars(expected))

    def test_an_unknown_option_is_named_with_those_there_are(self) -> None:
        with self.assertRaisesRegex(
                ConfigError, "task-db.sqlite.busy: unknown, expected one of path, busy-timeout"):
            create_todolist_db({"sqlite": {"path": "/nowhere", "busy": 1}})

    def test_options_that_an_engine_cannot_use_are_refused(self) -> None:
        wrong: list[tuple[str, Any]] = [
            ("memory", "x"), ("fs", None), ("fs", 7), ("fs", ""), ("fs", ["x"]), ("sqlite", None),
            ("fs", {"folder": "x"}), ("sqlite", 7),
            ("sqlite", {}), ("sqlite", {"path": 7}), ("postgres", None), ("postgres", 7), ("postgres", {})]
        for name, options in wrong:
            with self.subTest(engine=name, options=options):
                with self.assertRaisesRegex(ConfigError, f"^task-db.{name}"):
                    create_todolist_db({name: options})


class DriverTest(unittest.TestCase):
    """A driver is needed by its own engine only."""

    def test_a_driver_is_imported_only_for_its_engine(self) -> None:
        expected = {"memory": "", "fs": "", "sqlite": "apsw", "postgres": "asyncpg"}
        for name, drivers in expected.items():
            with self.subTest(engine=name):
                script = IMPORTED.format(config={name: CONFIGS[name]})
                self.assertEqual(output(script), drivers)

    def test_a_missing_driver_is_named(self) -> None:
        for name, driver in [("sqlite", "apsw"), ("postgres", "asyncpg")]:
            with self.subTest(engine=name):
                script = MISSING.format(driver=driver, config={name: CONFIGS[name]})
                self.assertEqual(output(script), f"task-db: {name} needs the package '{driver}'")


if __name__ == "__main__":
    unittest.main()

"""Migration of an SQL store: numbered scripts, and Python steps in between.

An engine runs them in one transaction that excludes other writers: a store has one version or another, and processes
that start together wait for the first of them.
"""

import json
import logging
import re
import time
from collections.abc import Iterable
from importlib.resources import files
from typing import TypeVar

from taskservice import LOGGER_NAME
from taskservice.datamodel import TaskEntry, search_text
from taskservice.errors import StoreVersionError
from taskservice.utils import logutils

REFOLDED = 3
"""The migration before which the search text of each task is made anew: SQL has no `fold`."""

PORTION = 1_000
"""How many tasks are read at a time."""

PROGRESS_INTERVAL = 5.0
"""Seconds between two log lines about a long migration."""

Key = TypeVar("Key")


def migrations(engine: str, version: int) -> list[tuple[int, str]]:
    """Return number and text of the SQL files that a store of `version` has yet to run, in order.

    They are `<engine>/migrations/NNNN_<what>.sql` in `taskservice.database`; a new store has version 0. Raises
    StoreVersionError if the store has a later version than any file here.
    """
    folder = files("taskservice.database") / engine / "migrations"
    known = sorted(
        (int(match[1]), file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if (match := re.fullmatch(r"(\d{4})_\w+\.sql", file.name)))
    if version > known[-1][0]:
        raise StoreVersionError(
            f"the {engine} store is of version {version}, and this taskservice knows versions up "
            f"to {known[-1][0]}: upgrade taskservice")
    return [migration for migration in known if migration[0] > version]


def refolded(rows: Iterable[tuple[Key, str, str]]) -> list[tuple[str, Key]]:
    """Return search text and key of the tasks whose search text has changed.

    The rows have a key, the task as JSON, and the present search text.
    """
    folded = ((search_text(TaskEntry.from_dict(json.loads(body))), key, text)
              for key, body, text in rows)
    return [(new, key) for new, key, text in folded if new != text]


class Progress:
    """Logs the progress of a migration every few seconds."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._tasks = 0
        self._logged = time.monotonic()

    def add(self, tasks: int) -> None:
        """Count this many more tasks as done."""
        self._tasks += tasks
        if time.monotonic() - self._logged >= PROGRESS_INTERVAL:
            self._logged = time.monotonic()
            logutils.log(
                logging.getLogger(LOGGER_NAME), logging.INFO, message="MIGRATING",
                store=self._store, tasks=self._tasks)

"""PostgreSQL against the model, on a real server that the tests start."""

from unittest import SkipTest
from unittest.mock import patch

from taskservice.database.postgres.engine import PostgresTodoListDB
from taskservice.database.sql import pages
from taskservice.database.revisions import Clock
from taskservice.database.todolist_db import AbstractTodoListDB
from tests.helpers import postgres
from tests.helpers.state_machine import EngineMachine, Maker
from tests.helpers.strategies import machine_settings


def setUpModule() -> None:
    """Skip where there is no server to start."""
    if (reason := postgres.available()) is not None:
        raise SkipTest(reason)


def maker(search_index: bool) -> Maker:
    """Return what makes an engine on a database of its own, the same one at each call."""
    dsn = postgres.fresh_database()

    def make(folder: str, clock: Clock) -> AbstractTodoListDB:
        return PostgresTodoListDB(dsn, clock=clock, search_index=search_index)

    return make


class PostgresMachine(EngineMachine):
    """With and without a search index; walks end soon, as they do in a large store.

    Its places are databases: made at the first start, and found again at later ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.resources.enter_context(patch.multiple(pages, TEXTS_WALKED=2, DATES_WALKED=2))
        self.tested = {"postgres": maker(False), "postgres, search-index": maker(True)}


PostgresMachineTest = PostgresMachine.TestCase
PostgresMachineTest.settings = machine_settings(15, 30)
PostgresMachineTest.__module__ = __name__  # whose setUpModule it has to wait for

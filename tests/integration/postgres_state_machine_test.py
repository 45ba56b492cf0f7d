"""PostgreSQL against the model, on a real server that the tests start."""

from unittest import SkipTest

from taskservice.database.postgres_db import PostgresTodoListDB
from taskservice.database.todolist_db import AbstractTodoListDB, Clock
from tests import postgres
from tests.state_machine import EngineMachine
from tests.strategies import machine_settings


def setUpModule() -> None:
    """Skip where there is no server to start."""
    if (reason := postgres.available()) is not None:
        raise SkipTest(reason)


class PostgresMachine(EngineMachine):
    """Its place is a database: made at the first start, and found again at later ones."""

    def __init__(self) -> None:
        super().__init__()
        dsn = postgres.fresh_database()

        def make(folder: str, clock: Clock) -> AbstractTodoListDB:
            return PostgresTodoListDB(dsn, clock=clock)

        self.tested = {"postgres": make}


PostgresMachineTest = PostgresMachine.TestCase
PostgresMachineTest.settings = machine_settings(15, 30)
PostgresMachineTest.__module__ = __name__  # whose setUpModule it has to wait for

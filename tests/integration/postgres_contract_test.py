"""PostgreSQL keeps the contract, on a real server that the tests start."""

from unittest import IsolatedAsyncioTestCase, SkipTest

from taskservice.database.postgres_db import PostgresTodoListDB
from taskservice.database.todolist_db import AbstractTodoListDB, Clock
from tests import contract, postgres


def setUpModule() -> None:
    """Skip where there is no server to start."""
    if (reason := postgres.available()) is not None:
        raise SkipTest(reason)


class PostgresContractTest(contract.HistoryEngineContract, IsolatedAsyncioTestCase):
    """postgres: keeps everything."""

    def setUp(self) -> None:
        self.dsn = postgres.fresh_database()

    def make(self, clock: Clock) -> AbstractTodoListDB:
        return PostgresTodoListDB(self.dsn, clock=clock)

"""PostgreSQL keeps the contract, on a real server that the tests start."""

from unittest import SkipTest

import asyncpg

from taskservice.database.postgres.engine import PostgresTodoListDB
from taskservice.database.revisions import Clock
from taskservice.database.todolist_db import AbstractTodoListDB
from tests import contract
from tests.helpers import postgres
from tests.helpers.time_limit import LimitedTestCase


def setUpModule() -> None:
    """Skip where there is no server to start."""
    if (reason := postgres.available()) is not None:
        raise SkipTest(reason)


class PostgresContractTest(contract.HistoryEngineContract, LimitedTestCase):
    """postgres: keeps everything."""

    def setUp(self) -> None:
        self.dsn = postgres.fresh_database()

    def make(self, clock: Clock) -> AbstractTodoListDB:
        return PostgresTodoListDB(self.dsn, clock=clock)


class PostgresLargeStoreTest(contract.CutWalkContract, LimitedTestCase):
    """postgres: lists as they are read from a large store."""

    def setUp(self) -> None:
        self.dsn = postgres.fresh_database()

    def make(self, clock: Clock) -> AbstractTodoListDB:
        return PostgresTodoListDB(self.dsn, clock=clock)


class PostgresSearchIndexTest(contract.SearchIndexContract, LimitedTestCase):
    """postgres, with its search index."""

    def setUp(self) -> None:
        self.dsn = postgres.fresh_database()

    def make_with(self, clock: Clock, search_index: bool) -> AbstractTodoListDB:
        return PostgresTodoListDB(self.dsn, clock=clock, search_index=search_index)

    async def has_index(self) -> bool:
        connection = await asyncpg.connect(self.dsn)
        try:
            found: bool = await connection.fetchval(
                "SELECT EXISTS (SELECT FROM pg_indexes WHERE schemaname = current_schema()"
                " AND indexdef LIKE '%trgm%')")
            return found
        finally:
            await connection.close()

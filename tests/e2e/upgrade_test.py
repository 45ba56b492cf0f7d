"""A store that version 1.0 made, served by this version: by one process, and by workers that start at once."""

import asyncio
import unittest
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import apsw

from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.old_stores import BEGAN, CREATED, dump
from tests.helpers.raw import peer
from tests.helpers.running import running

WORKERS = ("--workers", "2")


class UpgradeCase(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))

    def old_store(self) -> Mapping[str, Any]:
        """Make a store of version 1.0; return what the config's `task-db` is."""
        raise NotImplementedError

    def check(self, *options: str) -> None:
        """Serve the old store, twice: everything is there, and it takes writes."""
        task_db = self.old_store()
        for start in range(2):
            with running(self.folder, task_db, *options) as service, peer(service.port) as client:
                status, headers, body = client.ask("GET", "/tasks/plain")
                self.assertEqual((status, headers["etag"]), (200, f'"{BEGAN + 17_000}"'))
                self.assertIn(b"Buy milk", body)
                status, _, body = client.ask("GET", "/tasks", Accept="application/x-ndjson")
                self.assertEqual(body.count(b"\n"), len(set(CREATED) - {"gone"}) + start)
                status, _, body = client.ask("GET", "/tasks?q=CAFE")
                self.assertEqual((status, body.count(b'"title"')), (200, 2))
                status, _, body = client.ask("GET", "/changes?limit=100")
                # It is older than 7 days, and forgotten with the first write.
                self.assertEqual(b'"gone"' in body, start == 0)
                self.assertEqual(client.ask("POST", "/tasks", b'{"title": "new"}')[0], 201)
                self.assertEqual(service.stop(), 0)


class UpgradeSqliteTest(UpgradeCase):

    def old_store(self) -> Mapping[str, Any]:
        path = str(self.folder / "tasks.db")
        connection = apsw.Connection(path)
        connection.execute(dump("sqlite")).fetchall()
        connection.close()
        return {"sqlite": path}

    def test_by_one_process(self) -> None:
        self.check()

    def test_by_workers(self) -> None:
        self.check(*WORKERS)


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class UpgradePostgresTest(UpgradeCase):

    def old_store(self) -> Mapping[str, Any]:
        dsn = postgres.fresh_database()
        asyncio.run(self.restore(dsn))
        return {"postgres": dsn}

    async def restore(self, dsn: str) -> None:
        """Run the dump."""
        import asyncpg
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(dump("postgres"))
        finally:
            await connection.close()

    def test_by_one_process(self) -> None:
        self.check()

    def test_by_workers(self) -> None:
        self.check(*WORKERS)


if __name__ == "__main__":
    unittest.main()

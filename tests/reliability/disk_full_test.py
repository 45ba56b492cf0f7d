"""A full disk loses nothing (RELIABILITY.md 2): writes are 507, reads go on, room is all it needs.

By a limit on the size of the service's files, which makes writes short, and on a file system of
a few megabytes, which needs root.
"""

import os
import resource
import subprocess
import tempfile
import threading
import unittest
from collections.abc import Mapping
from pathlib import Path
from signal import SIGKILL
from typing import Any

from tests.helpers.api import wait_until
from tests.helpers import postgres
from tests.helpers.processes import SERVER, ServiceProcess, children, started
from tests.helpers.timing import FULL
from tests.helpers.restarts import (
    SEED, Client, Service, chance, is_whole, task_db, tasks, whole)
from tests.helpers.raw import peer
from tests.helpers.running import write_config
from tests.helpers.timing import at_most

ROUNDS = 5 if FULL else 1
CLIENTS = 4
BACK = 5.0
"""Seconds within which writes have to succeed once there is room."""


class DiskFullTestCase(unittest.TestCase):
    """Clients write until there is no room, and compare what they read with the answers to their writes."""

    engine = "fs"
    folder: Path

    def start(self, db: Mapping[str, Any]) -> None:
        """Start the service; it is gone at the end."""
        self.service = Service(self.folder, db)
        self.addCleanup(self.service.close)
        self.service.start()
        self.known: dict[str, set[str | None]] = {}
        self.refused = 0

    def fill(self, number: int, client: Client, most: int = 5_000) -> None:
        """Create and change tasks until some are refused; check what can be read meanwhile."""
        rng, mine, refused = chance(self.engine, number), list[str](), 0
        for step in range(most):
            title = f"{number}-{step}"
            create = not mine or rng.random() < 0.7
            path = f"/tasks/{title}" if create else rng.choice(mine)
            headers = {"If_None_Match": "*"} if create else {}
            answer = client.ask("PUT", path, whole(title, rng.choice((1, 900, 5_000))), **headers)
            self.note(path, title, answer.status)
            if answer.status < 300:
                mine.append(path)
            else:
                refused += 1
            self.check_read(client, path)
            if mine:
                self.check_read(client, rng.choice(mine))
            if refused == 10:
                break
        self.assertEqual(refused, 10, "the disk was never full")
        self.assertEqual(client.ask("GET", "/tasks?limit=20&sort=title").status, 200)
        self.refused += refused

    def note(self, path: str, title: str, status: int) -> None:
        """Keep what was acknowledged; a refused write is there whole or not at all."""
        self.assertIn(status, (201, 204, 507))
        before = self.known.get(path, {None})
        self.known[path] = {title} if status < 300 else {title, *before}

    def check_read(self, client: Client, path: str) -> None:
        """Reads go on, and are right."""
        answer = client.ask("GET", path)
        self.assertIn(answer.status, (200, 404))
        title = answer.json["title"] if answer.status == 200 else None
        self.assertIn(title, self.known[path], path)
        if title is not None:
            self.assertTrue(is_whole(answer.json))

    def check_all(self) -> None:
        """All that was acknowledged is there, and nothing else."""
        client = self.service.client()
        _, found = tasks(client)
        client.close()
        for path, titles in self.known.items():
            self.assertIn(found[path][1]["title"] if path in found else None, titles, path)
        self.assertLessEqual(set(found), set(self.known))
        for _, task in found.values():
            self.assertTrue(is_whole(task))
        self.known = {
            path: {found[path][1]["title"] if path in found else None} for path in self.known}

    def fill_with_several_clients(self, number: int) -> None:
        """Have several clients write until each is refused."""
        failures: list[BaseException] = []

        def work(which: int) -> None:
            client = self.service.client()
            try:
                self.fill(which, client)
            except BaseException as error:
                failures.append(error)
            finally:
                client.close()

        threads = [
            threading.Thread(target=work, args=(number * 100 + n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def check_that_writes_succeed(self, number: int) -> None:
        """With room again, writes succeed, without a restart."""
        client = self.service.client()
        self.addCleanup(client.close)

        def succeeds() -> bool:
            title = f"again-{number}-{len(self.known)}"
            answer = client.ask(
                "PUT", f"/tasks/{title}", whole(title, 1), If_None_Match="*")
            self.note(f"/tasks/{title}", title, answer.status)
            return answer.status == 201

        wait_until(succeeds, "a write", at_most(BACK))
        for _ in range(20):
            self.assertTrue(succeeds())

    def check_after_kill(self) -> None:
        """Nothing is lost or torn after a kill either."""
        self.check_all()
        self.service.kill()
        self.service.start()
        self.check_all()


class FileSizeTest(DiskFullTestCase):
    """RLIMIT_FSIZE: a write is cut short where it goes beyond, and the next one is EFBIG."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.start(task_db(self.engine, self.folder))

    def limit(self, size: int) -> None:
        """Limit the size of the files that the service writes."""
        hard = resource.prlimit(self.service.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.service.pid, resource.RLIMIT_FSIZE, (size, hard))

    def test_nothing_is_lost_while_files_cannot_grow(self) -> None:
        for number in range(ROUNDS):
            with self.subTest(round=number, seed=SEED):
                self.limit(chance(self.engine, "limit", number).randrange(*self.sizes()))
                self.fill_with_several_clients(number)
                self.limit(resource.RLIM_INFINITY)
                self.check_that_writes_succeed(number)
                self.check_after_kill()
        self.assertEqual(self.service.stop(), 0)
        self.assertGreaterEqual(self.refused, 10 * CLIENTS * ROUNDS)

    def sizes(self) -> tuple[int, int]:
        """Return between what sizes to choose the limit: small tasks fit, large ones do not."""
        return 500, 1_500


class FileSizeOnSqliteTest(FileSizeTest):

    engine = "sqlite"

    def sizes(self) -> tuple[int, int]:
        log = os.path.getsize(self.folder / "tasks.db-wal")
        return log, log + 100_000


def why_no_mount() -> str | None:
    """Return why no file system can be mounted here."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "taskservice-test", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except OSError as error:
            return f"needs the program mount: {error}"
        if done.returncode != 0:
            return f"a file system cannot be mounted here (as root it can): {done.stderr.strip()}"
        subprocess.run(["umount", folder], check=True)
        return None


class SmallDiskTest(DiskFullTestCase):
    """A file system of a few megabytes, part of which a file takes that is then removed."""

    megabytes = 2

    def setUp(self) -> None:
        if (reason := why_no_mount()) is not None:
            self.skipTest(reason)
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        size = f"size={self.megabytes}m"
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "taskservice-test", self.disk], check=True)
        self.addCleanup(lambda: subprocess.run(["umount", "-l", self.disk], check=True))
        self.start(self.place())

    def place(self) -> Mapping[str, Any]:
        """Return what the config's `task-db` is, on the small disk."""
        return task_db(self.engine, self.disk)

    def test_nothing_is_lost_on_a_full_disk(self) -> None:
        ballast = self.disk / "ballast"
        for number in range(ROUNDS):
            with self.subTest(round=number, seed=SEED):
                ballast.write_bytes(bytes(self.megabytes * 250_000))
                self.fill_with_several_clients(number)
                ballast.unlink()
                self.check_that_writes_succeed(number)
                self.check_after_kill()
                self.make_room()  # for the next round
        self.assertEqual(self.service.stop(), 0)
        self.assertGreaterEqual(self.refused, 10 * CLIENTS * ROUNDS)

    def make_room(self) -> None:
        """Delete all tasks, for the next round: that needs no room."""
        client = self.service.client()
        for path, titles in self.known.items():
            if titles != {None}:
                self.assertEqual(client.ask("DELETE", path).status, 204)
        client.close()
        self.known = dict.fromkeys(self.known, {None})


class SmallDiskOnSqliteTest(SmallDiskTest):
    engine = "sqlite"
    megabytes = 6

    def make_room(self) -> None:
        """Begin anew: a deletion, too, takes room in the log."""
        self.assertEqual(self.service.stop(), 0)
        for file in self.disk.glob("tasks.db*"):
            file.unlink()
        self.service.start()
        self.known = {}


class SmallDiskOnPostgresTest(SmallDiskTest):
    """The tables are on a small disk of their own; the server's log is not."""

    engine = "postgres"
    megabytes = 8

    def place(self) -> Mapping[str, Any]:
        if (reason := postgres.available()) is not None:
            self.skipTest(reason)
        server = self.enterContext(postgres.PostgresServer())
        for folder in (self.folder, self.disk):
            folder.chmod(0o777)
        (self.disk / "tables").mkdir()
        (self.disk / "tables").chmod(0o777)
        uid = (server.folder / "data").stat().st_uid
        os.chown(self.disk / "tables", uid, -1)
        dsn = server.create_database()
        name = dsn.rpartition("/")[2]
        server.psql(f"CREATE TABLESPACE small LOCATION '{self.disk / 'tables'}'")
        server.psql(f"ALTER DATABASE {name} SET default_tablespace = small")
        self.server, self.database = server, name
        return {"postgres": dsn}

    def make_room(self) -> None:
        self.server.psql("TRUNCATE tasks, tombstones", self.database)
        self.known = dict.fromkeys(self.known, {None})


class SmallTemporaryDirectoryTest(unittest.TestCase):
    """The disk is full on which workers share what they measure: they do not notice."""

    def test_workers_go_on_and_are_replaced(self) -> None:
        if (reason := why_no_mount()) is not None:
            self.skipTest(reason)
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        disk = folder / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "taskservice-test", disk], check=True)
        self.addCleanup(lambda: subprocess.run(["umount", "-l", disk], check=True))
        config = write_config(folder, {"sqlite": str(folder / "tasks.db")})
        with started("env", f"TMPDIR={disk}", *SERVER, "--config", config, "--port", "0",
                     "--workers", "2") as service:
            wait_until(lambda: said(service, "STARTING") == 3, "three starts")
            with self.assertRaises(OSError), open(disk / "ballast", "wb", buffering=0) as ballast:
                while True:
                    ballast.write(bytes(4096))
            os.kill(min(children(service.process.pid)), SIGKILL)
            wait_until(lambda: said(service, "STARTING") == 4, "four starts")
            for number in range(100):
                with peer(service.port) as client:
                    for method, path in (("GET", "/tasks"), ("DELETE", "/tasks/x"), ("GET", f"/{number}")):
                        self.assertLess(client.ask(method, path)[0], 500)
            self.assertEqual(said(service, "WORKER DIED"), 1)
            self.assertEqual(service.stop(), 0)


def said(service: ServiceProcess, word: str) -> int:
    """Return how many lines of the log have a word in them."""
    return sum(f'"{word}"' in line for line in list(service.stdout))


if __name__ == "__main__":
    unittest.main()

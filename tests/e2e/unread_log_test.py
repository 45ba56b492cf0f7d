"""A log that nobody reads, such as that of `serve | sleep 1000`, stops neither the service nor its end."""

import fcntl
import re
import subprocess
import threading
import unittest
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.contract import quick_folder
from tests.helpers.api import wait_until
from tests.helpers.app import ROOT
from tests.helpers.logs import parse
from tests.helpers.processes import PATIENCE, SERVER, environment
from tests.helpers.raw import peer
from tests.helpers.running import samples, total, write_config

LONG = "/" + "x" * 15_000
REQUESTS = 400
"""How many of them make more of a log than a queue and a pipe take."""


class UnreadLogTest(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))

    def start(self, task_db: Mapping[str, Any], *options: str) -> None:
        """Start the service, and read the first line of its log alone."""
        config = write_config(self.folder, task_db)
        process = self.process = subprocess.Popen(
            [*SERVER, "--config", config, "--port", "0", *options], cwd=ROOT, env=environment(),
            stdout=subprocess.PIPE)
        assert process.stdout is not None
        self.log = self.enterContext(process.stdout)
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.kill)
        fcntl.fcntl(self.log, fcntl.F_SETPIPE_SZ, 4096)
        match = re.search(rb"port=(\d+)", self.log.readline())
        assert match is not None
        self.port = int(match[1])

    def fill(self) -> None:
        """Send requests whose log is more than there is room for; each gets its answer."""
        for _ in range(REQUESTS):
            with peer(self.port) as client:
                self.assertEqual(client.ask("GET", LONG)[0], 404)

    def dropped(self) -> float:
        """Return how many records the service says it has dropped."""
        with peer(self.port) as client:
            text = client.ask("GET", "/metrics")[2].decode()
        return total(samples(text)["taskservice_log_records_dropped_total"])

    def stop(self) -> None:
        """Have it end, in time."""
        self.process.terminate()
        self.assertEqual(self.process.wait(PATIENCE), 0)

    def test_requests_are_answered_and_what_is_missing_is_counted(self) -> None:
        self.start({"memory": None})
        self.fill()
        self.assertGreater(self.dropped(), 0)
        lines: list[bytes] = []
        reader = threading.Thread(target=lambda: lines.extend(self.log))
        reader.start()
        wait_until(lambda: any(b"DROPPED" in line for line in lines), "the line on what was lost")
        lost = self.dropped()
        self.stop()
        reader.join(PATIENCE)
        values = [parse(line.decode().rstrip("\n")) for line in lines]
        [notice] = [at for at, value in enumerate(values) if value["message"] == "LOG RECORDS DROPPED"]
        self.assertEqual(values[notice]["dropped"], lost)
        long = [value for value in values if value.get("uri") == LONG]
        self.assertEqual(len(long) + lost, REQUESTS + 1, "and the first look at what was dropped")
        self.assertEqual(values[:len(long)], long, "no line before the notice is missing or torn")
        self.assertEqual(values[-1]["message"], "STOPPED")

    def test_it_ends_though_nobody_reads(self) -> None:
        self.start({"memory": None})
        self.fill()
        self.stop()

    def test_workers_that_share_a_pipe(self) -> None:
        self.start({"sqlite": str(self.folder / "tasks.db")}, "--workers", "2")
        self.fill()
        self.fill()
        self.assertGreater(self.dropped(), 0)
        self.stop()


if __name__ == "__main__":
    unittest.main()

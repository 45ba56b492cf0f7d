"""logrotate moves the log away under load: no line is lost, and no request fails."""

import grp
import gzip
import itertools
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import threading
import unittest
from collections import Counter
from pathlib import Path

from tests.company.harness import Load
from tests.company.proxies import example
from tests.helpers.api import wait_until
from tests.helpers.processes import PATIENCE, SERVER, ServiceProcess
from tests.helpers.raw import Answer, Peer
from tests.helpers.running import write_config

ROTATIONS = 3
PROCESSES = 3
"""Two workers and their parent."""


@unittest.skipUnless(shutil.which("logrotate"), "needs logrotate")
class LogrotateTest(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.logs = self.folder / "logs"
        self.logs.mkdir()
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.numbers = itertools.count()

    def start(self, handler: str) -> ServiceProcess:
        """Start two workers that log to a file by such a handler; the port is on standard output."""
        handlers = {
            "file": {"class": handler, "filename": str(self.logs / "taskservice.log"), "formatter": "line"},
            "console": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}}
        config = write_config(self.folder, {"sqlite": str(self.folder / "tasks.db")}, logging={
            "version": 1, "formatters": {"line": {"format": "%(message)s"}}, "handlers": handlers,
            "root": {"level": "INFO", "handlers": list(handlers)}})
        service = ServiceProcess((*SERVER, "--config", str(config), "--port", "0", "--workers", "2"))
        self.addCleanup(service.close)
        wait_until(lambda: sum("STARTING" in line for line in list(service.stdout)) == PROCESSES, "all processes")
        return service

    def ask(self, client: Peer) -> Answer:
        """Ask for something that has a line of its own in the log."""
        with self.lock:
            name = f"request-{next(self.numbers)}"
            self.asked[name] += 1
        return client.ask("GET", "/tasks?limit=1", b"", X_Request_Id=name)

    def text(self) -> str:
        """Return all that was logged to files, those included that were rotated and compressed."""
        return "".join(
            (gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()).decode()
            for file in self.logs.iterdir())

    def assert_nothing_is_lost(self, handler: str, script: str) -> None:
        """Rotate with the project's own config, and such a script in it, again and again."""
        service = self.start(handler)
        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        config = self.folder / "logrotate.conf"
        config.write_text(example("logrotate.conf", {
            "/var/log/taskservice/": f"{self.logs}/", "su taskservice taskservice": f"su {user} {group}",
            "0640 taskservice taskservice": f"0640 {user} {group}",
            "    compress\n": f"    compress\n{script.format(service.process.pid)}"}), "utf-8")
        config.chmod(0o600)
        log = self.logs / "taskservice.log"
        with Load(service.port, 4, self.ask, fresh=False) as load:
            for number in range(ROTATIONS):
                before = log.stat().st_ino
                done = subprocess.run(
                    ["logrotate", "--force", "--state", self.folder / "state", config],
                    capture_output=True, text=True, timeout=PATIENCE)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertNotEqual(log.stat().st_ino, before)
                wait_until(lambda: "RESPONSE" in log.read_text("utf-8"), "lines in the new file")
                if script:
                    wait_until(lambda: log.read_text("utf-8").count('"RELOADED"') == PROCESSES, "all have reloaded")
        self.assertEqual(set(load.outcomes), {200})
        self.assertEqual(service.stop(), 0)
        self.assertEqual(len(list(self.logs.iterdir())), ROTATIONS + 1)
        found = Counter(re.findall(r'req_id="(request-\d+)".* message="RESPONSE"', self.text()))
        self.assertEqual(found - self.asked, Counter())
        self.assertEqual(self.asked - found, Counter(), "lines that are lost")

    def test_a_handler_that_watches_its_file_needs_no_signal(self) -> None:
        self.assert_nothing_is_lost("logging.handlers.WatchedFileHandler", "")

    def test_a_plain_handler_opens_its_file_anew_at_sighup(self) -> None:
        self.assert_nothing_is_lost(
            "logging.FileHandler", "    postrotate\n        kill -HUP {}\n    endscript\n")

    def test_sighup_is_harmless_where_it_is_not_needed(self) -> None:
        self.assert_nothing_is_lost(
            "logging.handlers.WatchedFileHandler", "    postrotate\n        kill -HUP {}\n    endscript\n")


if __name__ == "__main__":
    unittest.main()

"""`run.py export` and `run.py import` as a user runs them."""

import http.client
import io
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import termios
import unittest
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any
from unittest.mock import patch

from taskservice import transfer
from tests.api import NDJSON, json_lines, ndjson, serving, wait_until
from tests.contract import quick_folder
from tests.e2e.processes import PATIENCE, ServiceProcess, environment, run
from tests.postgres import free_port
from tests.support import ROOT

COMMAND = (sys.executable, str(ROOT / "run.py"))
MANY = 20_000


class TransferCase(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))
        self.file = self.folder / "tasks.ndjson"

    def serve(self, port: int = 0) -> ServiceProcess:
        """Start a service on the folder's store."""
        return self.enterContext(
            serving({"sqlite": str(self.folder / "db")}, self.folder, port=port))

    def ask(
        self, service: ServiceProcess, method: str, path: str, body: bytes | None = None,
        kind: str = NDJSON
    ) -> bytes:
        """Send a request, which succeeds."""
        connection = http.client.HTTPConnection("localhost", service.port, timeout=PATIENCE)
        connection.request(method, path, body, {"Accept": NDJSON, "Content-Type": kind})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.assertLess(answer.status, 300, content)
        return content

    def tasks(self, service: ServiceProcess) -> dict[str, Any]:
        """Return all tasks by id."""
        return {line["id"]: line["task"] for line in json_lines(self.ask(service, "GET", "/tasks"))}

    def transfer(self, command: str, url: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return run(*COMMAND, command, self.file, "--url", url, cwd=self.folder)

    def assert_fails(
        self, done: subprocess.CompletedProcess[str], message: str, code: int = 1
    ) -> None:
        """A command failed, and says why in one line."""
        self.assertEqual((done.returncode, done.stdout), (code, ""))
        [line] = done.stderr.splitlines()
        self.assertIn(message, line)


class RoundTripTest(TransferCase):

    def setUp(self) -> None:
        super().setUp()
        self.service = self.serve()

    def test_what_is_exported_can_be_imported_elsewhere(self) -> None:
        self.ask(self.service, "POST", "/tasks", ndjson(
            [{"title": f"é\u2028 {number}", "due_date": number / 2, "completed": number % 2 == 0}
             for number in range(1_500)]))
        before = self.tasks(self.service)
        done = self.transfer("export", self.service.url)
        self.assertEqual(
            (done.returncode, done.stdout, done.stderr), (0, "exported 1500 tasks\n", ""))
        with tempfile.TemporaryDirectory() as folder, serving(
                {"memory": None}, Path(folder)) as other:
            done = self.transfer("import", f"{other.url}/")
            self.assertEqual(
                (done.returncode, done.stdout, done.stderr), (0, "imported 1500 tasks\n", ""))
            self.assertEqual(self.tasks(other), before)
            done = self.transfer("import", other.url)
            self.assert_fails(done, f"{self.file}:1: /id: '{next(iter(before))}' exists already")
            self.assertEqual(self.tasks(other), before)
        self.assertEqual(
            {file.name for file in self.folder.glob("tasks*")}, {"tasks.ndjson"})

    def test_nothing_is_sent_where_any_line_is_invalid(self) -> None:
        self.file.write_bytes(ndjson([{"title": "a"}] * 1_200 + [{"title": "a", "nope": 1}]))
        self.assert_fails(
            self.transfer("import", self.service.url), f"nothing was sent. {self.file}:1201: /")
        self.assertEqual(self.tasks(self.service), {})

    def test_an_id_that_exists_is_told_by_its_line_and_its_batch_creates_nothing(self) -> None:
        taken = {"id": "taken", "task": {"title": "mine"}}
        self.ask(self.service, "POST", "/tasks", ndjson([taken]))
        self.file.write_bytes(ndjson([{"title": "a"}] * 1_001 + [taken]))
        self.assert_fails(
            self.transfer("import", self.service.url),
            f"{self.file}:1002: /id: 'taken' exists already. 1000 lines are done")
        self.assertEqual(len(self.tasks(self.service)), 1_001)

    def test_there_is_a_progress_bar_on_a_terminal_alone(self) -> None:
        self.file.write_bytes(ndjson([{"title": "a"}] * 3))
        for command in ("import", "export"):
            master, slave = pty.openpty()
            termios.tcsetwinsize(slave, (24, 80))
            with os.fdopen(master, "rb") as screen:
                done = subprocess.run(
                    [*COMMAND, command, self.file, "--url", self.service.url], stderr=slave,
                    stdout=subprocess.PIPE, env=environment(), timeout=PATIENCE)
                os.close(slave)
                shown = screen.read1(65_536)
            self.assertEqual((done.returncode, done.stdout), (0, f"{command}ed 3 tasks\n".encode()))
            self.assertIn(f"{command}: ".encode(), shown)
            self.assertIn(b"/s", shown, "its rate")


class AwayTest(TransferCase):

    def test_an_export_from_nowhere_leaves_the_file_as_it_was(self) -> None:
        self.file.write_text("before")
        url = f"http://localhost:{free_port()}"
        self.assert_fails(self.transfer("export", url), f"export: {url}: ")
        self.assertEqual(self.file.read_text(), "before")

    def test_an_import_to_nowhere_tells_how_to_go_on(self) -> None:
        """Within this process, where it need not wait so long."""
        self.file.write_bytes(ndjson([{"title": "a"}]))
        url = f"http://localhost:{free_port()}"
        errors = io.StringIO()
        with patch.object(transfer, "RETRIES", (0.0,)), redirect_stderr(errors):
            self.assertEqual(transfer.main("import", url, self.file), 1)
        self.assertRegex(
            errors.getvalue(),
            rf"\Aimport: {url}: .*\. 0 lines are done; the same command goes on from there\n\Z")


class OptionsTest(TransferCase):

    def test_what_is_wrong_is_told_by_its_name(self) -> None:
        for command in ("export", "import"):
            self.assert_fails(
                self.transfer(command, "http://localhost:notaport"),
                f"{command}: --url: expected http://HOST:PORT, got 'http://localhost:notaport'", 2)
            self.assert_fails(
                run(*COMMAND, command, self.file, "--bogus"),
                f"run.py {command}: unrecognized arguments: --bogus", 2)

    def test_a_token_that_cannot_be_sent_is_not_shown(self) -> None:
        for token in ("bad\nx", "b€d", "b\udcffd"):
            with patch.dict(os.environ, TASKSERVICE_TOKEN=token):
                for command in ("export", "import"):
                    done = self.transfer(command, "http://localhost:1")
                    self.assert_fails(done, f"{command}: TASKSERVICE_TOKEN: expected a token of", 2)
                    self.assertNotRegex(done.stderr, r"\bb(ad|€|\\)")


class ResumeTest(TransferCase):
    """An import that something breaks into goes on, and no task is there twice or missing."""

    def setUp(self) -> None:
        super().setUp()
        self.service = self.serve()
        self.file.write_bytes(ndjson({"title": str(number)} for number in range(MANY)))
        self.import_ = self.start_import()
        self.wait_until_half_done()

    def start_import(self) -> subprocess.Popen[str]:
        """Start an import in the background."""
        process = subprocess.Popen(
            [*COMMAND, "import", self.file, "--url", self.service.url], env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def wait_until_half_done(self) -> None:
        """Wait until some of the lines, and not all, have been sent."""
        def line() -> int:
            try:
                kept: dict[str, int] = json.loads(Path(f"{self.file}.import").read_text())
            except FileNotFoundError:
                return 0
            return kept["line"]

        wait_until(lambda: line() >= 3_000, "a part of the import")
        self.assertIsNone(self.import_.poll())

    def assert_each_is_there_once(self, service: ServiceProcess) -> None:
        """Every line of the file has become one task."""
        titles = sorted(int(task["title"]) for task in self.tasks(service).values())
        self.assertEqual(titles, list(range(MANY)))

    def test_when_the_service_is_killed_and_comes_back(self) -> None:
        port = self.service.port
        self.service.stop(signal.SIGKILL)
        service = self.serve(port)
        output, errors = self.import_.communicate(timeout=PATIENCE)
        self.assertEqual(
            (self.import_.returncode, output, errors), (0, f"imported {MANY} tasks\n", ""))
        self.assert_each_is_there_once(service)

    def test_when_both_are_killed_and_the_command_is_given_again(self) -> None:
        port = self.service.port
        self.import_.kill()
        self.import_.wait(PATIENCE)
        self.service.stop(signal.SIGKILL)
        service = self.serve(port)
        self.assertLess(len(self.tasks(service)), MANY)
        done = self.transfer("import", service.url)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assert_each_is_there_once(service)
        self.assertFalse(Path(f"{self.file}.import").exists())


del TransferCase  # it is no test

if __name__ == "__main__":
    unittest.main()

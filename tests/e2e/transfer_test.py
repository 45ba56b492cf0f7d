"""`run.py export` and `run.py import` as a user runs them."""

import http.client
import io
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import tempfile
import termios
import unittest
import urllib.request
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any
from unittest.mock import patch

from taskservice.client import commands, connection
from tests.contract import quick_folder
from tests.helpers.api import NDJSON, json_lines, ndjson, serving, wait_until
from tests.helpers.app import ROOT
from tests.helpers.postgres import free_port
from tests.helpers.processes import PATIENCE, ServiceProcess, environment, run, shell
from tests.helpers.running import READER, TOKENS, WRITER, running
from tests.helpers.timing import IDLE
from tests.helpers.transfer import Raw, raw_server

COMMAND = (sys.executable, str(ROOT / "run.py"))
MANY = 20_000


class TransferCase(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))
        self.db = {"sqlite": str(self.folder / "db")}
        self.file = self.folder / "tasks.ndjson"

    def serve(self, port: int = 0) -> ServiceProcess:
        """Start a service on the folder's store."""
        return self.enterContext(
            serving(self.db, self.folder, port=port))

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
            self.assertEqual(
                (done.returncode, done.stdout, done.stderr), (0, "imported 0 tasks, 1500 already imported\n", ""))
            self.assertEqual(self.tasks(other), before)
        self.assertEqual(
            {file.name for file in self.folder.glob("tasks*")}, {"tasks.ndjson"})

    def test_nothing_is_sent_where_any_line_is_invalid(self) -> None:
        self.file.write_bytes(ndjson([{"title": "a"}] * 1_200 + [{"title": "a", "nope": 1}]))
        self.assert_fails(
            self.transfer("import", self.service.url), f"nothing was sent. {self.file}:1201: /")
        self.assertEqual(self.tasks(self.service), {})

    def test_an_id_that_exists_is_named_by_its_line_and_its_batch_creates_nothing(self) -> None:
        taken = {"id": "taken", "task": {"title": "mine"}}
        self.ask(self.service, "POST", "/tasks", ndjson([taken]))
        self.file.write_bytes(ndjson([{"title": "a"}] * 1_001 + [{"id": "taken", "task": {"title": "other"}}]))
        self.assert_fails(
            self.transfer("import", self.service.url),
            f"{self.file}:1002: /id: 'taken' exists already, with other content. 1000 lines are done")
        self.assertEqual(len(self.tasks(self.service)), 1_001)
        self.file.write_bytes(ndjson([{"title": "a"}] * 1_001))
        done = self.transfer("import", self.service.url)
        self.assertEqual((done.returncode, done.stdout), (0, "imported 1 task\n"))

    def test_tasks_without_ids_are_known_by_the_content_of_the_file(self) -> None:
        self.file.write_bytes(ndjson([{"title": "a"}] * 1_500))
        for said in ("imported 1500 tasks\n", "imported 0 tasks, 1500 already imported\n"):
            done = self.transfer("import", self.service.url)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, said, ""))
        self.assertEqual(len(self.tasks(self.service)), 1_500)

    def test_the_object_of_get_tasks_is_taken(self) -> None:
        self.ask(self.service, "POST", "/tasks", ndjson([{"title": str(number)} for number in range(1_200)]))
        before = self.tasks(self.service)
        with urllib.request.urlopen(f"{self.service.url}/tasks", timeout=PATIENCE) as answer:
            self.file.write_bytes(answer.read())
        self.assertEqual(self.transfer("import", self.service.url).stdout, "imported 0 tasks, 1200 already imported\n")
        for task_id in before:
            self.ask(self.service, "DELETE", f"/tasks/{task_id}")
        self.assertEqual(self.transfer("import", self.service.url).stdout, "imported 1200 tasks\n")
        self.assertEqual(self.tasks(self.service), before)

    def test_it_goes_through_pipes(self) -> None:
        self.ask(self.service, "POST", "/tasks", ndjson([{"title": "a"}] * 5_000))
        command = f"{shlex.join(COMMAND)} export - --url {self.service.url}"
        done = shell(f"set -o pipefail; {command} | {shlex.join(COMMAND)} import - --url {self.service.url}")
        self.assertEqual(
            (done.returncode, done.stdout, done.stderr),
            (0, "imported 0 tasks, 5000 already imported\n", "exported 5000 tasks\n"))
        done = shell(f"{command} | head -1; echo ${{PIPESTATUS[0]}}")
        first, code = done.stdout.splitlines()
        self.assertEqual((json.loads(first)["task"], code, done.stderr), ({"title": "a"}, "141", ""))

    def test_a_line_that_is_too_large_is_reported(self) -> None:
        self.file.write_bytes(ndjson([{"title": "a"}, {"title": "x" * (17 * 1024 * 1024)}]))
        self.assert_fails(self.transfer("import", self.service.url), f"{self.file}:2: this line can never go: it has ")
        self.assertEqual(len(self.tasks(self.service)), 1)

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

    def test_an_import_to_nowhere_shows_how_to_go_on(self) -> None:
        """Within this process, where it need not wait so long."""
        self.file.write_bytes(ndjson([{"title": "a"}]))
        url = f"http://localhost:{free_port()}"
        errors = io.StringIO()
        with patch.object(connection, "RETRY_DELAYS", (0.0,)), redirect_stderr(errors):
            self.assertEqual(commands.main("import", url, str(self.file)), 1)
        self.assertRegex(
            errors.getvalue(),
            rf"\Aimport: {url}: .*\. 0 lines are done; the same command goes on from there\n\Z")


class OptionsTest(TransferCase):

    def test_what_is_wrong_is_reported_by_its_name(self) -> None:
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


class StoppedExportTest(TransferCase):
    """An export that is stopped while it waits for the rest of the answer."""

    def setUp(self) -> None:
        super().setUp()
        self.file.write_text("before")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: 999\r\n\r\n"
        server = self.enterContext(raw_server(Raw(head + ndjson([{"id": "a", "revision": 1, "task": {}}]), "keep")))
        self.export = subprocess.Popen(
            [*COMMAND, "export", self.file, "--url", server.url], env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.export.communicate)
        self.addCleanup(self.export.kill)
        wait_until(lambda: server.requests and server.requests[0] and self.parts(), "a part of the export")

    def parts(self) -> list[Path]:
        """Return the files of exports that are under way, or were killed."""
        return list(self.folder.glob(".tasks.ndjson.*.part"))

    def test_by_ctrl_c(self) -> None:
        self.export.send_signal(signal.SIGINT)
        output, errors = self.export.communicate(timeout=PATIENCE)
        self.assertEqual(
            (self.export.returncode, output, errors), (130, "", f"export: interrupted, {self.file} is as it was\n"))
        self.assertEqual((self.file.read_text(), self.parts()), ("before", []))

    def test_by_a_kill_and_the_next_one_cleans_up(self) -> None:
        self.export.kill()
        self.export.wait(PATIENCE)
        self.assertEqual((self.file.read_text(), len(self.parts())), ("before", 1))
        self.assertEqual(self.transfer("export", self.serve().url).returncode, 0)
        self.assertEqual((self.file.read_text(), self.parts()), ("", []))


class ResumeTest(TransferCase):
    """An import that something breaks into goes on, and no task is there twice or missing."""

    def setUp(self) -> None:
        super().setUp()
        self.service = self.serve()
        self.file.write_bytes(ndjson({"title": str(number)} for number in range(MANY)))
        self.import_ = self.start_import()
        self.is_another = False
        self.wait_until_half_done()

    def start_import(self) -> subprocess.Popen[str]:
        """Start an import in the background."""
        process = subprocess.Popen(
            [*COMMAND, "import", self.file, "--url", self.service.url], env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def ended(self) -> tuple[int, str, str]:
        """Return exit code, output and errors of the import, once it has ended.

        A busy machine may take longer to start the service again than the import waits: then it is given once more.
        """
        output, errors = self.import_.communicate(timeout=PATIENCE)
        if "Connection refused" in errors and not IDLE:
            self.import_ = self.start_import()
            output, errors = self.import_.communicate(timeout=PATIENCE)
            self.is_another = True
        return self.import_.returncode, output, errors

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
        code, output, errors = self.ended()
        self.assertEqual((code, errors), (0, ""))
        if not self.is_another:
            self.assertEqual(output, f"imported {MANY} tasks\n")
        self.assert_each_is_there_once(service)

    def test_after_ctrl_c(self) -> None:
        self.import_.send_signal(signal.SIGINT)
        output, errors = self.import_.communicate(timeout=PATIENCE)
        self.assertEqual((self.import_.returncode, output), (130, ""))
        self.assertRegex(
            errors, r"\Aimport: interrupted. [0-9]+ lines are done; the same command goes on from there\n\Z")
        self.assertEqual(self.transfer("import", self.service.url).returncode, 0)
        self.assert_each_is_there_once(self.service)

    def test_after_a_401(self) -> None:
        """The service comes back with tokens, and then the command is given one."""
        port = self.service.port
        self.service.stop(signal.SIGKILL)
        with running(self.folder, self.db, port=port, auth={"tokens": [dict(token) for token in TOKENS]}) as service:
            code, _, errors = self.ended()
            self.assertEqual(code, 1)
            self.assertRegex(
                errors, r"\Aimport: the service answered 401 Unauthorized: TASKSERVICE_TOKEN has no token that it knows"
                r"\. [0-9]+ lines are done; the same command goes on from there\n\Z")
            with patch.dict(os.environ, TASKSERVICE_TOKEN=READER):
                self.assertIn("403 Forbidden", self.transfer("import", service.url).stderr)
            with patch.dict(os.environ, TASKSERVICE_TOKEN=WRITER):
                done = self.transfer("import", service.url)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assert_each_is_there_once(self.serve(port))

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

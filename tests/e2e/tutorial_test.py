"""The tutorial as a user follows it: real processes, the real curl, its log and its folder."""

import json
import shutil
import signal
import unittest

from tests.helpers.app import ROOT
from tests.helpers.logs import parse
from tests.helpers.processes import shell, started
from tests.helpers.tutorial import Answer, REQUEST_ID, TIME, TutorialTestCase


@unittest.skipIf(shutil.which("curl") is None, "needs curl")
class CurlSessionTest(TutorialTestCase):

    def curl(self, command: str) -> str:
        """Run a command of the tutorial, with the port that was free."""
        done = shell(command.replace("http://localhost:8080", self.service.url))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def curl_i(self, command: str) -> Answer:
        """Run one with `-i`."""
        head, _, body = self.curl(command).partition("\n\n")
        status, *fields = head.splitlines()
        headers = dict(field.split(": ", 1) for field in fields)
        self.assertIn("Accept-Encoding", headers["Vary"])
        return Answer(status, headers, body)

    def create(self) -> str:
        """Create a task as the tutorial does, and return its id."""
        created = self.curl_i(
            """curl -i -X POST http://localhost:8080/tasks -d '{"title": "Task1"}'""")
        self.assertEqual((created.status, created.body), ("HTTP/1.1 201 Created", ""))
        self.assertEqual(created.headers["Content-Length"], "0")
        self.assertRegex(created.headers["Location"], r"\A/tasks/[0-9a-f]{32}\Z")
        return created.headers["Location"].removeprefix("/tasks/")

    def assert_gives(self, path: str, body: str) -> None:
        answer = self.curl_i(f"curl -i -X GET http://localhost:8080{path}")
        self.assertEqual((answer.status, answer.body), ("HTTP/1.1 200 OK", body))
        self.assertEqual(answer.headers["Content-Type"], "application/json; charset=UTF-8")
        self.assertEqual(answer.headers["Content-Length"], str(len(body)))
        self.assertIn("Etag", answer.headers)

    def test_the_session_of_section_2(self) -> None:
        self.start("--debug")
        task_id = self.create()
        self.assert_gives(f"/tasks/{task_id}", '{"title": "Task1"}')
        put = self.curl_i(f"curl -i -X PUT http://localhost:8080/tasks/{task_id} "
                          """-d '{"title": "Task2"}'""")
        self.assertEqual((put.status, put.body), ("HTTP/1.1 204 No Content", ""))
        self.assert_gives("/tasks", '{"%s": {"title": "Task2"}}' % task_id)
        deleted = self.curl_i(f"curl -i -X DELETE http://localhost:8080/tasks/{task_id}")
        self.assertEqual((deleted.status, deleted.body), ("HTTP/1.1 204 No Content", ""))
        self.assert_gives("/tasks", "{}")
        self.assert_is_gone(task_id)

    def assert_is_gone(self, task_id: str) -> None:
        gone = self.curl_i(f"curl -i -X GET http://localhost:8080/tasks/{task_id}")
        self.assertEqual(gone.status, f"HTTP/1.1 404 '{task_id}'")
        self.assertEqual(gone.headers["Content-Type"], "application/json; charset=UTF-8")
        reported = json.loads(gone.body)
        self.assertEqual(
            {key: reported[key] for key in ("method", "uri", "code", "message")},
            {"method": "GET", "uri": f"/tasks/{task_id}", "code": 404, "message": f"'{task_id}'"})
        self.assertTrue(reported["trace"].startswith("Traceback (most recent call last):\n"))

    def test_the_logs_of_section_3(self) -> None:
        service = self.start("--debug")
        self.create()
        self.assertEqual(service.stop(), 0)
        self.assertEqual(service.stderr, [])
        patterns = (
            'message="STARTING" service_name="TodoList" port=[0-9]+',
            f'{REQUEST_ID} method="POST" uri="/tasks" ip="(127.0.0.1|::1)" '
            r'message="RESPONSE" status=201 time_ms=[0-9.]+(e-\d+)? store_ms=.*',
            'message="SHUTTING DOWN" service_name="TodoList"',
            'message="STOPPED" service_name="TodoList"')
        self.assertEqual(len(service.stdout), len(patterns), service.stdout)
        for line, pattern in zip(service.stdout, patterns):
            self.assertRegex(line, rf"\A{TIME} taskservice INFO : {pattern}\Z")
        self.assert_is_in_file(patterns[1])

    def assert_is_in_file(self, response: str) -> None:
        lines = [line for line in self.file_lines() if "req_id" in line]
        where = r'file="logutils.py" lineno=\d+ function="log"'
        for line, level, pattern in (
                (lines[0], "DEBUG", f'{REQUEST_ID} method="POST" uri="/tasks" ip="[^"]+" '
                                    'message="REQUEST" service_name="TodoList"'),
                (lines[1], "INFO", response)):
            self.assertRegex(
                line, rf'\Atime="{TIME}" logger="taskservice" level="{level}" {where} {pattern}\Z')
        self.assertEqual(len({parse(line)["req_id"] for line in lines}), 1)

    def crud(self) -> None:
        """Run the session of section 4."""
        self.assertEqual(self.curl("curl -X 'GET' http://localhost:8080/tasks"), "{}")
        task_id = self.post_file("task1")
        self.assertTrue(self.get(task_id).startswith(
            '{"title": "Complete Chapter-1", "description": '))
        put = self.curl_i(
            """curl -i -X 'PUT' -H "Content-Type: application/json" """
            f"""-d "@data/tasks/task2.json" http://localhost:8080/tasks/{task_id}""")
        self.assertEqual(put.status, "HTTP/1.1 204 No Content")
        self.assertTrue(self.get(task_id).startswith(
            '{"title": "Complete Chapter-2", "description": '))
        deleted = self.curl_i(f"curl -i -X 'DELETE' http://localhost:8080/tasks/{task_id}")
        self.assertEqual(deleted.status, "HTTP/1.1 204 No Content")
        self.assertEqual(self.curl("curl -X 'GET' http://localhost:8080/tasks"), "{}")

    def post_file(self, name: str) -> str:
        """Post one of the data files, and return the id of its task."""
        created = self.curl_i(
            """curl -i -X 'POST' -H "Content-Type: application/json" """
            f"""-d "@data/tasks/{name}.json" http://localhost:8080/tasks""")
        self.assertEqual(created.status, "HTTP/1.1 201 Created")
        return created.headers["Location"].removeprefix("/tasks/")

    def get(self, task_id: str) -> str:
        """Read a task."""
        return self.curl(f"curl -X 'GET' http://localhost:8080/tasks/{task_id}")

    def test_the_session_of_section_4_in_memory(self) -> None:
        self.start("--debug")
        self.crud()

    def test_the_session_of_section_4_in_files(self) -> None:
        self.use(f"fs: {self.db}")
        self.start("--debug")
        self.crud()
        self.assertEqual(list(self.db.glob("*.json")), [])
        ids = [self.post_file(name) for name in ("task1", "task2")]
        self.assertEqual({file.stem for file in self.db.glob("*.json")}, set(ids))
        for task_id, name in zip(ids, ("task1", "task2")):
            stored = json.loads((self.db / f"{task_id}.json").read_bytes())
            self.assertEqual(stored, json.loads((ROOT / "data" / "tasks" / f"{name}.json").read_bytes()))

    def test_what_is_in_files_is_still_there_after_a_restart(self) -> None:
        self.use(f"fs: {self.db}")
        self.start()
        ids = [self.post_file(name) for name in ("task1", "task2")]
        before = self.curl("curl http://localhost:8080/tasks")
        self.assertEqual(self.service.stop(signal.SIGINT), 0)
        self.start()
        self.assertEqual(self.curl("curl http://localhost:8080/tasks"), before)
        self.assertEqual(list(json.loads(before)), ids)

    def test_run_py_serves_the_same(self) -> None:
        self.use(f"fs: {self.db}")
        command = ("python3", "run.py", "serve", "--port", "0", "--config", str(self.config))
        self.service = self.enterContext(started(*command))
        self.crud()
        self.assertEqual(self.service.stop(), 0)
        self.assertIn('message="STOPPED"', self.service.stdout[-1])

    def test_without_debug_no_client_and_no_log_sees_the_trace_of_a_4xx(self) -> None:
        self.start()
        bad = self.curl_i("curl -i http://localhost:8080/tasks -d 'no JSON'")
        self.assertEqual(bad.status, "HTTP/1.1 400 Invalid JSON body")
        self.assertNotIn("trace", json.loads(bad.body))
        self.assertEqual(self.service.stop(), 0)
        [line] = [line for line in self.service.stdout if "RESPONSE" in line]
        self.assertRegex(line, rf"\A{TIME} taskservice WARNING : {REQUEST_ID} .* "
                               r'reason="Invalid JSON body" message="RESPONSE" status=400 ')
        self.assertNotIn("trace", line)

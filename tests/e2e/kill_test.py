"""kill -9 while many write to the fs engine: what was acknowledged is there, and nothing is torn."""

import http.client
import json
import tempfile
import threading
import unittest
from pathlib import Path
from signal import SIGKILL

from tests.helpers.processes import SERVER, ServiceProcess, started

WRITERS = 8


class Writer(threading.Thread):
    """Creates a task, then replaces, deletes and creates in turn, until the service is gone."""

    def __init__(self, number: int, port: int, acknowledged: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self._number, self._acknowledged = number, acknowledged
        self._connection = http.client.HTTPConnection("localhost", port, timeout=60)
        self.known: dict[str, str | None] = {}
        self.pending: tuple[str, str | None] | None = None

    def run(self) -> None:
        try:
            for step in range(100_000):
                self._write(step)
        except (OSError, http.client.HTTPException):
            self._connection.close()

    def _write(self, step: int) -> None:
        path = self._post(f"{self._number}-{step}")
        self._change("PUT", path, f"{self._number}-{step} " + "x" * 10_000)
        if step % 3 == 0:
            self._change("DELETE", path, None)

    def _post(self, title: str) -> str:
        answer = self._send("POST", "/tasks", title)
        path = answer.headers["Location"]
        self._know(path, title)
        return path

    def _change(self, method: str, path: str, title: str | None) -> None:
        self.pending = path, title
        self._send(method, path, title)
        self._know(path, title)

    def _send(self, method: str, path: str, title: str | None) -> http.client.HTTPResponse:
        body = None if title is None else json.dumps({"title": title})
        self._connection.request(method, path, body)
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status in (201, 204), answer.status
        return answer

    def _know(self, path: str, title: str | None) -> None:
        self.known[path], self.pending = title, None
        self._acknowledged.release()


class KillTest(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.config = self.folder / "config.yaml"
        logging = "{version: 1, loggers: {taskservice: {level: INFO}}, handlers: {out: {class: " \
                  "logging.StreamHandler, stream: ext://sys.stdout}}, root: {handlers: [out]}}"
        self.config.write_text(f"task-db: {{fs: {self.folder / 'db'}}}\nlogging: {logging}", "utf-8")

    def start(self) -> ServiceProcess:
        """Start the service on the folder."""
        command = (*SERVER, "--port", "0", "--config", str(self.config))
        return self.enterContext(started(*command))

    def kill_after(self, writes: int) -> list[Writer]:
        """Let writers write, kill the service after some writes, and return the writers."""
        service = self.start()
        acknowledged = threading.Semaphore(0)
        writers = [Writer(number, service.port, acknowledged) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for _ in range(writes):
            self.assertTrue(acknowledged.acquire(timeout=60))
        service.stop(SIGKILL)
        for writer in writers:
            writer.join(60)
        return writers

    def read_all(self) -> dict[str, str]:
        """Start the service again, and return the titles by path."""
        service = self.start()
        connection = http.client.HTTPConnection("localhost", service.port, timeout=60)
        connection.request("GET", "/tasks")
        tasks = json.loads(connection.getresponse().read())
        connection.close()
        self.assertEqual(service.stop(), 0)
        self.assertFalse([line for line in service.stdout if "DAMAGED" in line])
        return {f"/tasks/{task_id}": task["title"] for task_id, task in tasks.items()}

    def test_every_acknowledged_write_reads_back_whole(self) -> None:
        known: dict[str, str | None] = {}
        for writes in (1, 40, 111):
            writers = self.kill_after(writes)
            for writer in writers:
                known.update(writer.known)
            found = self.read_all()
            self.assert_agree(known, found, dict(w.pending for w in writers if w.pending))
            known = dict(found)
        self.assertEqual({file.suffix for file in (self.folder / "db").iterdir()} - {""}, {".json"})

    def assert_agree(
        self, known: dict[str, str | None], found: dict[str, str], pending: dict[str, str | None]
    ) -> None:
        """What is found is what is known, but for what was under way: that is whole or not at all."""
        for path, title in known.items():
            self.assertIn(found.get(path), {title, pending.get(path, title)}, path)
        for path in found.keys() - known.keys():
            self.assertRegex(found[path], r"\A\d+-\d+\Z")
        self.assertLessEqual(len(found.keys() - known.keys()), WRITERS)

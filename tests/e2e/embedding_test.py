"""docs/embedding.md: its programs are typed, and run by the installed package from a folder of their own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from tests.helpers.installed import install
from tests.helpers.app import ROOT
from tests.helpers.processes import PATIENCE, copy_project

PROGRAM = re.compile(r'```python title="([\w.]+)"\n(.*?)```', re.DOTALL)


class EmbeddingTest(unittest.TestCase):

    folder: Path
    programs: dict[str, str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="taskservice-embedding-")))
        install(copy_project(cls.folder), cls.folder / "site")
        cls.programs = dict(PROGRAM.findall((ROOT / "docs" / "embedding.md").read_text("utf-8")))
        for name, code in cls.programs.items():
            (cls.folder / name).write_text(code, "utf-8")

    def environment(self) -> dict[str, str]:
        """Return the environment in which the installed package is found, by mypy too."""
        site = str(self.folder / "site")
        return {**os.environ, "PYTHONPATH": site, "MYPYPATH": site}

    @contextmanager
    def started(self, name: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
        """Run a program on a free port; give it and its address once it takes connections."""
        with socket.create_server(("localhost", 0)) as free:
            port = free.getsockname()[1]
        with subprocess.Popen([sys.executable, name, str(port)], cwd=self.folder, env=self.environment()) as process:
            try:
                wait_for_port(process, port)
                yield process, f"http://localhost:{port}"
            finally:
                process.kill()

    def test_programs_are_short_and_typed(self) -> None:
        self.assertEqual(set(self.programs), {"embedded.py", "served.py"})
        for name, code in self.programs.items():
            lines = [line for line in code.splitlines() if line and not line.startswith(("import ", "from "))]
            self.assertLessEqual(len(lines), 20, name)
        for name in self.programs:
            done = subprocess.run(
                [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, name], cwd=self.folder,
                env=self.environment(), capture_output=True, text=True, timeout=300)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_to_do_list_among_other_routes(self) -> None:
        with self.started("embedded.py") as (_, url):
            self.assertEqual(ask(url + "/hello")[1], b"Hello")
            status, _, location = ask(url + "/tasks", b'{"title": "Milk"}')
            self.assertEqual(status, 201)
            self.assertEqual(json.loads(ask(url + location)[1]), {"title": "Milk"})
            self.assertIn("/tasks", json.loads(ask(url + "/openapi.json")[1])["paths"])
        self.assertTrue((self.folder / "tasks.db").exists())

    def test_the_server_for_other_handlers(self) -> None:
        with self.started("served.py") as (process, url):
            self.assertEqual(ask(url + "/echo", b"x" * 100_000)[:2], (200, b"x" * 100_000))
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(PATIENCE), 0)


def wait_for_port(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until a process listens; raise AssertionError if it ends before."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("localhost", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, f"it ended with {process.returncode}"
            time.sleep(0.05)
    raise AssertionError(f"it did not listen within {PATIENCE} s")


def ask(url: str, body: bytes | None = None) -> tuple[int, bytes, str]:
    """Send a request; return status, body and Location."""
    with urlopen(Request(url, body), timeout=PATIENCE) as answer:
        return answer.status, answer.read(), answer.headers.get("Location", "")


if __name__ == "__main__":
    unittest.main()

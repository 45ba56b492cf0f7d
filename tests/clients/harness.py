"""What the tests of generated clients share: the document of a real service, the tools, and what a session has to say.

Each client runs the same session against a service with tokens and prints one line of JSON a step: its name, and what
the client made of the answer. `check_session` compares them with what the service itself says, to the last digit.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import TestCase
from urllib.request import Request, urlopen

from tests.helpers.processes import ServiceProcess
from tests.helpers.running import TOKENS, WRITER, bearer, running

HERE = Path(__file__).resolve().parent

PATIENCE = 300
"""Seconds that one command of a session may take."""

MILK = {
    "title": "Milk", "description": "two bottles", "priority": "high", "completed": False, "due_date": 1764115261}
RENT = {"title": "Rent for milk", "priority": "urgent", "due_date": 1764115261.125}
EARLY = {"title": "Früh \U0001f95b", "due_date": -9007199254740991}

SESSION: Mapping[str, Any] = {
    "read": [MILK, RENT, EARLY],
    # completed=false, two priorities, both bounds, q=milk, sort=-due_date, limit=1; then with the cursor of Link
    "pages": [["Rent for milk"], ["Milk"]],
    # If-Match with the tag of the read; due_date null, completed true
    "patched": {"title": "Milk", "description": "two bottles", "priority": "high", "completed": True},
    "stale": 412,
    "invalid": [400, ["/title"]],
    "missing": [404, 404],  # the status, and the code in the body
    "bulk": ["Bread", "Butter"],
    "deleted": [204, 404],
}
"""What each step of a session prints; the last, `changes`, is compared with the service's own answer."""


class ClientTestCase(TestCase):
    """A service of each class's own, its document in a folder for the generated code, and commands that run there."""

    folder: Path
    service: ServiceProcess

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="taskservice-client-")))
        cls.service = cls.enterClassContext(running(cls.folder, {"memory": None}, auth={"tokens": list(TOKENS)}))
        (cls.folder / "openapi.json").write_bytes(cls.ask("/openapi.json"))

    @classmethod
    def ask(cls, path: str) -> bytes:
        """Return what the service answers."""
        with urlopen(Request(cls.service.url + path, headers=bearer(WRITER)), timeout=30) as answer:
            body: bytes = answer.read()
        return body

    def run_command(self, *command: str | Path, **environment: str) -> str:
        """Run a command in the folder; return its standard output, fail with all it said if it fails."""
        done = subprocess.run(
            command, cwd=self.folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE)
        said = f"{' '.join(map(str, command))}\n{done.stdout[-8000:]}{done.stderr[-8000:]}"
        self.assertEqual(done.returncode, 0, said)
        return done.stdout

    def check_session(self, *command: str | Path, **environment: str) -> None:
        """Run a session and compare each of its steps."""
        said = self.run_command(*command, SERVICE_URL=self.service.url, SERVICE_TOKEN=WRITER, **environment)
        steps = dict(json.loads(line) for line in said.splitlines())
        changes = steps.pop("changes")
        self.assertEqual(steps, SESSION)
        self.assertEqual(changes, json.loads(self.ask("/changes")))
        self.assertEqual([change["task"] and change["task"]["title"] for change in changes["changes"]],
                         [RENT["title"], EARLY["title"], "Bread", "Butter", None])
        self.assertGreater(changes["revision"], 2 ** 50)  # it is in microseconds, far above 32 bits

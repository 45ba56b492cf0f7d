"""The tutorial's server, asked with curl as the tutorial does."""

import tempfile
import unittest
from pathlib import Path
from typing import NamedTuple

from tests.helpers.app import ROOT
from tests.helpers.processes import SERVER, ServiceProcess, started

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
REQUEST_ID = 'req_id="[0-9a-f]{32}"'


class Answer(NamedTuple):
    """What `curl -i` printed."""

    status: str
    headers: dict[str, str]
    body: str


class TutorialTestCase(unittest.TestCase):
    """A copy of the tutorial's config, with log file and folder in a temporary one."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.log, self.db = self.folder / "taskservice-app.log", self.folder / "taskservice-db"
        self.config = self.folder / "todoList-local.yaml"
        self.use("memory: null")

    def use(self, engine: str) -> None:
        """Write the config with this engine."""
        text = (ROOT / "configs" / "todoList-local.yaml").read_text("utf-8")
        text = text.replace("/tmp/taskservice-app.log", str(self.log))
        self.config.write_text(text.replace("  memory: null\n", f"  {engine}\n"), "utf-8")

    def start(self, *options: str) -> ServiceProcess:
        """Start the server as the tutorial does."""
        command = (*SERVER, "--port", "0", "--config", str(self.config), *options)
        self.service = self.enterContext(started(*command))
        return self.service

    def file_lines(self) -> list[str]:
        """Return what is in the log file."""
        return self.log.read_text("utf-8").splitlines()

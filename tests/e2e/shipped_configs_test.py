"""The configs of the project, each started as it is: its terminal says that the service is up, and where."""

import re
import tempfile
import unittest
from pathlib import Path
from urllib.request import urlopen

from tests.helpers import postgres
from tests.helpers.app import ROOT
from tests.helpers.processes import PATIENCE, SERVER, ServiceProcess, started

DSN = "postgresql://taskservice@localhost:5432/taskservice"


class ShippedConfigsTest(unittest.TestCase):

    def start(self, config: Path) -> ServiceProcess:
        """Start the service with a copy of a config, whose files are in a folder of the test."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        text = re.sub(r"(?<=[ :])(/tmp|\./var)/", f"{folder}/", config.read_text("utf-8"))
        if DSN in text:
            text = text.replace(DSN, postgres.fresh_database())
        copy = folder / config.name
        copy.write_text(text, "utf-8")
        return self.enterContext(started(*SERVER, "--config", str(copy), "--port", "0", cwd=ROOT))

    def test_the_terminal_says_where_the_service_is(self) -> None:
        configs = sorted((ROOT / "configs").glob("*.yaml"))
        self.assertGreater(len(configs), 3)
        for config in configs:
            with self.subTest(config.name):
                if "postgres:" in config.read_text("utf-8") and (reason := postgres.available()) is not None:
                    self.skipTest(reason)
                service = self.start(config)
                line = service.wait_for_line("STARTING")
                self.assertRegex(line, r'^20\d\d-.* INFO : message="STARTING" service_name="TodoList" port=\d+$')
                with urlopen(f"{service.url}/readyz", timeout=PATIENCE) as answer:
                    self.assertEqual(answer.status, 200)
                self.assertEqual(service.stop(), 0)
                self.assertEqual(service.stderr, [])


if __name__ == "__main__":
    unittest.main()

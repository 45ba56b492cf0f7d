"""Every answer to generated requests is one that the OpenAPI document declares, and none is a 5xx, on every engine.

Schemathesis makes them from the document, valid and invalid ones, with all its checks. At full size it runs for
at least 10,000 cases an engine.
"""
import json
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.helpers import postgres
from tests.helpers.app import ENGINES, ROOT, on_every_engine
from tests.helpers.live import live_server
from tests.helpers.processes import environment
from tests.helpers.timing import FULL

EXAMPLES = 1_200 if FULL else 14  # for each operation and phase, at most
CASES = 10_000 if FULL else 1_000  # in all, at least
PATIENCE = 3_600 if FULL else 300  # seconds

CONFIG = f"""
[generation]
deterministic = {str(not FULL).lower()}

[checks.positive_data_acceptance]
# What is well-formed can also be of no use now: gone (410), stale (412), too large (413), another's key (422).
expected-statuses = ["2xx", "304", "404", "410", "412", "413", "422"]
"""


@on_every_engine
@unittest.skipIf(find_spec("schemathesis") is None, "needs the package schemathesis (requirements-dev.txt)")
class SchemathesisTest(unittest.TestCase):

    engine = "memory"

    def setUp(self) -> None:
        if self.engine == "postgres" and (reason := postgres.available()):
            self.skipTest(reason)
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_generated_requests_get_declared_answers(self) -> None:
        with live_server(ENGINES[self.engine](self.folder)) as service:
            done = self.run_schemathesis(service.url)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertGreaterEqual(self.generated(), CASES)
            self.assertEqual(service.stop(), 0)

    def run_schemathesis(self, url: str) -> subprocess.CompletedProcess[str]:
        """Test the service that is there, as its document says."""
        config = self.folder / "schemathesis.toml"
        config.write_text(CONFIG, "utf-8")
        command = [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", f"{url}/openapi.json",
            f"--max-examples={EXAMPLES}", "--request-timeout=5", "--continue-on-failure", "--no-color",
            "--report=json", f"--report-json-path={self.folder / 'report.json'}"]
        hooks = {"SCHEMATHESIS_HOOKS": "tests.reliability.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, cwd=self.folder, env={**environment(), **hooks}, capture_output=True, text=True, timeout=PATIENCE)

    def generated(self) -> int:
        """Return how many requests were made."""
        report: Mapping[str, Any] = json.loads((self.folder / "report.json").read_bytes())
        return int(report["test_cases"]["generated"])


if __name__ == "__main__":
    unittest.main()

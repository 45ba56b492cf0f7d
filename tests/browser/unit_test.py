"""The page's modules that know no DOM, by Node's own test runner: tests/browser/unit/*.test.js."""

import json
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from taskservice.tornado.documents import page

PAGE = Path(page.__file__).parents[1] / "static" / "page"
UNIT = Path(__file__).parent / "unit"
SECONDS = 120
"""What all of them together may take."""


class ModulesTest(unittest.TestCase):

    def test_modules(self) -> None:
        node = shutil.which("node")
        if node is None:
            self.skipTest("needs Node (apt-get install nodejs)")
        with tempfile.TemporaryDirectory() as folder:
            # Where the modules lie there is nothing that says what kind of scripts they are.
            Path(folder, "package.json").write_text(json.dumps({"type": "module"}), "utf-8")
            shutil.copytree(PAGE, Path(folder, "page"))
            tests = shutil.copytree(UNIT, Path(folder, "unit"))
            ended = subprocess.run(
                [node, "--test", *sorted(map(str, tests.glob("*.test.js")))], cwd=folder, timeout=SECONDS,
                capture_output=True, text=True)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertRegex(ended.stdout, r"(?m)^\W*pass [1-9]\d+$")


if __name__ == "__main__":
    unittest.main()

"""Every command of the README runs as written, and answers what is written there.

`python3 tests/e2e/readme_test.py --write` puts what its commands answer now into it.
"""

import re
import shutil
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # as a script, to --write

from taskservice.config import parse_config  # noqa: E402
from tests.helpers import transcript  # noqa: E402
from tests.helpers.app import ROOT  # noqa: E402

README = ROOT / "README.md"


class ReadmeTest(unittest.TestCase):

    def setUp(self) -> None:
        self.text = README.read_text("utf-8")

    @unittest.skipIf(shutil.which("curl") is None, "needs curl")
    def test_its_commands_answer_what_it_says(self) -> None:
        transcript.check(self, README)

    def test_both_files_of_the_data_are_posted_read_replaced_listed_and_deleted(self) -> None:
        steps = [step for block in transcript.read_blocks(self.text) for step in block.steps]
        self.assertGreater(len(steps), 10)
        commands = " ".join(step.command for step in steps)
        for part in ("@data/tasks/task1.json", "@data/tasks/task2.json", "-X PUT", "-X DELETE"):
            self.assertIn(part, commands)

    def test_its_config_is_one(self) -> None:
        blocks = re.findall(r"(?ms)^```yaml\n(.*?)^```$", self.text)
        self.assertTrue(blocks)
        for block in blocks:
            parse_config(block)


if __name__ == "__main__":
    transcript.write(README) if sys.argv[1:] == ["--write"] else unittest.main()

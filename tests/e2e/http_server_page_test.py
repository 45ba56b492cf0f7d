"""What docs/http-server.md shows of both servers is what they do.

`python3 tests/e2e/http_server_page_test.py --write` puts what its commands answer now into it.
"""

import re
import shutil
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # as a script, to --write

from tests.helpers import transcript  # noqa: E402
from tests.helpers.app import ROOT  # noqa: E402

PAGE = ROOT / "docs" / "http-server.md"


class HTTPServerPageTest(unittest.TestCase):

    @unittest.skipIf(shutil.which("curl") is None, "needs curl")
    def test_its_commands_answer_what_it_says(self) -> None:
        transcript.check(self, PAGE)

    def test_both_servers_are_asked_the_same(self) -> None:
        tornado, own = ([step.command for step in block.steps if re.match("python3 docs|curl", step.command)]
                        for block in transcript.read_blocks(PAGE.read_text("utf-8")))
        self.assertEqual(tornado, own)
        self.assertGreater(len(own), 3)


if __name__ == "__main__":
    transcript.write(PAGE) if sys.argv[1:] == ["--write"] else unittest.main()

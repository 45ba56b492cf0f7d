"""What pages of docs/ show of a session is what happens.

`python3 tests/e2e/pages_test.py --write` puts what their commands answer now into them.
"""

import re
import shutil
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # as a script, to --write

from tests.helpers import transcript  # noqa: E402
from tests.helpers.app import ROOT  # noqa: E402

SERVERS, ENGINES = (ROOT / "docs" / name for name in ("http-server.md", "choosing-an-engine.md"))


@unittest.skipIf(shutil.which("curl") is None, "needs curl")
class SessionTest(unittest.TestCase):

    def test_the_same_requests_to_both_servers(self) -> None:
        transcript.check(self, SERVERS)

    def test_moving_from_one_engine_to_another(self) -> None:
        transcript.check(self, ENGINES)


class ServersPageTest(unittest.TestCase):

    def test_both_servers_are_asked_the_same(self) -> None:
        tornado, own = ([step.command for step in block.steps if re.match("python3 docs|curl", step.command)]
                        for block in transcript.read_blocks(SERVERS.read_text("utf-8")))
        self.assertEqual(tornado, own)
        self.assertGreater(len(own), 3)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        transcript.write(SERVERS)
        transcript.write(ENGINES)
    else:
        unittest.main()

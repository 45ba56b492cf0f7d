"""Lighthouse's marks for the page on a desktop (npm `lighthouse`, in Debian's Chromium): 100 each.

A machine that is not idle has other marks, and Lighthouse gives up on a slow one: TASKSERVICE_FULL=1 runs it.
"""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import SkipTest
from urllib.request import Request, urlopen

from tests.contract import quick_folder
from tests.helpers.browser import chromium
from tests.helpers.npm import need_command, node_modules
from tests.helpers.running import running
from tests.helpers.timing import FULL

NODE = Path(__file__).parent / "node"
SECONDS = 300
CATEGORIES = ("performance", "accessibility", "best-practices")


@unittest.skipUnless(FULL, "on an idle machine: TASKSERVICE_FULL=1")
class LighthouseTest(unittest.TestCase):

    def test_gives_full_marks(self) -> None:
        browser, node = chromium(), need_command("node", "nodejs")
        if browser is None:
            raise SkipTest("needs Chromium (apt-get install chromium)")
        lighthouse = node_modules(NODE) / "lighthouse" / "cli" / "index.js"
        folder = Path(self.enterContext(quick_folder()))
        service = self.enterContext(running(folder, {"memory": None}))
        lines = "".join(json.dumps({"title": f"Task {number}", "priority": "high"}) + "\n" for number in range(30))
        with urlopen(Request(f"{service.url}/tasks", lines.encode(), {"Content-Type": "application/x-ndjson"})):
            pass
        done = subprocess.run(
            [node, str(lighthouse), f"{service.url}/", "--output=json", "--quiet", "--preset=desktop",
             f"--only-categories={','.join(CATEGORIES)}", "--chrome-flags=--headless --no-sandbox"],
            cwd=folder, env={**os.environ, "CHROME_PATH": browser, "TMPDIR": str(folder), "HOME": str(folder)},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        marks = {name: round(report["categories"][name]["score"] * 100) for name in CATEGORIES}
        print(f"\nLighthouse: {marks}, first contentful paint "
              f"{report['audits']['first-contentful-paint']['numericValue']:.0f} ms", file=sys.stderr)
        self.assertEqual(marks, dict.fromkeys(CATEGORIES, 100))


if __name__ == "__main__":
    unittest.main()

"""Every command of the README runs as written, and answers what is written there.

`python3 tests/e2e/readme_test.py --write` puts what its commands answer now into it.
"""

import re
import shutil
import sys
import unittest
from itertools import takewhile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # as a script, to --write

from taskservice.config import parse_config  # noqa: E402
from tests.helpers import transcript  # noqa: E402
from tests.helpers.app import ROOT  # noqa: E402

README = ROOT / "README.md"

PERFORMANCE = (ROOT / "docs" / "performance.md").read_text("utf-8")
FIGURES = (
    ("a millisecond. That is more than three times as fast as FastAPI", "get", "FastAPI + uvicorn", 3, 9),
    ("more than three times as fast as FastAPI or plain Tornado", "get", "plain Tornado", 3, 9),
    ("faster than BlackSheep, Starlette or aiohttp", "get", "aiohttp + uvloop", 1, 3),
    ("also where the first two are written to save microseconds", "get", "BlackSheep + uvicorn, lean", 1, 3),
    ("also where the first two are written to save microseconds", "get", "Starlette + msgspec + uvicorn, lean", 1, 3),
    ("about as long as with those two in that form", "post", "BlackSheep + uvicorn, lean", 0.8, 1.5),
    ("about as long as with those two in that form", "put", "BlackSheep + uvicorn, lean", 0.8, 1.5),
    ("about as long as with those two in that form", "post", "Starlette + msgspec + uvicorn, lean", 0.8, 1.5),
    ("about as long as with those two in that form", "put", "Starlette + msgspec + uvicorn, lean", 0.8, 1.5),
    ("less than half as long as with FastAPI", "post", "FastAPI + uvicorn", 2, 9),
    ("less than half as long as with FastAPI", "put", "FastAPI + uvicorn", 2, 9),
    ("about two thirds of the time for reading", "get", "Fastify on Node, lean", 0.55, 0.75),
    ("and somewhat less time for writing", "post", "Fastify on Node, lean", 0.6, 0.95),
    ("and somewhat less time for writing", "put", "Fastify on Node, lean", 0.6, 0.95),
)
"""What the README says, and the least and the most that the other's CPU time may be by this service's."""


def figure(section: str, candidate: str, column: str) -> float:
    """Return a figure of the first table of a section of docs/performance.md."""
    lines = PERFORMANCE[PERFORMANCE.index(f"\n{section}\n"):].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in takewhile(lambda line: line.startswith("|"), lines[start:])]
    [row] = [row for row in rows if row[0] == candidate]
    return float(row[rows[0].index(column)].replace(",", ""))


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

    def test_it_shows_a_success_before_any_table(self) -> None:
        self.assertLess(self.text.index("HTTP/1.1 201 Created"), self.text.index("\n|"))

    def test_its_figures_are_those_of_the_tables(self) -> None:
        """Each sentence about speed, as bounds of the other's CPU time by this service's."""
        for part, workload, other, least, most in FIGURES:
            with self.subTest(part, other=other):
                self.assertIn(part, " ".join(self.text.split()))
                times = [figure("## CPU time a request", name, workload) for name in (other, "taskservice")]
                self.assertTrue(least <= times[0] / times[1] <= most, times)
        self.assertLess(figure("## CPU time a request", "taskservice", "get"), 100)
        rates = [figure("### Durable post, 64 clients", name, "requests/s")
                 for name in ("taskservice on SQLite", "FastAPI + aiosqlite")]
        self.assertGreater(rates[0], max(4_000, 4 * rates[1]))

    def test_its_config_is_one(self) -> None:
        blocks = re.findall(r"(?ms)^```yaml\n(.*?)^```$", self.text)
        self.assertTrue(blocks)
        for block in blocks:
            parse_config(block)


if __name__ == "__main__":
    transcript.write(README) if sys.argv[1:] == ["--write"] else unittest.main()

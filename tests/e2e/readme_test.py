"""Every command of the README runs as written, and answers what is written there.

`python3 tests/e2e/readme_test.py --write` puts what it answers now into the README.
"""

import re
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # as a script, to --write

from taskservice.config import parse_config  # noqa: E402
from tests.e2e.processes import ServiceProcess, copy_project, shell  # noqa: E402
from tests.support import ROOT  # noqa: E402

README = ROOT / "README.md"

BLOCK = re.compile(r"(?ms)^```(?:console|bash)\n(.*?)^```$")
STEP = re.compile(r"(?ms)^\$ (?P<command>.*?)\n(?P<output>.*?)(?=^\$ |\Z)")
SERVE = "python3 run.py serve"

ID_OR_REVISION = re.compile(r"\b(?:[0-9a-f]{32}|[0-9]{16})\b")
VARYING = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}|\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT|[\d.]+s$", re.M)


def masked(output: str) -> str:
    """Return an output without what is another one each time."""
    return VARYING.sub("(time)", ID_OR_REVISION.sub("(id or revision)", output)).rstrip()


class Session:
    """The commands of the README on a copy of the project, with a port that is free."""

    def __init__(self, folder: Path) -> None:
        self._folder = copy_project(folder)
        self._service: ServiceProcess | None = None
        self._now: dict[str, str] = {}

    def run(self, command: str, output: str) -> tuple[str, str]:
        """Run a command of a known output; return it with today's ids, and its output."""
        typed = ID_OR_REVISION.sub(lambda match: self._now.get(match[0], match[0]), command)
        said = self._serve(typed) if typed.startswith(SERVE) else self._shell(typed)
        self._now.update(zip(ID_OR_REVISION.findall(output), ID_OR_REVISION.findall(said)))
        return typed, said.rstrip() + "\n"

    def _serve(self, command: str) -> str:
        self._service = ServiceProcess([*command.split(), "--port", "0"], self._folder)
        return self._service.wait_for_line("STARTING").replace(f"{self._service.port}", "8080")

    def _shell(self, command: str) -> str:
        if self._service is not None:
            command = command.replace("localhost:8080", f"localhost:{self._service.port}")
        done = shell(command, self._folder)
        return done.stdout or done.stderr  # curl's progress is for who sends its output elsewhere

    def close(self) -> None:
        """End the service."""
        if self._service is not None:
            self._service.close()


class ReadmeTest(unittest.TestCase):

    def setUp(self) -> None:
        self.text = README.read_text("utf-8")

    @unittest.skipIf(shutil.which("curl") is None, "needs curl")
    def test_its_commands_answer_what_it_says(self) -> None:
        session = Session(Path(self.enterContext(tempfile.TemporaryDirectory())))
        self.addCleanup(session.close)
        steps = [step for block in BLOCK.findall(self.text) for step in STEP.finditer(block)]
        self.assertGreater(len(steps), 10)
        for step in steps:
            with self.subTest(step["command"]):
                _, said = session.run(step["command"], step["output"])
                self.assertEqual(masked(said), masked(step["output"]))

    def test_both_files_of_the_data_are_posted_read_replaced_listed_and_deleted(self) -> None:
        blocks = "".join(BLOCK.findall(self.text))
        for part in ("@data/tasks/task1.json", "@data/tasks/task2.json", "-X PUT", "-X DELETE"):
            self.assertIn(part, blocks)

    def test_its_config_is_one(self) -> None:
        blocks = re.findall(r"(?ms)^```yaml\n(.*?)^```$", self.text)
        self.assertTrue(blocks)
        for block in blocks:
            parse_config(block)

    def test_its_links_lead_to_files_that_are_there(self) -> None:
        links = [link for link in re.findall(r"\]\(([^)]+)\)", self.text) if "://" not in link]
        self.assertTrue(links)
        for link in links:
            self.assertTrue((ROOT / link).exists(), link)


def write() -> None:
    """Run the README's commands, and put what they answer into it."""
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Path(folder))

        def answered(step: re.Match[str]) -> str:
            command, output = session.run(step["command"], step["output"])
            return f"$ {command}\n{output}"

        def block(match: re.Match[str]) -> str:
            return match[0].replace(match[1], STEP.sub(answered, match[1]))

        try:
            README.write_text(BLOCK.sub(block, README.read_text("utf-8")), "utf-8")
        finally:
            session.close()


if __name__ == "__main__":
    write() if sys.argv[1:] == ["--write"] else unittest.main()

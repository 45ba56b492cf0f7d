"""The guide says what is: its commands answer so, its excerpts are in the files, its names exist.

`python3 tests/e2e/guide_test.py --write` puts what its commands answer now into it.
"""

import re
import shutil
import subprocess
import sys
import unittest
from collections import Counter
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # as a script, to --write

from tests.helpers import transcript  # noqa: E402
from tests.helpers.api import wait_until  # noqa: E402
from tests.helpers.app import ROOT  # noqa: E402
from tests.helpers.postgres import free_port  # noqa: E402

GUIDE = ROOT / "docs" / "guide.md"
STAGES = (
    "Setup", "Microservice", "Logging", "Data model", "Storage", "Testing", "Profiling",
    "Operating")

CODE = ("docs/guide", "taskservice", "scripts", "tests", "benchmarks", "schema", "configs", "deploy", ".ci")
EXAMPLES = ROOT / "docs" / "guide"
KINDS = {".py", ".json", ".yaml", ".toml", ".txt", ""}
IMPORTED = {"serving", "hello", "todo"}
"""Programs that others import and run."""

FOREIGN = {"BufferedProtocol", "grep", "pip", "static_path", "timeit"}
"""Names in the guide that are of Python or of a tool, and need not be in the code."""


def words(text: str) -> set[str]:
    """Return the words of a text, as a name has them."""
    return set(re.findall(r"[A-Za-z_]\w+", text))


def words_of_the_project() -> set[str]:
    """Return all words of its code, data and configs, and of the names of its files."""
    files = [file for folder in CODE for file in (ROOT / folder).rglob("*") if file.is_file()]
    files += [file for file in ROOT.iterdir() if file.is_file()]
    found = words(" ".join(str(file.relative_to(ROOT)) for file in files))
    for file in files:
        if file.suffix in KINDS and file != Path(__file__) and "__pycache__" not in file.parts:
            found |= words(file.read_text("utf-8", "replace"))
    return found


class GuideTest(unittest.TestCase):

    def setUp(self) -> None:
        self.text = GUIDE.read_text("utf-8")
        self.blocks = transcript.read_blocks(self.text)

    @unittest.skipIf(shutil.which("curl") is None, "needs curl")
    def test_its_commands_answer_what_it_says(self) -> None:
        """Also in a clone where the session of the README was typed before."""
        transcript.check(self, ROOT / "README.md", GUIDE)

    def test_the_first_service_answers_what_it_says(self) -> None:
        """On a free port instead of 8888."""
        [block] = [block for block in self.blocks if block.steps[0].command == "python3 docs/guide/hello.py"]
        url = block.steps[1].command.removeprefix("curl -s ").replace("8888", str(port := free_port()))
        code = (EXAMPLES / "hello.py").read_text("utf-8").replace("8888", str(port))
        service = self.enterContext(subprocess.Popen([sys.executable, "-c", code]))
        self.addCleanup(service.kill)
        answers: list[str] = []

        def answered() -> bool:
            with suppress(URLError), urlopen(url) as answer:
                answers.append(answer.read().decode())
            return bool(answers)

        wait_until(answered, "an answer")
        self.assertEqual(f"{answers[0]}\n", block.steps[1].output)

    def test_it_has_the_stages_of_the_tutorial_and_commands_in_each(self) -> None:
        _, *stages = re.split(r"(?m)^## \d\. (.*)$", self.text)
        self.assertEqual(tuple(stages[::2]), STAGES)
        for name, text in zip(STAGES, stages[1::2]):
            self.assertTrue(transcript.read_blocks(text), name)

    def test_every_block_is_run_or_looked_up(self) -> None:
        fences = Counter(re.findall(r"(?m)^```(\w*)$", self.text))
        closing = fences.pop("")
        self.assertEqual(closing, fences.total())
        self.assertEqual(fences.pop("console"), len(self.blocks))
        self.assertEqual(fences.total(), len(list(transcript.excerpts(self.text))))
        self.assertGreater(fences.total(), 25)

    def test_every_program_for_it_is_shown_and_run(self) -> None:
        """All but what they import; a file under `docs/guide/` that the guide does not use is left over."""
        shown = {name for name, _ in transcript.excerpts(self.text)}
        commands = " ".join(step.command for block in self.blocks if block.is_run for step in block.steps)
        for file in EXAMPLES.glob("*.py"):
            name = str(file.relative_to(ROOT))
            if file.stem not in IMPORTED:
                self.assertIn(name, commands)
            self.assertTrue(name in shown or name in self.text, name)

    def test_every_excerpt_is_in_its_file(self) -> None:
        for name, excerpt in transcript.excerpts(self.text):
            with self.subTest(name, excerpt=excerpt):
                source = (ROOT / name).read_text("utf-8")
                self.assertTrue(transcript.is_excerpt(excerpt, source))

    def test_what_is_not_run_is_little_and_names_files_that_are_there(self) -> None:
        left_out = [block for block in self.blocks if not block.is_run]
        commands = [step.command for block in left_out for step in block.steps]
        self.assertLess(len(commands), 7)
        for file in re.findall(r"[\w./-]+\.(?:txt|yaml)\b", " ".join(commands)):
            self.assertTrue((ROOT / file).exists(), file)

    def test_the_files_and_names_that_it_speaks_of_are_there(self) -> None:
        known = words_of_the_project() | FOREIGN
        prose = re.sub(r"(?ms)^```.*?^```$", "", self.text)
        for name in re.findall(r"`([^`\n]+)`", prose):
            if re.fullmatch(r"(?:taskservice|tests|schema|configs|data)/[\w./-]*", name):
                self.assertTrue((ROOT / name).exists(), name)
            with self.subTest(name):
                self.assertEqual(words(name) - known, set())


if __name__ == "__main__":
    transcript.write(GUIDE) if sys.argv[1:] == ["--write"] else unittest.main()

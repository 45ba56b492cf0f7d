"""Documents that show commands and code: every command is run, every excerpt is looked up.

A block marked `console` is what a terminal shows. `$ ` begins a command, `> ` goes on with it, and
what follows is its output. They are run in the order of the document, in a copy of the project.
The command that starts a service ends the one before, and shows the line `STARTING`. A block with
`^C` in it ends the service, and is the end of what its terminal shows.

A comment right before a block can say more of it, joined by `; `: `needs TOOL` (a program,
a package, `.venv-bench`, or `Python.h`), `varies` (only its first line is compared, and no figures in it),
`not run: WHY`.

A block that follows a line with nothing but a file's name and a colon is an excerpt of that file;
a line of `…`, or `# …`, stands for what is left out.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import textwrap
import unittest
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.environment import VENV, is_prepared
from tests.helpers.processes import PATIENCE, ServiceProcess, copy_project, environment

BLOCK = re.compile(r"(?ms)^(?:<!-- (?P<marks>[^\n]*) -->\n)?```console\n(?P<body>.*?)^```$")
STEP = re.compile(r"(?m)^\$ (?P<command>.*(?:\n>(?: .*)?)*)\n(?P<output>(?:(?!\$ ).*\n)*)")
EXCERPT = re.compile(r"(?ms)^`(?P<file>[^`\n]+)`:\n```\w+\n(?P<text>.*?)^```$")
END = "^C"
HEADERS = "Python.h"
"""What it takes to compile an extension, and some systems have in a package of its own."""

FILES = "/tmp/taskservice-"
"""How the names of files begin that are not the project's."""

SERVE = re.compile(r"python3 (?:run\.py serve|taskservice/tornado/server\.py)(?: [^;]*)?")
PORT = 8080

NAMES = re.compile(
    r"(?m)(?<![\w.])(?:[0-9a-f]{64}|[0-9a-f]{32}|[0-9]{16})\b"
    r"|(?<=Bearer )[\w-]{43}|(?<=^    )[\w-]{43}$")
"""Digests, ids, revisions and tokens, which commands may repeat."""

VARYING = (
    (NAMES, "(name)"),
    (re.compile(
        r"\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d,\d{3}|T\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d)"
        r"|\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT"),
     "(time)"),
    (re.compile(r"\b(time_ms|store_ms|lineno)=[\d.e-]+"), r"\1=(number)"),
    (re.compile(r'\bip="[^"]+"'), 'ip="(address)"'),
    (re.compile(r"\b[\d.,]+ ?(?:s|ms|[num]?sec)\b"), "(duration)"),
    (re.compile(r"\bRan \d+ tests?"), "Ran (number) tests"),
    (re.compile(r"(?m)^(\S+\.py|TOTAL) +\d+ +\d+ +\d+ +\d+ +"), r"\1 (numbers) "),
    (re.compile(r"(?m)^-+$"), "(line)"),
)
"""What is another one each time, or each time the code changes, and no matter."""


def masked(output: str) -> str:
    """Return an output without what varies."""
    for pattern, name in VARYING:
        output = pattern.sub(name, output)
    return output.rstrip()


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and what the terminal shows then."""

    command: str
    output: str

    def __str__(self) -> str:
        """Return it as a document shows it."""
        if self.command == END:
            return re.sub(r"(?m)^(?=.*(?:SHUTTING DOWN|STOPPED))", f"{END}\n", self.output, count=1)
        typed = [f"> {line}".rstrip() for line in self.command.split("\n")]
        return "$" + "\n".join(typed)[1:] + f"\n{self.output}"


@dataclass(frozen=True, slots=True)
class Block:
    """A block of commands: what is said of it, and its steps."""

    marks: Sequence[str]
    steps: Sequence[Step]

    @property
    def is_run(self) -> bool:
        """Whether it is to be run at all."""
        return not any(mark.startswith("not run: ") for mark in self.marks)

    @property
    def missing(self) -> list[str]:
        """The tools that it needs and that are not here."""
        needed = [mark.removeprefix("needs ") for mark in self.marks if mark.startswith("needs ")]
        return [tool for tool in needed if not _is_there(tool)]

    @property
    def varies(self) -> bool:
        """Whether its figures are other ones each time."""
        return "varies" in self.marks

    def compared(self, output: str) -> str:
        """Return what matters of an output."""
        if not self.varies:
            return masked(output)
        return re.sub(r"[\d.,]+", "(number)", output.partition("\n")[0])


def _is_there(tool: str) -> bool:
    if tool == HEADERS:
        return Path(sysconfig.get_path("include"), HEADERS).exists()
    if tool == VENV.name:
        return is_prepared()
    return shutil.which(tool) is not None or find_spec(tool) is not None


def read_block(match: re.Match[str]) -> Block:
    """Return a block of a document."""
    marks, body = (match["marks"] or "").split("; "), match["body"]
    if f"{END}\n" in body:
        return Block(marks, [Step(END, body.replace(f"{END}\n", ""))])
    steps = [Step(re.sub("\n> ?", "\n", step["command"]), step["output"])
             for step in STEP.finditer(body)]
    return Block(marks, steps)


def read_blocks(text: str) -> list[Block]:
    """Return the blocks of commands of a document."""
    return [read_block(match) for match in BLOCK.finditer(text)]


class Session:
    """A terminal, and one for the service, in a copy of the project; files and port are its own."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "files"
        self._files.mkdir()
        self._folder = copy_project(folder)
        for config in (self._folder / "configs").iterdir():
            config.write_text(self._here(config.read_text("utf-8")), "utf-8")
        if is_prepared():
            (self._folder / VENV.name).symlink_to(VENV)
        # To a terminal curl shows no progress.
        (folder / ".curlrc").write_text("silent\nshow-error\n", "utf-8")
        self._environment = {**environment(), "CURL_HOME": str(folder)}
        self._names: dict[str, str] = {}

    _service: ServiceProcess | None = None

    def run(self, step: Step) -> Step:
        """Run a step; return it with the names and the output of now."""
        typed = NAMES.sub(lambda match: self._names.get(match[0], match[0]), step.command)
        if typed == END:
            said = "\n".join(self._end()[-len(step.output.splitlines()):])
        else:
            said = self._serve(typed) if SERVE.fullmatch(typed) else self._shell(typed)
        said = re.sub(r"(?m) +$", "", said.replace(f"{self._files}/", FILES)).rstrip()
        self._names.update(zip(NAMES.findall(step.output), NAMES.findall(said)))
        return Step(typed, f"{said}\n" if said else "")

    def _serve(self, command: str) -> str:
        if self._service is not None:
            self._end()
        words = [*shlex.split(self._here(command)), "--port", "0"]
        self._service = ServiceProcess(words, self._folder)
        return self._shown(self._service.wait_for_line("STARTING"))

    def _end(self) -> list[str]:
        """End the service as Ctrl-C does; return what its terminal shows."""
        assert self._service is not None
        service, self._service = self._service, None
        code = service.stop(signal.SIGINT)
        if code or service.stderr:
            raise AssertionError(f"the service ended with {code} and said {service.stderr}")
        return service.stdout

    def _shell(self, command: str) -> str:
        process = subprocess.Popen(
            ["bash", "-c", self._here(command)], cwd=self._folder, env=self._environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True)
        try:
            return self._shown(process.communicate(timeout=PATIENCE)[0])
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # what it started would go on by itself
            process.communicate()
            raise

    def _here(self, text: str) -> str:
        """Return a text of the document as it has to be here."""
        if self._service is not None:
            port = self._service.port
            text = text.replace(f"localhost:{PORT}", f"localhost:{port}")
            text = text.replace("run.py serve", f"run.py serve --port {port}")  # a second one
        return text.replace(FILES, f"{self._files}/")

    def _shown(self, text: str) -> str:
        """Return an output as it is where the port is the usual one."""
        if self._service is None:
            return text
        return re.sub(rf"\b{self._service.port}\b", str(PORT), text)

    def close(self) -> None:
        """End the service, where it is left, as its operator would: it removes what it has made."""
        if self._service is not None:
            try:
                self._service.stop()
            finally:
                self._service.close()


def check(case: unittest.TestCase, *documents: Path) -> None:
    """Run the commands of documents, one after the other in one copy; each has to answer what is written there."""
    with tempfile.TemporaryDirectory() as folder, closing(Session(Path(folder))) as session:
        blocks = [block for document in documents for block in read_blocks(document.read_text("utf-8")) if block.is_run]
        for block in blocks:
            for step in block.steps:
                with case.subTest(step.command):
                    if block.missing:
                        case.skipTest(f"needs {', '.join(block.missing)}")
                    said = session.run(step).output
                    case.assertEqual(
                        block.compared(said), block.compared(step.output),
                        "\nIf that is right, --write puts it into the document.")


def write(document: Path) -> None:
    """Run the commands of a document, and put what they answer into it."""
    with tempfile.TemporaryDirectory() as folder, closing(Session(Path(folder))) as session:
        def answered(match: re.Match[str]) -> str:
            block = read_block(match)
            if block.missing or not block.is_run:
                return match[0]
            said = "".join(str(session.run(step)) for step in block.steps)
            return match[0].replace(match["body"], said)

        document.write_text(BLOCK.sub(answered, document.read_text("utf-8")), "utf-8")


def excerpts(text: str) -> Iterator[tuple[str, str]]:
    """Give each excerpt of a document: the file it is of, and its text."""
    for match in EXCERPT.finditer(text):
        yield match["file"], match["text"]


def is_excerpt(text: str, source: str) -> bool:
    """Return whether the parts of a text are in a source, whole lines and in order."""
    rest = source.splitlines()
    for part in re.split(r"(?m)^ *(?:# )?…\n", text):
        if part.strip():
            wanted = textwrap.dedent(part).splitlines()
            found = _find(wanted, rest)
            if found is None:
                return False
            rest = rest[found + len(wanted):]
    return True


def _find(wanted: Sequence[str], lines: Sequence[str]) -> int | None:
    size = len(wanted)
    for start in range(len(lines) - size + 1):
        if textwrap.dedent("\n".join(lines[start:start + size])).splitlines() == list(wanted):
            return start
    return None

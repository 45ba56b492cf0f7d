"""The log in each format that the project ships, read by the programs that people read logs with."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.helpers.app import ROOT
from tests.helpers.logs import parse
from tests.helpers.npm import need_command, node_modules
from tests.helpers.processes import PATIENCE
from tests.helpers.raw import peer
from tests.helpers.running import running

HERE = Path(__file__).resolve().parent
GO_SOURCES = Path("/usr/share/gocode")
"""Where Debian has packages of Go."""

FOR_PEOPLE = re.compile(r"[^=]* taskservice [A-Z]+ : (.*)")
"""A line of a format whose beginning is no logfmt."""

RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"

Pairs = Mapping[str, Any]


def sections(value: object) -> Iterator[Mapping[str, Any]]:
    """Give the `logging` sections anywhere in a document of YAML, also in one that is a text in it."""
    if isinstance(value, str) and "\nlogging:" in value:
        value = yaml.safe_load(value)
    if isinstance(value, Mapping):
        if "logging" in value:
            yield value["logging"]
        for member in value.values():
            yield from sections(member)


def formatters() -> Mapping[str, Mapping[str, Any]]:
    """Return the formatters of all configs that are shipped, each once, by the file and the name in it."""
    found: dict[str, Mapping[str, Any]] = {}
    for file in sorted([*(ROOT / "configs").glob("*.yaml"), *(ROOT / "deploy").glob("*.yaml")]):
        for document in yaml.safe_load_all(file.read_text("utf-8")):
            for section in sections(document):
                for name, entry in section["formatters"].items():
                    if entry not in found.values():
                        found[f"{file.name} {name}"] = entry
    return found


class LogReadersTest(unittest.TestCase):

    folder: Path
    formats: Mapping[str, Mapping[str, Any]]
    events: Sequence[Pairs]
    """What was logged, as our own strict reader reads the lines that have nothing before them."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.formats = formatters()
        handlers = {
            name: {"class": "logging.FileHandler", "filename": str(cls.folder / name), "formatter": name}
            for name in ["bare", *cls.formats]}
        handlers["console"] = {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}
        section = {
            "version": 1, "handlers": handlers, "root": {"level": "INFO", "handlers": list(handlers)},
            "formatters": {"bare": {"format": "%(message)s"}, **cls.formats}}
        with running(cls.folder, {"memory": None}, logging=section) as service:
            for path in ("/tasks?q=a%22b", '/no"such\\path\\', "/a=b=c", "/tasks?q=\xe9%0Alevel=ERROR", "/'"):
                with peer(service.port) as client:
                    client.ask("GET", path)
            with peer(service.port) as client:
                client.ask("POST", "/tasks", b'{"title": 5, "a \\"b\\" \\\\ \\n": 1}')
            assert service.stop() == 0
        cls.events = [parse(line) for line in cls.lines("bare")]

    @classmethod
    def lines(cls, name: str) -> Sequence[str]:
        return (cls.folder / name).read_text("utf-8").split("\n")[:-1]

    def read(self, text: Sequence[str], *command: str | Path) -> Sequence[Any]:
        """Return what a program makes of lines, one line of JSON for each."""
        done = subprocess.run(
            command, input="".join(f"{line}\n" for line in text), capture_output=True, text=True, timeout=PATIENCE,
            env={**os.environ, "LC_ALL": "C.UTF-8"})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        read = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(read), len(self.events))
        return read

    def logfmt(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Give name and lines of each format that is logfmt as a whole, or after what is there for people."""
        for name, entry in self.formats.items():
            if "format" in entry:
                matches = [FOR_PEOPLE.fullmatch(line) for line in self.lines(name)]
                yield name, [match[1] if match else line for match, line in zip(matches, self.lines(name))]

    def test_there_is_what_is_hard_to_read(self) -> None:
        uris = {event.get("uri") for event in self.events}
        self.assertLess({'/no"such\\path\\', "/a=b=c"}, uris)
        self.assertGreater(len(self.formats), 3)

    def test_each_has_a_level_and_a_time(self) -> None:
        for name, entry in self.formats.items():
            for line in self.lines(name):
                self.assertRegex(line, r'(\blevel"?[=:] ?"?| taskservice )(INFO|WARNING|ERROR)\b')
                if entry.get("datefmt") == "rfc3339" or "class" in entry:
                    self.assertRegex(line, rf'^({{"time": "|time=)?{RFC3339}\b')

    def test_go_logfmt(self) -> None:
        go = need_command("go", "golang-go")
        if not (GO_SOURCES / "src" / "github.com" / "go-logfmt").is_dir():
            self.skipTest("needs go-logfmt (Debian: golang-github-go-logfmt-logfmt-dev)")
        program = self.folder / "read_logfmt"
        subprocess.run(
            [go, "build", "-o", program, HERE / "read_logfmt" / "main.go"], check=True, timeout=300, env={
                **os.environ, "GO111MODULE": "off", "GOFLAGS": "", "GOPATH": str(GO_SOURCES),
                "GOCACHE": str(self.folder / "go")})
        for name, lines in self.logfmt():
            with self.subTest(name):
                for pairs, event in zip(self.read(lines, program), self.events):
                    self.assertEqual(len(dict(pairs)), len(pairs), "a key twice")
                    texts = {key: as_text(value) for key, value in event.items()}
                    self.assertLessEqual(texts.items(), dict(pairs).items())

    def test_npm_logfmt(self) -> None:
        """It takes `\\\\n` for an `n`, so only values without such escapes are compared."""
        (self.folder / "node_modules").symlink_to(node_modules(HERE))
        (self.folder / "package.json").write_text('{"type": "module"}', "ascii")
        shutil.copy(HERE / "read_logfmt.js", self.folder)
        for name, lines in self.logfmt():
            with self.subTest(name):
                found = self.read(lines, need_command("node", "nodejs"), self.folder / "read_logfmt.js")
                for line, pairs, event in zip(lines, found, self.events):
                    self.assertLessEqual(event.keys(), pairs.keys(), line)
                    for key, value in event.items():
                        if not isinstance(value, str) or value.isprintable():
                            self.assertEqual(as_text(pairs[key]), as_text(value), line)

    def test_jq(self) -> None:
        jq = need_command("jq", "jq")
        names = [name for name, entry in self.formats.items() if "class" in entry]
        self.assertTrue(names)
        for name in names:
            for values, event in zip(self.read(self.lines(name), jq, "-c", "."), self.events):
                self.assertEqual({key: values[key] for key in event}, event)
                self.assertEqual([*values][:3], ["time", "level", "logger"])


def as_text(value: object) -> str:
    """Return a value as logfmt writes it, but for quotes and escapes."""
    return value if isinstance(value, str) else json.dumps(value)


if __name__ == "__main__":
    unittest.main()

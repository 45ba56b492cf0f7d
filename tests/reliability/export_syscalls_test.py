"""In which order an export asks the disk, seen by strace: the file is there before it takes another's place."""

import os
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path

from tests.helpers.api import ndjson
from tests.helpers.app import ROOT
from tests.helpers.processes import PATIENCE, environment
from tests.helpers.syscalls import CALLS, FLUSHES, RENAMES, Call, parse, why_no_strace
from tests.helpers.transfer import Raw, raw_server

LINES = ndjson([{"id": "a", "revision": 1, "task": {"title": "of the test"}}])
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n" % len(LINES) + LINES


class ExportTest(unittest.TestCase):

    def setUp(self) -> None:
        if (reason := why_no_strace()) is not None:
            self.skipTest(reason)
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()

    def export(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Export under strace."""
        command = [sys.executable, str(ROOT / "run.py"), "export", str(self.folder / "tasks.ndjson")]
        trace = ["strace", "-f", "-y", "-s", "4200", "-o", str(self.folder / "trace"), *options]
        with raw_server(Raw(ANSWER)) as server:
            return subprocess.run(
                [*trace, *command, "--url", server.url], env=environment(), capture_output=True, text=True,
                timeout=PATIENCE)

    def test_it_is_on_disk_before_it_takes_the_others_place_and_then_its_name_is(self) -> None:
        done = self.export("-e", f"trace={','.join(CALLS)}")
        self.assertEqual((done.returncode, done.stdout), (0, "exported 1 task\n"), done.stderr)
        calls = parse((self.folder / "trace").read_text("utf-8").splitlines())
        steps: list[tuple[str, Callable[[Call], bool]]] = [
            ("write", lambda call: call.name == "write" and call.has(".part>") and call.has("of the test")),
            ("flush of the file", lambda call: call.name in FLUSHES and call.has(".part>")),
            ("rename", lambda call: call.name in RENAMES and call.has("/tasks.ndjson\"")),
            ("flush of the folder", lambda call: call.name in FLUSHES and call.has(f"<{self.folder}>")),
            ("message", lambda call: call.name == "write" and call.has("exported 1 task"))]
        last = -1
        for step, is_step in steps:
            found = next((call for call in calls if call.start > last and is_step(call)), None)
            assert found is not None, f"no {step} in its place"
            self.assertRegex(found.result, r"\A\d", step)
            last = found.end

    def test_a_flush_that_fails_leaves_the_file_as_it_was(self) -> None:
        file = self.folder / "tasks.ndjson"
        file.write_text("before")
        done = self.export("-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (
            1, "", f"export: the export broke off, {file} is as it was: Input/output error\n"))
        self.assertEqual(file.read_text(), "before")
        self.assertEqual(sorted(os.listdir(self.folder)), ["tasks.ndjson", "trace"])

    def test_one_of_the_folder_that_fails_is_reported(self) -> None:
        done = self.export("-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=2")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        file = self.folder / "tasks.ndjson"
        reported = f"{file} is exported, but a power cut may undo that: Input/output error"
        self.assertEqual(done.stderr, f"export: {reported}\n")
        self.assertEqual(file.read_bytes(), LINES)


if __name__ == "__main__":
    unittest.main()

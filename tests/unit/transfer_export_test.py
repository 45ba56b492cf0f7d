"""`run.py export` without a network: what is written, where, and what stays as it was."""

import fcntl
import os
import resource
import socket
import stat
import subprocess
import sys
import threading
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from taskservice.client.errors import BrokenAnswerError, OptionError, TransferError
from taskservice.client.export import exported_lines
from tests.helpers.api import ndjson
from tests.helpers.transfer import PATIENCE, TransferTestCase, call, powerless

LINES = ndjson({"id": f"id-{number}", "revision": number, "task": {"title": "é" * number}} for number in range(3))


class ExportTestCase(TransferTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.service.exported = [LINES[:10], LINES[10:]]

    def do(self, file: str | Path | None = None) -> None:
        """Export, which succeeds."""
        self.assertEqual(call("export", "http://a", file or self.file), (0, "exported 3 tasks\n", ""))

    def fails(self, message: str, file: str | Path | None = None, code: int = 1) -> None:
        """The export fails, and says so in one line."""
        found, out, err = call("export", "http://a", file or self.file)
        self.assertEqual((found, out, err.count("\n")), (code, "", 1), err)
        self.assertRegex(err, f"^export: {message}")

    def breaks_off(self, error: BaseException) -> None:
        """The answer ends in an error."""
        def chunks() -> Iterator[bytes]:
            yield LINES
            raise error

        self.service.exported = chunks()


class LinesTest(unittest.TestCase):

    def test_lines_come_whole_however_they_are_cut(self) -> None:
        for size in (1, 7, 60, 1_000):
            pieces = [LINES[start:start + size] for start in range(0, len(LINES), size)]
            lines = [line for found in exported_lines(pieces) for line in found]
            self.assertEqual(lines, LINES.splitlines())

    def test_no_lines_are_none(self) -> None:
        self.assertEqual([line for lines in exported_lines([]) for line in lines], [])

    def test_a_line_without_an_end_is_cut(self) -> None:
        for size in (5, len(LINES) - 1):
            with self.assertRaisesRegex(BrokenAnswerError, "ends in the middle of line [13]$"):
                list(exported_lines([LINES[:size]]))

    def test_a_line_that_is_no_task_with_id_and_revision_is_damaged(self) -> None:
        for bad in (b"", b"5", b"[]", b"{}", b'{"id": "a", "revision": 1}', b'{"title": "a"}', b"\xff", b'{"id": "a"',
                    b'{"id": "a", "revision": 1, "task": {"title": "a"}}{"id": "a"'):
            with self.subTest(bad), self.assertRaisesRegex(BrokenAnswerError, "line 4 of the answer is not a task"):
                list(exported_lines([LINES, bad + b"\n", LINES]))


class FileTest(ExportTestCase):

    def test_what_comes_is_written_as_it_is(self) -> None:
        self.do()
        self.assertEqual(self.file.read_bytes(), LINES)
        self.assertEqual(self.files(), {"tasks.ndjson"})

    def test_one_task_is_in_the_singular(self) -> None:
        self.service.exported = LINES.splitlines(keepends=True)[:1]
        self.assertEqual(call("export", "http://a", self.file), (0, "exported 1 task\n", ""))

    def test_no_tasks_make_an_empty_file(self) -> None:
        self.file.write_text("before")
        self.service.exported = [b""]
        self.assertEqual(call("export", "http://a", self.file), (0, "exported 0 tasks\n", ""))
        self.assertEqual(self.file.read_bytes(), b"")

    def test_one_that_breaks_off_leaves_the_file_as_it_was(self) -> None:
        self.file.write_text("before")
        for error, reported, code in (
                (BrokenAnswerError("cut"), f"the export broke off, {self.file} is as it was: cut$", 1),
                (KeyboardInterrupt(), f"interrupted, {self.file} is as it was$", 130),
                (OSError(28, "No space left"), f"the export broke off, {self.file} is as it was: No space left$", 1)):
            self.breaks_off(error)
            self.fails(reported, code=code)
            self.assertEqual((self.file.read_text(), self.files()), ("before", {"tasks.ndjson"}))

    def test_so_does_one_that_fails_before_it_began(self) -> None:
        self.file.write_text("before")
        with patch.object(self.service, "get", side_effect=TransferError("the service answered 500")):
            self.fails("the service answered 500$")
        self.assertEqual((self.file.read_text(), self.files()), ("before", {"tasks.ndjson"}))

    def test_a_disk_that_is_full_leaves_the_file_as_it_was(self) -> None:
        self.file.write_text("before")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        try:
            self.fails(f"the export broke off, {self.file} is as it was: File too large$")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        self.assertEqual((self.file.read_text(), self.files()), ("before", {"tasks.ndjson"}))

    def test_a_new_file_has_the_mode_that_the_umask_leaves(self) -> None:
        before = os.umask(0o027)
        self.addCleanup(os.umask, before)
        self.do()
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o640)

    def test_a_file_keeps_its_mode_and_owner(self) -> None:
        self.file.touch()
        owner = 65_534 if os.geteuid() == 0 else os.geteuid()
        for mode in (0o600, 0o640, 0o666):
            os.chown(self.file, owner, -1)
            self.file.chmod(mode)
            self.do()
            found = self.file.stat()
            self.assertEqual((stat.S_IMODE(found.st_mode), found.st_uid), (mode, owner))
            self.assertEqual(self.file.read_bytes(), LINES)

    def test_a_symbolic_link_stays_and_its_target_is_replaced(self) -> None:
        for target, link in (("tasks.ndjson", "link"), ("link", "link of a link"), ("not there yet", "dangling")):
            (self.folder / link).symlink_to(target)
            self.do(self.folder / link)
            self.assertEqual(os.readlink(self.folder / link), target)
            self.assertEqual((self.folder / target).read_bytes(), LINES)

    def test_a_long_name_is_no_obstacle(self) -> None:
        for name in ("x" * 255, "é" * 127):
            self.do(self.folder / name)

    def test_two_at_once_are_in_no_ones_way(self) -> None:
        """The first is in the middle while the second begins and ends."""
        def chunks() -> Iterator[bytes]:
            yield LINES
            self.service.exported = [LINES]
            self.do()
            self.assertEqual(self.file.read_bytes(), LINES)
            yield LINES

        self.service.exported = chunks()
        self.assertEqual(call("export", "http://a", self.file), (0, "exported 6 tasks\n", ""))
        self.assertEqual(self.file.read_bytes(), LINES * 2)
        self.assertEqual(self.files(), {"tasks.ndjson"})

    def test_what_a_killed_one_left_is_removed_but_not_what_is_in_use(self) -> None:
        left, used, other = (
            self.folder / name for name in (
                f".tasks.ndjson.{'0' * 32}.part", f".tasks.ndjson.{'1' * 32}.part", f".other.{'0' * 32}.part"))
        for file in (left, used, other):
            file.write_text("half")
        with used.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.do()
        self.assertEqual(self.files(), {"tasks.ndjson", used.name, other.name})


class PlaceTest(ExportTestCase):
    """Places that cannot be written are reported before the service is asked."""

    def refuses(self, file: str | Path, message: str) -> None:
        """It is refused in one line."""
        self.assertEqual(call("export", "http://a", file), (1, "", f"export: {message}\n"))
        self.assertEqual(self.service.lists, 0)

    def test_a_folder(self) -> None:
        self.refuses(self.folder, f"{self.folder} is a folder")
        self.assertEqual(self.files(), set())

    def test_a_folder_that_is_not_there(self) -> None:
        for name in ("nowhere/file", "nowhere/"):
            self.refuses(f"{self.folder}/{name}", f"{self.folder}/{name}: the folder does not exist")

    def test_what_is_below_a_file(self) -> None:
        self.file.touch()
        self.refuses(self.file / "file", f"{self.file}/file: Not a directory")

    def test_a_link_to_itself(self) -> None:
        self.file.symlink_to(self.file)
        self.refuses(self.file, f"{self.file}: Too many levels of symbolic links")

    def test_a_name_that_is_too_long(self) -> None:
        self.refuses(self.folder / ("x" * 256), f"{self.folder}/{'x' * 256}: File name too long")

    def test_a_file_without_permission_which_could_be_replaced_all_the_same(self) -> None:
        self.file.write_text("before")
        self.file.chmod(0o444)
        self.folder.chmod(0o777)
        with powerless():
            self.refuses(self.file, f"{self.file}: no permission to write it")
        self.assertEqual(self.file.read_text(), "before")

    def test_a_folder_in_which_no_file_can_be_made(self) -> None:
        self.file.write_text("before")
        self.file.chmod(0o666)
        self.folder.chmod(0o555)
        self.addCleanup(self.folder.chmod, 0o755)
        with powerless():
            for file in (self.file, self.folder / "new"):
                self.refuses(file, (
                    f"{file}: cannot make a file beside it, to take its place: Permission denied. "
                    "`export -` needs none"))
        self.assertEqual(self.file.read_text(), "before")

    def test_a_socket(self) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            self.addCleanup(os.chdir, os.getcwd())
            os.chdir(self.folder)  # a socket's path has at most 107 bytes
            listener.bind("socket")
            self.refuses("socket", "socket: No such device or address")


class DeviceTestCase(ExportTestCase):
    """Without the power to replace the machine's devices, as wrong code would where root runs the tests."""

    def setUp(self) -> None:
        super().setUp()
        self.folder.chmod(0o777)
        self.enterContext(powerless())


class StreamTest(DeviceTestCase):

    def test_a_device_is_written_and_stays_one(self) -> None:
        self.do("/dev/null")
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/null").st_mode))

    def test_a_device_that_is_full_is_reported(self) -> None:
        self.fails("the export broke off, what was written to /dev/full is not whole: No space left", "/dev/full")

    def test_a_fifo_gets_the_tasks_as_they_come(self) -> None:
        os.mkfifo(self.file)
        found: list[bytes] = []
        reader = threading.Thread(target=lambda: found.append(self.file.read_bytes()), daemon=True)
        reader.start()
        self.do()
        reader.join(PATIENCE)
        self.assertEqual(found, [LINES])
        self.assertTrue(self.file.is_fifo())

    def test_what_broke_off_is_reported_as_incomplete(self) -> None:
        self.breaks_off(BrokenAnswerError("cut"))
        self.fails("the export broke off, what was written to /dev/null is not whole: cut$", "/dev/null")
        self.breaks_off(KeyboardInterrupt())
        self.fails("interrupted, what was written to /dev/null is not whole$", "/dev/null", 130)

    def test_no_part_of_a_line_is_written(self) -> None:
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as pipe:
            self.service.exported = [LINES + b'{"id": "cut']
            self.fails(".* is not whole: the answer ends in the middle of line 4", f"/dev/fd/{writer}")
            os.close(writer)
            self.assertEqual(pipe.read(), LINES)


@contextmanager
def standard_output(file: int) -> Iterator[None]:
    """Give this process another standard output."""
    kept = os.dup(1)
    os.dup2(file, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


class StandardOutputTest(DeviceTestCase):

    def test_the_tasks_go_there_and_nothing_else(self) -> None:
        for name in ("-", "/dev/stdout", "/dev/fd/1"):
            with open(self.file, "wb") as file, standard_output(file.fileno()):
                self.assertEqual(call("export", "http://a", name), (0, "", "exported 3 tasks\n"))
            self.assertEqual(self.file.read_bytes(), LINES)
        with open(self.file, "ab") as file, standard_output(file.fileno()):
            self.assertEqual(call("export", "http://a", "/dev/stdout"), (0, "", "exported 3 tasks\n"))
        self.assertEqual(self.file.read_bytes(), LINES * 2)

    def test_a_reader_that_left_ends_it_quietly(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with standard_output(writer):
            self.assertEqual(call("export", "http://a", "-"), (141, "", ""))
        os.close(writer)

    def test_one_that_is_full_is_reported(self) -> None:
        with open("/dev/full", "wb") as full, standard_output(full.fileno()):
            self.fails("the export broke off, what was written to standard output is not whole: No space left", "-")

    def test_one_that_is_closed_is_reported(self) -> None:
        kept = os.dup(1)
        os.close(1)
        try:
            self.fails("standard output: Bad file descriptor", "-")
        finally:
            os.dup2(kept, 1)
            os.close(kept)


class MessageTest(ExportTestCase):

    def test_a_wrong_option_is_2_and_reported_before_the_file_is_looked_at(self) -> None:
        with patch("taskservice.client.export.Client", side_effect=OptionError("--url: expected")):
            self.fails("--url: expected$", self.folder / "nowhere" / "file", 2)

    def test_ctrl_c_outside_of_everything_is_reported(self) -> None:
        with patch("taskservice.client.export.Client", side_effect=KeyboardInterrupt):
            self.fails("interrupted$", code=130)

    def test_where_nobody_reads_what_it_says_it_has_succeeded_all_the_same(self) -> None:
        """In a process of its own, since Python complains at its end."""
        code = ("import sys; sys.path.insert(0, sys.argv[1])\n"
                "from taskservice.client.commands import _say\n"
                "_say('exported 3 tasks', False)\n")
        reader, writer = os.pipe()
        os.close(reader)
        for where in (writer, os.open("/dev/full", os.O_WRONLY)):
            done = subprocess.run(
                [sys.executable, "-c", code, str(Path(__file__).parents[2])], stdout=where, stderr=subprocess.PIPE,
                timeout=PATIENCE)
            os.close(where)
            self.assertEqual((done.returncode, done.stderr), (0, b""))


del DeviceTestCase, ExportTestCase, TransferTestCase  # they are no tests

if __name__ == "__main__":
    unittest.main()

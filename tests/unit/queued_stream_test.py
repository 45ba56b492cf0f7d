"""A log whose reader does not read: nothing waits for it, and what it missed is counted."""

import fcntl
import io
import logging
import os
import pty
import select
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Mapping
from typing import Any
from unittest import mock

from taskservice.utils import log_config, queued_stream
from taskservice.utils.queued_stream import QueuedStream
from tests.helpers.app import ROOT
from tests.helpers.logs import ConfigureTestCase, parse
from tests.helpers.time_limit import time_limit
from tests.helpers.timing import at_most

PATIENCE = 20.0
LINE = "x" * 99 + "\n"

FORKING = """
import logging, os, sys
from taskservice.utils import log_config
log_config.configure({
    "version": 1, "root": {"handlers": ["out"]},
    "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}}})
logger = logging.getLogger("a")
for number in range(200):
    logger.warning("before %d", number)
child = os.fork()
for number in range(200):
    logger.warning("%s %d", "parent" if child else "child", number)
if child:
    os.waitpid(child, 0)
"""


class QueuedStreamTest(unittest.TestCase):
    """On a pipe of the test, of which a read hangs where a line is missing."""

    def setUp(self) -> None:
        self.enterContext(time_limit(at_most(30)))
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        self.reader = self.enterContext(open(reading, "rb", 0))
        self.text = self.enterContext(open(writing, "w", encoding="ascii"))
        self.drops: list[int] = []
        self.addCleanup(queued_stream.count_drops, queued_stream._on_drop)
        queued_stream.count_drops(self.drops.append)
        self.enterContext(mock.patch.object(queued_stream, "MAX_QUEUED_BYTES", 20_000))
        self.stream = QueuedStream(self.text, lambda count: f"lost {count}\n")
        self.addCleanup(self.stream.end, 0)

    def write(self, *lines: str) -> None:
        """Write lines; fails where that takes as long as nobody reads."""
        writer = threading.Thread(target=lambda: [self.stream.write(line) for line in lines], daemon=True)
        writer.start()
        writer.join(PATIENCE)
        self.assertFalse(writer.is_alive(), "it waits for the reader")

    def read(self, size: int) -> str:
        """Read so many bytes."""
        data = b""
        while len(data) < size:
            piece = self.reader.read(size - len(data))
            self.assertTrue(piece, data)
            data += piece
        return data.decode()

    def test_lines_come_in_order(self) -> None:
        lines = [f"{number}\n" for number in range(2000)]
        self.write(*lines)
        self.assertEqual(self.read(len("".join(lines))), "".join(lines))
        self.assertEqual(self.drops, [])

    def test_what_the_stream_had_buffered_comes_first(self) -> None:
        self.text.write("before\n")
        stream = QueuedStream(self.text, str)
        self.addCleanup(stream.end, 0)
        stream.write("after\n")
        stream.end(PATIENCE)
        self.assertEqual(self.read(13), "before\nafter\n")

    def test_what_is_too_much_is_dropped_counted_and_said_once(self) -> None:
        self.write(*[f"{number:07}\n" for number in range(10_000)])
        lost = sum(self.drops)
        kept = "".join(f"{number:07}\n" for number in range(10_000 - lost))
        self.assertLessEqual(len(kept), 20_000 + 2 * 4096, "the queue, and what the pipe takes")
        self.assertEqual(self.read(len(kept)), kept)
        self.assertEqual(self.read(len(f"lost {lost}\n")), f"lost {lost}\n")
        self.write("after\n")
        self.assertEqual(self.read(6), "after\n")

    def test_nothing_comes_between_what_was_kept_and_the_line_on_what_was_lost(self) -> None:
        self.write(*[LINE] * 300)
        kept = 300 - sum(self.drops)
        self.read(len(LINE) * 100)  # there would be room, but what is missing was not said yet
        self.write("later\n")
        self.assertEqual(sum(self.drops), 300 - kept + 1)
        rest, notice = LINE * (kept - 100), f"lost {sum(self.drops)}\n"
        self.assertEqual(self.read(len(rest) + len(notice)), rest + notice)

    def test_a_line_that_never_fits_is_lost_alone(self) -> None:
        self.write("y" * 20_001)
        self.assertEqual(self.read(7), "lost 1\n")
        self.write("after\n")
        self.assertEqual(self.read(6), "after\n")

    def test_a_line_longer_than_a_pipe_comes_whole(self) -> None:
        self.write("z" * 15_000 + "\n", "after\n")
        self.assertEqual(self.read(15_007), "z" * 15_000 + "\nafter\n")

    def test_no_write_tears_a_line(self) -> None:
        """Through a pipe that takes one write, of up to PIPE_BUF bytes, and gives it as it came."""
        reading, writing = os.pipe2(os.O_DIRECT)
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, select.PIPE_BUF)
        self.addCleanup(os.close, reading)
        with open(writing, "w", encoding="ascii") as text:
            self.stream = QueuedStream(text, str)
            self.addCleanup(self.stream.end, 0)
            self.write(*[LINE] * 150)
            left = 150 * len(LINE)
            while left:
                written = os.read(reading, left)
                self.assertEqual(written, LINE.encode() * (len(written) // len(LINE)))
                left -= len(written)

    def test_what_the_encoding_does_not_have_is_escaped(self) -> None:
        self.write("Café\n")
        self.assertEqual(self.read(8), "Caf\\xe9\n")

    def test_a_close_writes_what_waits(self) -> None:
        self.write(*[LINE] * 150)
        self.assertEqual(self.read(len(LINE)), LINE)
        closing = threading.Thread(target=self.stream.end, args=[PATIENCE])
        closing.start()
        self.assertEqual(self.read(len(LINE) * 149), LINE * 149)
        closing.join(PATIENCE)
        self.assertFalse(closing.is_alive())

    def test_a_close_does_not_wait_for_a_reader_that_is_stuck(self) -> None:
        self.write(*[LINE] * 150)
        self.stream.end(0.01)
        written = os.read(self.reader.fileno(), 2 ** 16).count(b"\n")
        self.assertEqual(sum(self.drops), 150 - written, "what was being written is lost, too")
        self.write("late\n")
        self.stream.end(0.01)
        self.assertEqual(self.drops[1:], [1], "and is counted once")

    def test_a_reader_that_has_gone_is_no_error(self) -> None:
        self.reader.close()
        self.write(*[LINE] * 30)
        self.stream.end(PATIENCE)
        self.assertEqual(sum(self.drops), 30)

    def test_a_pipe_that_another_process_made_non_blocking(self) -> None:
        os.set_blocking(self.text.fileno(), False)
        self.write(*[LINE] * 150)
        self.assertEqual(self.read(len(LINE) * 150), LINE * 150)
        self.assertEqual(self.drops, [])


class ConfigureTest(ConfigureTestCase):
    """Which handlers of a config write by a queue."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(time_limit(at_most(30)))
        self.addCleanup(queued_stream.close_all)

    def handler(self, stream: Any, **entry: Any) -> Any:
        """Configure a handler on a stream, and return it."""
        log_config.configure(self.section(stream, **entry))
        return logging.getLogger().handlers[0]

    def section(self, stream: Any, **entry: Any) -> Mapping[str, Any]:
        entry = entry or {"class": "logging.StreamHandler", "stream": stream}
        return {"version": 1, "handlers": {"one": entry}, "root": {"handlers": ["one"]}}

    def test_a_pipe_a_socket_and_a_terminal_have_one(self) -> None:
        ends = [os.pipe(), pty.openpty(), tuple(one.detach() for one in socket.socketpair())]
        for first, second in ends:
            self.addCleanup(os.close, first)
            with open(second, "w", encoding="utf-8") as stream:
                self.assertIsInstance(self.handler(stream).stream, QueuedStream)
                queued_stream.close_all()

    def test_a_file_and_what_is_none_of_the_systems_have_none(self) -> None:
        with tempfile.TemporaryFile("w") as file, open(os.devnull, "w") as null:
            for stream in (file, null, io.StringIO()):
                self.assertIs(self.handler(stream).stream, stream)

    def test_a_handler_without_a_stream_stays_as_it_is(self) -> None:
        self.assertIs(type(self.handler(None, **{"class": "logging.NullHandler"})), logging.NullHandler)

    def test_a_file_handler_on_a_pipe_has_one(self) -> None:
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        writer = self.enterContext(open(writing, "wb"))
        handler = self.handler(
            None, **{"class": "logging.FileHandler", "filename": f"/proc/self/fd/{writing}"})
        self.assertIsInstance(handler.stream, QueuedStream)
        logging.getLogger("configure-test").error("last")
        handler.close()
        queued_stream.close_all()
        writer.close()
        with open(reading, encoding="utf-8", closefd=False) as reader:
            self.assertEqual(reader.read(), 'message="last"\n', "nothing else has it open")

    def test_two_handlers_of_one_reader_share_it(self) -> None:
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        with open(writing, "w", encoding="utf-8") as one, open(os.dup(writing), "w") as two:
            entries = {name: {"class": "logging.StreamHandler", "stream": stream}
                       for name, stream in (("one", one), ("two", two))}
            log_config.configure(
                {"version": 1, "handlers": entries, "root": {"handlers": ["one", "two"]}})
            first, second = logging.getLogger().handlers
            assert isinstance(first, logging.StreamHandler) and isinstance(second, logging.StreamHandler)
            self.assertIs(first.stream, second.stream)
            queued_stream.close_all()

    def test_the_line_on_what_was_lost_is_one_of_the_log(self) -> None:
        reading, writing = os.pipe()
        self.enterContext(mock.patch.object(queued_stream, "MAX_QUEUED_BYTES", 200))
        with open(reading, encoding="utf-8") as reader, open(writing, "w", encoding="utf-8") as stream:
            section = {**self.section(stream), "formatters": {"f": {"format": "level=\"%(levelname)s\" %(message)s"}}}
            section["handlers"]["one"]["formatter"] = "f"
            log_config.configure(section)
            logging.getLogger("a").error("x" * 300)
            self.assertEqual(
                parse(reader.readline().rstrip("\n")),
                {"level": "WARNING", "message": "LOG RECORDS DROPPED", "dropped": 1})
            queued_stream.close_all()


class ReconfigureTest(ConfigureTestCase):
    """A configuration after which a queue with lines in it is not used any more, or is still."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(time_limit(at_most(60)))
        self.addCleanup(queued_stream.close_all)
        self.addCleanup(queued_stream.count_drops, queued_stream._on_drop)
        self.drops: list[int] = []
        queued_stream.count_drops(self.drops.append)
        os.mkfifo(self.folder / "fifo")
        reading = os.open(self.folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(reading, True)
        fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 4096)
        self.reader = self.enterContext(open(reading, encoding="utf-8"))
        self.fifo = self.section(str(self.folder / "fifo"))
        log_config.configure(self.fifo)

    def section(self, path: str) -> dict[str, Any]:
        handler = {"class": "logging.FileHandler", "filename": path}
        return {"version": 1, "handlers": {"f": handler}, "root": {"level": "INFO", "handlers": ["f"]}}

    def log(self, *numbers: int) -> None:
        for number in numbers:
            logging.getLogger("configure-test").info("%d %s", number, "x" * 90)

    def ends(self) -> list[threading.Thread]:
        """Return the threads that end queues."""
        return [thread for thread in threading.enumerate() if thread.name == "log end"]

    def test_nobody_waits_for_a_reader_that_is_stuck_and_what_it_misses_is_counted(self) -> None:
        self.enterContext(mock.patch.object(queued_stream, "EXIT_PATIENCE", 0.2))
        waits = self.enterContext(mock.patch.object(QueuedStream, "end", autospec=True, side_effect=QueuedStream.end))
        self.log(*range(200))
        log_config.reconfigure(self.fifo, self.section(str(self.folder / "file")))
        self.assertNotIn(threading.current_thread(), [call.args for call in waits.mock_calls])
        for thread in self.ends():
            thread.join(PATIENCE)
        self.assertEqual(sum(self.drops), 200 - os.read(self.reader.fileno(), 2 ** 16).count(b"\n"))

    def test_what_was_counted_at_the_end_is_not_counted_when_the_reader_leaves(self) -> None:
        self.enterContext(mock.patch.object(queued_stream, "EXIT_PATIENCE", 0.2))
        self.log(*range(2_000))  # more than a pipe takes
        log_config.reconfigure(self.fifo, self.section(str(self.folder / "file")))
        for thread in self.ends():
            thread.join(PATIENCE)
        self.reader.close()
        for thread in threading.enumerate():
            if thread.name == "log":
                thread.join(PATIENCE)
        self.assertNotIn(0, self.drops)

    def test_a_reader_that_has_left_is_not_waited_for(self) -> None:
        self.reader.close()
        log_config.reconfigure(self.fifo, self.fifo)
        with open(os.open(self.folder / "fifo", os.O_RDONLY | os.O_NONBLOCK), encoding="utf-8") as reader:
            os.set_blocking(reader.fileno(), True)
            self.log(1)
            self.assertIn("1 xxx", reader.readline())

    def test_what_waits_is_written_though_no_handler_uses_the_queue_any_more(self) -> None:
        self.log(*range(200))
        log_config.reconfigure(self.fifo, self.section(str(self.folder / "file")))
        self.log(200)
        self.assertEqual([int(line.split('"')[1].split()[0]) for line in self.reader], [*range(200)])
        self.assertEqual(self.drops, [])

    def test_a_queue_that_is_used_on_keeps_the_order(self) -> None:
        self.log(*range(100))
        log_config.reconfigure(self.fifo, self.fifo)
        self.log(*range(100, 200))
        self.assertEqual([int(self.reader.readline().split('"')[1].split()[0]) for _ in range(200)], [*range(200)])
        self.assertEqual(self.drops, [])


class ProcessTest(unittest.TestCase):
    """To the end of a process, and over a fork."""

    def run_python(self, code: str) -> str:
        """Run a program to its end, and return what it wrote."""
        done = subprocess.run(
            # Python 3.12 warns of a fork beside threads, which is what this is about.
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], cwd=ROOT, capture_output=True,
            text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_an_exit_writes_what_waits_and_each_process_of_a_fork_its_own(self) -> None:
        lines = self.run_python(FORKING).splitlines()
        for kind in ("before", "parent", "child"):
            mine = [line for line in lines if f'"{kind} ' in line]
            self.assertEqual(mine, [f'message="{kind} {number}"' for number in range(200)])
        self.assertEqual(len(lines), 600)


if __name__ == "__main__":
    unittest.main()

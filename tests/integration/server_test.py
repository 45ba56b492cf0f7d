"""The composition root in this process: how it starts, what it answers, how it ends."""

import gc
import io
import os
import signal
import socket
import tempfile
import threading
import unittest
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from taskservice.tornado import server
from tests.helpers.app import logging_put_back
from tests.helpers.postgres import free_port

CONFIG = """
service: {name: Server Test}
logging:
  version: 1
  handlers: {out: {class: logging.StreamHandler, stream: 'ext://sys.stdout'}}
  root: {level: INFO, handlers: [out]}
"""


class Console(io.StringIO):
    """Standard output that shows when the service has started."""

    def __init__(self, started: threading.Event) -> None:
        super().__init__()
        self._started = started

    def write(self, text: str) -> int:
        """Keep the text."""
        if "STARTING" in text:
            self._started.set()
        return super().write(text)


class ServerTest(unittest.TestCase):

    def setUp(self) -> None:
        self.enterContext(logging_put_back())
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.config = self.folder / "config.yaml"
        self.config.write_text(CONFIG, "utf-8")
        self.port = free_port()
        self.started = threading.Event()

    def main(self, *options: str) -> int:
        """Run the server to its end; keep what it printed."""
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            gc.collect()  # Tornado leaves sockets that it bound to the collector when it cannot bind the next
        self.stdout, self.stderr = Console(self.started), io.StringIO()
        with redirect_stdout(self.stdout), redirect_stderr(self.stderr):
            return server.main(["--config", str(self.config), *options])

    def serve(self, during: Callable[[], object], number: signal.Signals = signal.SIGTERM) -> int:
        """Serve; once it has started run `during` in another thread, then send the signal."""
        failures: list[BaseException] = []

        def client() -> None:
            try:
                self.assertTrue(self.started.wait(30))
                during()
            except BaseException as error:
                failures.append(error)
            os.kill(os.getpid(), number)

        self.started.clear()
        thread = threading.Thread(target=client)
        with late_signals_ignored():
            thread.start()
            code = self.main("--port", str(self.port))
            thread.join()
        if failures:
            raise failures[0]
        return code

    def test_it_serves_until_a_signal_and_says_so(self) -> None:
        def ask() -> None:
            for host in ("localhost", "127.0.0.1"):
                with urllib.request.urlopen(f"http://{host}:{self.port}/tasks", timeout=30) as answer:
                    self.assertEqual((answer.status, answer.read()), (200, b"{}"))

        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                self.assertEqual(self.serve(ask, number), 0)
                lines = self.stdout.getvalue().splitlines()
                self.assertEqual(
                    lines[0], f'message="STARTING" service_name="Server Test" port={self.port}')
                self.assertEqual(lines[-2:], ['message="SHUTTING DOWN" service_name="Server Test"',
                                              'message="STOPPED" service_name="Server Test"'])

    def test_a_connection_that_idles_does_not_hold_up_the_end(self) -> None:
        idle: list[socket.socket] = []
        self.assertEqual(
            self.serve(lambda: idle.append(socket.create_connection(("localhost", self.port)))), 0)
        idle[0].close()

    def test_a_bad_option_ends_with_2(self) -> None:
        for options in (["--port", "x"], ["--port", "65536"], ["--nope"]):
            with self.subTest(options), self.assertRaises(SystemExit) as caught:
                self.main(*options)
            self.assertEqual(caught.exception.code, 2)
            [line] = self.stderr.getvalue().splitlines()
            self.assertRegex(line, rf"\Aserver\.py: .*{options[0]}")

    def test_a_bad_config_ends_with_2_and_one_line(self) -> None:
        for text, said in (("task-db: {mysql: 1}", "task-db.mysql"), ("logging: {version: 2}", "version"),
                           ("logging: {version: 1, root: {level: LOUD}}", "LOUD")):
            with self.subTest(text):
                self.config.write_text(text, "utf-8")
                self.assertEqual(self.main("--port", "0"), 2)
                [line] = self.stderr.getvalue().splitlines()
                self.assertTrue(line.startswith(f"taskservice: {self.config}: "), line)
                self.assertIn(said, line)

    def test_a_store_that_cannot_be_had_ends_with_1(self) -> None:
        (self.folder / "file").touch()
        self.config.write_text(f"task-db: {{fs: {self.folder / 'file'}}}", "utf-8")
        self.assertEqual(self.main("--port", "0"), 1)
        self.assertIn("file", self.stderr.getvalue())

    def test_a_port_that_cannot_be_had_ends_with_1(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.assertEqual(self.main("--host", "127.0.0.1", "--port", str(port)), 1)
        self.assertEqual(
            self.stderr.getvalue(), f"taskservice: port {port} on 127.0.0.1: is in use\n")
        self.assertEqual(self.main("--port", "0", "--host", "no.such.host.invalid"), 1)
        self.assertIn("no.such.host.invalid", self.stderr.getvalue())


@contextmanager
def late_signals_ignored() -> Iterator[None]:
    """Keep a signal that comes when the server has ended already from ending the test run."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)

"""A service that is ended in the middle of an answer leaves no client with one that looks whole."""

import re
import signal
import socket
import unittest
from collections.abc import Callable
from pathlib import Path

from tests.contract import quick_folder
from tests.helpers.api import NDJSON
from tests.helpers.processes import PATIENCE, ServiceProcess
from tests.helpers.raw import peer
from tests.helpers.running import running

LINES = b'{"title": "%b"}\n' % (b"x" * 10_000) * 1_000
"""10 MB; three of them are more than the kernel takes for a reader that takes nothing."""


class CutTest(unittest.TestCase):
    """Each way to end it, over HTTP/1.0, where nothing but its end delimits a list."""

    server = "taskservice"

    def serve(self) -> ServiceProcess:
        """Start the service, with a list."""
        folder = Path(self.enterContext(quick_folder()))
        service: ServiceProcess = self.enterContext(running(
            folder, {"memory": None}, http={"server": self.server, "drain-timeout": 0.3}))
        for _ in range(3):
            with peer(service.port) as client:
                self.assertEqual(client.ask("POST", "/tasks", LINES, Content_Type=NDJSON)[0], 200)
        return service

    def assert_cut_by(self, end: Callable[[ServiceProcess], object]) -> None:
        """End the service while it answers: its client notices."""
        service = self.serve()
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(PATIENCE)
            sock.connect(("127.0.0.1", service.port))
            sock.sendall(b"GET /tasks HTTP/1.0\r\n\r\n")
            self.head = sock.recv(1000)
            self.assertTrue(self.head.startswith(b"HTTP/1.1 200 OK\r\n"))
            end(service)
            self.assert_cut(sock)

    def assert_cut(self, sock: socket.socket) -> None:
        """It ends in a reset."""
        with self.assertRaises(ConnectionResetError):
            while sock.recv(1 << 20):
                pass

    def test_a_drain_that_takes_too_long(self) -> None:
        self.assert_cut_by(lambda service: service.stop())

    def test_a_second_signal(self) -> None:
        def twice(service: ServiceProcess) -> None:
            service.process.send_signal(signal.SIGTERM)
            service.wait_for_line("SHUTTING DOWN")
            service.process.send_signal(signal.SIGTERM)
            service.process.wait(PATIENCE)

        self.assert_cut_by(twice)

    def test_a_kill(self) -> None:
        self.assert_cut_by(lambda service: service.process.kill())

    def test_what_is_whole_ends_with_an_end(self) -> None:
        service = self.serve()
        with peer(service.port) as client:
            client.send(b"GET /tasks HTTP/1.0\r\n\r\n")
            client.head()
            read = 0
            while data := client.sock.recv(1 << 20):
                read += len(data)
        self.assertGreater(read, 30_000_000)


class CutOnTornadoTest(CutTest):
    """On Tornado's own server, where the answer has a length."""

    server = "tornado"

    def assert_cut(self, sock: socket.socket) -> None:
        """It ends before its length."""
        read = len(self.head.partition(b"\r\n\r\n")[2])
        while data := sock.recv(1 << 20):
            read += len(data)
        length = re.search(rb"\r\nContent-Length: (\d+)\r\n", self.head)
        assert length is not None, self.head
        self.assertLess(read, int(length[1]))


if __name__ == "__main__":
    unittest.main()

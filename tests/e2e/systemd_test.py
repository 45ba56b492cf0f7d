"""What systemd reads of the service: ready, alive, stopping. A socket of the test stands in for systemd's."""

import os
import signal
import socket
import tempfile
import time
import unittest
from pathlib import Path

from taskservice.tornado.systemd import notify
from tests.helpers.processes import PATIENCE, SERVER, ServiceProcess
from tests.helpers.running import write_config


class NotifyTest(unittest.TestCase):

    options: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.path = str(self.folder / "notify")
        self.socket = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.socket.settimeout(PATIENCE)
        self.socket.bind(self.path)

    def start(self, **variables: str) -> ServiceProcess:
        config = write_config(self.folder, {"sqlite": str(self.folder / "tasks.db")})
        service = ServiceProcess((*SERVER, "--config", str(config), "--port", "0", *self.options),
                                 variables={"NOTIFY_SOCKET": self.path, **variables})
        self.addCleanup(service.close)
        return service

    def state(self) -> str:
        """Return the next state but for signs of life."""
        while (state := self.socket.recv(4096).decode()) == "WATCHDOG=1":
            pass
        return state

    def test_it_is_ready_when_it_takes_connections_and_says_when_it_stops(self) -> None:
        service = self.start()
        self.assertEqual(self.state(), f"READY=1\nSTATUS=Serving on port {service.port}")
        service.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.state(), "STOPPING=1")
        self.assertEqual(service.process.wait(PATIENCE), 0)
        self.socket.setblocking(False)
        self.assertRaises(BlockingIOError, self.socket.recv, 4096)

    def test_it_says_when_it_reloads_and_when_that_is_done(self) -> None:
        service = self.start()
        self.assertIn("READY=1", self.state())
        before = time.monotonic_ns() // 1000
        service.process.send_signal(signal.SIGHUP)
        reloading, when = self.state().split("\nMONOTONIC_USEC=")
        self.assertEqual(reloading, "RELOADING=1")
        self.assertLessEqual(before, int(when))
        self.assertLessEqual(int(when), time.monotonic_ns() // 1000)
        self.assertEqual(self.state(), "READY=1")
        self.assertEqual(service.stop(), 0)

    def test_signs_of_life_come_until_the_process_halts(self) -> None:
        service = self.start(WATCHDOG_USEC="200000")
        self.assertIn("READY=1", self.state())
        for _ in range(5):
            self.assertEqual(self.socket.recv(4096), b"WATCHDOG=1")
        service.process.send_signal(signal.SIGSTOP)
        self.socket.settimeout(1)
        with self.assertRaises(TimeoutError):
            for _ in range(100):  # those that were sent before
                self.socket.recv(4096)
        service.process.send_signal(signal.SIGCONT)
        self.assertEqual(service.stop(), 0)

    def test_the_watchdog_of_another_process_is_not_ours(self) -> None:
        service = self.start(WATCHDOG_USEC="100000", WATCHDOG_PID=str(os.getpid()))
        self.assertIn("READY=1", self.socket.recv(4096).decode())
        service.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.socket.recv(4096), b"STOPPING=1")


class NotifyOfWorkersTest(NotifyTest):
    """The parent speaks, its workers do not."""

    options = ("--workers", "2")


class NobodyListensTest(unittest.TestCase):

    def test_without_systemd_nothing_happens(self) -> None:
        notify("READY=1", {})
        for address in ("", "/none/there", "@none-there"):
            notify("READY=1", {"NOTIFY_SOCKET": address})

    def test_a_reader_that_does_not_read_halts_nobody(self) -> None:
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(f"{folder}/notify")
            for _ in range(2000):
                notify("WATCHDOG=1", {"NOTIFY_SOCKET": f"{folder}/notify"})

    def test_an_abstract_socket(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.settimeout(PATIENCE)
            listener.bind(f"\0taskservice-test-{os.getpid()}")
            notify("READY=1", {"NOTIFY_SOCKET": f"@taskservice-test-{os.getpid()}"})
            self.assertEqual(listener.recv(100), b"READY=1")


if __name__ == "__main__":
    unittest.main()

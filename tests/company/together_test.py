"""All of it together: nginx in front of two backends on PostgreSQL, and Prometheus, while operators do what they do.

Backends are restarted one after the other as docs/operating.md shows, configs are reloaded, logs are rotated, the
primary of the database is killed, or stopped, and its synchronous standby promoted; clients read, write and follow the
changes meanwhile, and see no error but 503 with Retry-After while there is no primary. With TASKSERVICE_FULL=1 that
goes on for an hour, at some 60 requests a second.
"""

import grp
import gzip
import itertools
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Iterator
from pathlib import Path

from tests.company.cluster import PROGRAMS, Cluster
from tests.company.harness import PAUSE, TASK, Load, needs_nginx
from tests.company.prometheus import asked, needs_prometheus, prometheus
from tests.company.proxies import Nginx, example, running_nginx
from tests.helpers import postgres
from tests.helpers.api import wait_until
from tests.helpers.postgres import free_port
from tests.helpers.processes import PATIENCE, SERVER, ServiceProcess, children
from tests.helpers.raw import Answer, Peer, peer
from tests.helpers.running import write_config
from tests.helpers.timing import FULL, at_most

SECONDS = 3600 if FULL else 1
"""For how long another round begins."""

PACE = 0.1 if FULL else PAUSE
"""Seconds between two requests of each of the 8 clients."""

CALM = 30 if FULL else 0
"""Seconds between two rounds."""

FAILS_OVER = 3
"""The database fails over in the first of so many rounds: more often, and TaskserviceErrors might fire, rightly."""

BACK = 2.0
"""Seconds after a promotion by which no client is refused any more."""

LAST = "the last"


class Backend:
    """A process of the service behind nginx, with its config, its port, and its log, which is in a file alone."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.folder, self.dsn, self.port = folder, dsn, free_port()
        self.log = folder / "log" / "taskservice.log"
        self.log.parent.mkdir(parents=True)
        self._configs = 0
        self.start()

    def start(self) -> None:
        """Start it; return when it serves."""
        config = self._configure()
        self.service = ServiceProcess((*SERVER, "--config", str(config), "--port", str(self.port)))
        wait_until(lambda: self._serves() or self.service.process.poll() is not None, "it serves")
        assert self.service.process.poll() is None, self.service.stderr

    def _serves(self) -> bool:
        try:
            with peer(self.port) as client:
                return client.ask("GET", "/readyz")[0] == 200
        except (OSError, EOFError):
            return False

    def _configure(self) -> Path:
        """Write a config that is not what it was."""
        self._configs += 1
        handler = {"class": "logging.FileHandler", "filename": str(self.log), "formatter": "line"}
        http = {"hosts": ["localhost"], "trusted-proxies": ["127.0.0.1"], "shutdown-delay": 5,
                "max-header": 16_384 + self._configs}
        return write_config(self.folder, {"postgres": self.dsn}, http=http, logging={
            "version": 1, "formatters": {"line": {"format": "%(levelname)s %(message)s"}},
            "handlers": {"file": handler}, "root": {"level": "INFO", "handlers": ["file"]}})

    def close(self) -> None:
        """End it, if it has not ended."""
        self.service.close()

    def reload(self) -> None:
        """Have it reload a config that has changed."""
        self._configure()
        before = self._reloaded()
        self.service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self._reloaded() > before, "it has reloaded")

    def _reloaded(self) -> int:
        return self.log.read_text("utf-8").count('"RELOADED"')

    def rotate(self) -> None:
        """Have logrotate move its log away, by the project's config and a SIGHUP."""
        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
        config = self.folder / "logrotate.conf"
        config.write_text(example("logrotate.conf", {
            "/var/log/taskservice/": f"{self.log.parent}/", "su taskservice taskservice": f"su {user} {group}",
            "0640 taskservice taskservice": f"0640 {user} {group}", "rotate 14": "rotate 1000",
            "    compress\n": "    compress\n    postrotate\n        kill -HUP "
                              f"{self.service.process.pid}\n    endscript\n"}), "utf-8")
        config.chmod(0o600)
        subprocess.run(["logrotate", "--force", "--state", self.folder / "state", config], check=True, timeout=PATIENCE)
        wait_until(self._reloaded, "it has its new log")

    def lines(self) -> Iterator[str]:
        """Give all lines of its log, those that were rotated away included."""
        for file in self.log.parent.iterdir():
            with gzip.open(file, "rt") if file.suffix == ".gz" else open(file, encoding="utf-8") as lines:
                yield from lines


class Clients:
    """What clients do that wait for a database to be back: they send a refused request again, a POST with its key."""

    def __init__(self) -> None:
        self.refused: list[float] = []
        self._keys = itertools.count()
        self._pending = threading.local()

    def post(self, client: Peer) -> Answer:
        """Make a task."""
        if (key := getattr(self._pending, "key", None)) is None:
            key = self._pending.key = f'"{next(self._keys)}"'
        answer = self._ask(client, "POST", "/tasks", TASK, Idempotency_Key=key)
        if answer[0] == 201:
            self._pending.key = None
        return answer

    def get(self, client: Peer) -> Answer:
        """Read some tasks."""
        return self._ask(client, "GET", "/tasks?limit=5")

    def _ask(self, client: Peer, method: str, path: str, body: bytes = b"", /, **headers: str) -> Answer:
        answer = client.ask(method, path, body, **headers)
        if answer[0] == 503:
            self.refused.append(time.monotonic())
            time.sleep(int(answer[1].get("retry-after", "is missing")))
        return answer


class Follower:
    """Follows the changes through a proxy until that of LAST, and goes on where a stream ended.

    When it was refused one goes to `refused`.
    """

    def __init__(self, port: int, refused: list[float]) -> None:
        self.revisions: list[int] = []
        self.streams = 0
        self.errors: list[str] = []
        self._port, self._last, self._refused = port, "0", refused
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            while not self.errors and not self._follow():
                time.sleep(0.5)  # as `retry` says, or so
        except OSError as error:
            self.errors.append(str(error))

    def _follow(self) -> bool:
        """Follow one stream to its end; return whether LAST was there."""
        self.streams += 1
        with socket.create_connection(("127.0.0.1", self._port), PATIENCE) as sock, sock.makefile("rb") as lines:
            sock.sendall(b"GET /changes HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
                         b"Last-Event-ID: " + self._last.encode() + b"\r\n\r\n")
            if b" 503 " in (status := lines.readline()):
                self._refused.append(time.monotonic())
            elif b" 200 " not in status:
                self.errors.append(status.decode())
            for line in lines:
                if line.startswith(b"id: "):
                    self._last = line[4:].decode().strip()
                elif line.startswith(b"data: "):
                    change = json.loads(line[6:])
                    self.revisions.append(change["revision"])
                    if change["task"]["title"] == LAST:
                        return True
        return False


@needs_nginx
@needs_prometheus
@unittest.skipUnless(shutil.which("logrotate"), "needs logrotate")
@unittest.skipIf(postgres.available(), str(postgres.available()))
@unittest.skipUnless((PROGRAMS / "pg_rewind").exists(), "needs a PostgreSQL of Debian (postgresql)")
class TogetherTest(unittest.TestCase):

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)
        self.clients, self.failovers = Clients(), list[tuple[float, float]]()
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self.cluster.members)
        dsn = f"postgresql://postgres@{hosts}/postgres?sslmode=disable"
        self.backends = list[Backend]()
        for name in ("first", "second"):
            backend = Backend(self.folder / name, dsn)
            self.addCleanup(backend.close)
            self.backends.append(backend)
        self.nginx = self.enterContext(running_nginx(example("nginx.conf", {
            f"127.0.0.1:808{number}": f"127.0.0.1:{backend.port}" for number, backend in enumerate(self.backends, 1)})))
        self.prometheus = self.enterContext(prometheus(*(backend.port for backend in self.backends)))
        wait_until(lambda: asked(self.prometheus, "up"), "Prometheus scrapes")

    def test_no_client_sees_an_error(self) -> None:
        began, rounds = time.monotonic(), 0
        follower = Follower(self.nginx.port, self.clients.refused)
        load = [Load(self.nginx.port, 4, ask, True, PACE) for ask in (self.clients.post, self.clients.get)]
        with load[0] as writers, load[1] as readers:
            while not rounds or time.monotonic() - began < SECONDS:
                if rounds % FAILS_OVER == 0:
                    self.fail_over()
                rounds += 1
                for backend in self.backends:
                    self.restart(backend)
                for backend in self.backends:
                    backend.reload()
                for backend in self.backends:
                    backend.rotate()
                self.assertEqual(self.wrong(writers, readers, follower), [])
                self.assertEqual(asked(self.prometheus, 'ALERTS{alertstate="firing"}'), [])
                time.sleep(CALM)
        created = writers.outcomes[201]
        with peer(self.nginx.port) as client:
            self.assertEqual(client.ask("POST", "/tasks", json.dumps({"title": LAST}).encode())[0], 201)
        follower.thread.join(PATIENCE)
        self.assertEqual(self.wrong(writers, readers, follower), [])
        self.assertEqual(len(follower.revisions), created + 1)
        self.assertEqual(follower.revisions, sorted(set(follower.revisions)))
        [scraped] = asked(self.prometheus, f'sum(count_over_time(up{{job="taskservice"}}[{round(SECONDS) + 600}s]))')
        for backend in self.backends:
            self.assertEqual(backend.service.stop(), 0)
        self.assertEqual(self.logged(), ([], created + 1, len(self.clients.refused)))
        if SECONDS > 1:
            late = max(at - back for began, back in self.failovers for at in self.clients.refused
                       if began < at < back + at_most(BACK))
            print(f"{time.monotonic() - began:.0f} s with {2 * rounds} restarts, and as many reloads and rotations: "
                  f"{created} writes, {readers.outcomes[200]} reads, {follower.streams} streams, "
                  f"{scraped['value'][1]} scrapes, no error; {len(self.failovers)} failovers, "
                  f"{len(self.clients.refused)} times 503, the last {late:.1f} s after a promotion", file=sys.stderr)

    def wrong(self, writers: Load, readers: Load, follower: Follower) -> list[object]:
        """Return what clients have seen beside answers that are as they should be."""
        undocumented = [at for at in self.clients.refused if not any(
            began < at < back + at_most(BACK) for began, back in self.failovers)]
        return [*(writers.outcomes.keys() - {201, 503}), *(readers.outcomes.keys() - {200, 503}), *follower.errors,
                *undocumented]

    def logged(self) -> tuple[list[str], int, int]:
        """Return log lines that nobody hopes for, and how many say that a task was created, or a request refused."""
        odd, posts, refused = list[str](), 0, 0
        for backend in self.backends:
            for line in backend.lines():
                if 'uri="/metrics"' in line:
                    continue  # Prometheus gives up after a second, which a busy machine may need
                if "status=503" in line:
                    refused += 1
                elif not line.startswith("INFO") and ' UNAVAILABLE"' not in line:
                    odd.append(line)
                posts += 'method="POST"' in line and "status=201" in line
        return odd, posts, refused

    def fail_over(self) -> None:
        """Kill the primary, or stop it, by turns, and promote the standby; the other one comes back as the standby."""
        began, refused = time.monotonic(), len(self.clients.refused)
        if len(self.failovers) % 2:
            self.cluster.primary.stop()
        else:
            self.cluster.primary.kill()
        wait_until(lambda: len(self.clients.refused) > refused, "a client is refused")
        self.cluster.promote()
        self.failovers.append((began, time.monotonic()))
        self.cluster.rejoin()

    def restart(self, backend: Backend) -> None:
        """Restart a backend as docs/operating.md shows: marked as down first, and with a shutdown-delay."""
        self.mark(self.nginx, f":{backend.port};", f":{backend.port} down;")
        self.assertEqual(backend.service.stop(), 0)
        backend.start()
        self.mark(self.nginx, f":{backend.port} down;", f":{backend.port};")

    def mark(self, nginx: Nginx, old: str, new: str) -> None:
        """Change nginx's config, and have nginx read it; workers that are old may still hold event streams."""
        text = nginx.config.read_text("utf-8")
        self.assertIn(old, text)
        nginx.config.write_text(text.replace(old, new), "utf-8")
        before = children(nginx.process.pid)
        nginx.process.send_signal(signal.SIGHUP)
        wait_until(lambda: children(nginx.process.pid) - before, "new workers")


if __name__ == "__main__":
    unittest.main()

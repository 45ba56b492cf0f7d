"""kill -9 between a commit and its answer: the same Idempotency-Key again gets the first answer."""

import contextlib
import http.client
import json
import random
import shutil
import signal
import socket
import subprocess
import threading
import unittest
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.contract import quick_folder
from tests.helpers import postgres
from tests.helpers.api import serving
from tests.helpers.app import ENGINES
from tests.helpers.processes import PATIENCE, ServiceProcess
from tests.helpers.timing import FULL

ROUNDS = 40 if FULL else 4
CLIENTS = 8
BODY = '{"title": "once"}'

SENDING = "write,writev,sendto,sendmsg"
"""The system calls by which a process says anything to a client, to itself or to its log."""


class Answer(NamedTuple):
    """What matters of an answer to a POST."""

    location: str
    etag: str
    replayed: bool

    @property
    def first(self) -> tuple[str, str]:
        """What has to be as in the first answer."""
        return self.location, self.etag


def post(port: int, key: str, body: str) -> Answer:
    """Create a task; raises OSError or HTTPException where there is no answer."""
    connection = http.client.HTTPConnection("localhost", port, timeout=PATIENCE)
    try:
        connection.request("POST", "/tasks", body, {"Idempotency-Key": f'"{key}"'})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 201, answer.status
        return Answer(answer.headers["Location"], answer.headers["ETag"],
                      "Idempotent-Replayed" in answer.headers)
    finally:
        connection.close()


def titles(port: int) -> list[str]:
    """Return the titles of all tasks."""
    connection = http.client.HTTPConnection("localhost", port, timeout=PATIENCE)
    connection.request("GET", "/tasks")
    tasks = json.loads(connection.getresponse().read())
    connection.close()
    return [task["title"] for task in tasks.values()]


class CrashCase(unittest.TestCase):

    engine: str

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder()))
        self.task_db = ENGINES[self.engine](self.folder)
        self.port = 0

    def serve(self, task_db: Mapping[str, Any] | None = None) -> ServiceProcess:
        """Start the service on its store, again on the port that it had."""
        service = self.enterContext(serving(task_db or self.task_db, self.folder, port=self.port))
        self.port = service.port
        return service


class LostAnswerCase(CrashCase):
    """The process dies when the commit is done and the answer is not sent: no luck is involved."""

    def assert_retried(
        self, kill: Callable[[ServiceProcess], None], service: ServiceProcess
    ) -> None:
        """A POST is committed and never answered; the retry is answered as if it had been."""
        kill(service)
        with self.assertRaises((OSError, http.client.HTTPException)):
            post(self.port, "k", BODY)
        self.assertEqual(service.process.wait(PATIENCE), -signal.SIGKILL)
        service = self.serve()
        self.assertEqual(titles(self.port), ["once"], "the commit was not done")
        first = post(self.port, "k", BODY)
        self.assertTrue(first.replayed)
        self.assertEqual(post(self.port, "k", BODY), first)
        self.assertEqual(titles(self.port), ["once"])
        self.assertEqual(service.stop(), 0)


@unittest.skipIf(shutil.which("strace") is None, "needs strace")
class LostAnswerOnSqliteTest(LostAnswerCase):

    engine = "sqlite"

    def test_the_retry_gets_the_first_answer(self) -> None:
        """The first thing that the process says for a POST is the writer's word to the event loop
        that it has committed; the next ones are the answer and the log. It dies at the first.
        """
        self.assert_retried(self.kill_at_first_send, self.serve())

    def kill_at_first_send(self, service: ServiceProcess) -> None:
        """Let the process be killed when it next says anything: SQLite writes by other calls."""
        post(self.port, "warm", BODY)  # so that all threads are there
        connection = http.client.HTTPConnection("localhost", self.port, timeout=PATIENCE)
        connection.request("GET", "/tasks")
        [task_id] = json.loads(connection.getresponse().read())
        connection.request("DELETE", f"/tasks/{task_id}")
        self.assertEqual(connection.getresponse().status, 204)
        connection.close()
        service.wait_for_line('method="DELETE".*"RESPONSE"')  # a thread of its own writes the log
        command = ["strace", "-f", "-p", str(service.process.pid), "-e", f"trace={SENDING}",
                   "-e", f"inject={SENDING}:error=EPIPE:signal=SIGKILL", "-o", "/dev/null"]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.addCleanup(tracer.communicate)
        self.addCleanup(tracer.kill)
        assert tracer.stderr is not None
        if "attached" not in (line := tracer.stderr.readline()):  # it shows once, of all threads
            self.skipTest(f"strace cannot attach here: {line}")


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class LostAnswerOnPostgresTest(LostAnswerCase):

    engine = "postgres"

    def test_the_retry_gets_the_first_answer(self) -> None:
        """The database's word that it has committed is held back, and the process dies."""
        dsn = urlsplit(self.task_db["postgres"])
        tap = self.enterContext(contextlib.closing(Tap(int(dsn.port or 0))))
        through = dsn._replace(netloc=f"postgres@127.0.0.1:{tap.port}").geturl()
        service = self.serve({"postgres": through})

        def kill(service: ServiceProcess) -> None:
            tap.when(b"COMMIT\0", service.process.kill)
        self.assert_retried(kill, service)


class Tap:
    """Passes bytes on between clients and a server; holds back and does as it is asked."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._word = b""
        self._act: Callable[[], Any] = lambda: None
        threading.Thread(target=self._accept, daemon=True).start()

    def when(self, word: bytes, act: Callable[[], Any]) -> None:
        """Act, instead of passing it on, when the server next says this."""
        self._act, self._word = act, word

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._upstream))
                self._sockets += [client, server]
                for pair in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, watched: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if watched and self._word and self._word in data:
                    self._word = b""
                    self._act()
                    break
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End, and cut all connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for sock in self._sockets:
            sock.close()


class Client(threading.Thread):
    """Creates tasks, each with a key of its own, until it gets no answer."""

    def __init__(self, port: int, name: str, acknowledged: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self._port, self._name, self._acknowledged = port, name, acknowledged
        self.answers: dict[str, Answer] = {}
        self.unanswered = ""

    def run(self) -> None:
        """Create."""
        for number in range(1_000_000):
            self.unanswered = f"{self._name}-{number}"
            try:
                answer = post(self._port, self.unanswered, body(self.unanswered))
            except (OSError, http.client.HTTPException):
                return
            self.answers[self.unanswered] = answer
            self._acknowledged.release()


def body(key: str) -> str:
    """Return the task that is created with a key."""
    return json.dumps({"title": key})


class AnyMomentCase(CrashCase):
    """The process dies at any moment while many create."""

    def check(self) -> None:
        """After its retry, each key has made one task and has one answer."""
        chance = random.Random(self.engine)
        first: dict[str, Answer] = {}
        replayed = 0
        for number in range(ROUNDS):
            clients = self.create_and_kill(number, chance.randrange(1, 120))
            service = self.serve()
            for client in clients:
                first |= client.answers
                if (key := client.unanswered) not in first:
                    first[key] = post(self.port, key, body(key))
                    replayed += first[key].replayed
            for key in chance.sample(sorted(first), min(40, len(first))):
                again = post(self.port, key, body(key))
                self.assertEqual((again.first, again.replayed), (first[key].first, True))
            self.assertEqual(sorted(titles(self.port)), sorted(first))
            self.assertEqual(service.stop(), 0)
        print(f"\n{self.engine}: {ROUNDS} kills, {len(first)} keys, {replayed} committed and "
              "unanswered")

    def create_and_kill(self, number: int, writes: int) -> list[Client]:
        """Let clients create, kill the process after some acknowledged writes."""
        service = self.serve()
        acknowledged = threading.Semaphore(0)
        clients = [Client(self.port, f"{number}-{name}", acknowledged) for name in range(CLIENTS)]
        for client in clients:
            client.start()
        for _ in range(writes):
            self.assertTrue(acknowledged.acquire(timeout=PATIENCE))
        service.stop(signal.SIGKILL)
        for client in clients:
            client.join(PATIENCE)
            self.assertFalse(client.is_alive())
        return clients


class AnyMomentOnSqliteTest(AnyMomentCase):

    engine = "sqlite"

    def test_each_key_makes_one_task(self) -> None:
        self.check()


@unittest.skipIf(postgres.available() is not None, postgres.available() or "")
class AnyMomentOnPostgresTest(AnyMomentCase):

    engine = "postgres"

    def test_each_key_makes_one_task(self) -> None:
        self.check()


if __name__ == "__main__":
    unittest.main()

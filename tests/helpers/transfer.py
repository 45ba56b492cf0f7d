"""What the tests of export and import share: a service without a network, a server of raw bytes, another user."""

import contextlib
import io
import json
import os
import socket
import ssl
import struct
import tempfile
import threading
import unittest
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from taskservice.client import commands, export, import_
from taskservice.client.answers import Answer
from tests.helpers.api import ndjson

URL = "http://service:8080"
PATIENCE = 30.0


@dataclass(frozen=True)
class Sent:
    """A POST of the client."""

    key: str
    body: bytes

    @property
    def count(self) -> int:
        """How many tasks it has."""
        return sum(bool(line.strip()) for line in self.body.splitlines())


class FakeService(AbstractContextManager["FakeService"]):
    """Stands for the client and the service: it creates what it is sent, unless it was given other answers."""

    def __init__(self) -> None:
        self.url = URL
        self.tasks: dict[str, Any] = {}
        self.sent: list[Sent] = []
        self.lists = 0
        """How often all tasks were asked for."""
        self.exported: Iterable[bytes] | None = None
        """The pieces of the answer to that, instead of the tasks."""
        self.most = 10_000
        """How many lines it takes."""
        self._keys: dict[str, int] = {}
        self._answers: Iterator[Answer | BaseException | None] = iter(())

    def __call__(self, url: str) -> "FakeService":
        """Take the place of the class."""
        self.url = url.rstrip("/")
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is to be closed."""

    def answer(self, *answers: Answer | BaseException | None) -> None:
        """Give these answers first; None is the usual one."""
        self._answers = iter(answers)

    def forget(self) -> None:
        """Forget the keys, as after 24 hours."""
        self._keys.clear()

    def get(self, path: str) -> Iterator[bytes]:
        """Return all tasks."""
        assert path == "/tasks"
        self.lists += 1
        return iter(self.exported or [
            ndjson([{"id": id_, "revision": 1, "task": task}]) for id_, task in self.tasks.items()])

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer as the service does, unless there is another answer."""
        assert path == "/tasks"
        sent = Sent(headers["Idempotency-Key"], body)
        self.sent.append(sent)
        given = next(self._answers, None)
        if isinstance(given, BaseException):
            raise given
        if given is not None:
            return given
        if sent.key in self._keys:
            return created(self._keys[sent.key], replayed=True)
        return self._create(sent)

    def _create(self, sent: Sent) -> Answer:
        lines = sent.body.splitlines()
        if len(lines) > self.most:
            return answer(413)
        documents = {number: json.loads(line) for number, line in enumerate(lines, 1) if line.strip()}
        for number, document in documents.items():
            if document.get("id") in self.tasks:
                return answer(400, errors=[
                    {"pointer": f"/{number}/id", "detail": f"'{document['id']}' exists already"}])
        for document in documents.values():
            self.tasks[document.get("id", f"new-{len(self.tasks)}")] = document.get("task", document)
        self._keys[sent.key] = len(documents)
        return created(len(documents))


def created(count: int, replayed: bool = False, retried: bool = False) -> Answer:
    """Make the answer to an import of so many tasks."""
    return Answer(200, b"{}\n" * count, "", 0.0, replayed, retried)


def answer(status: int, **body: Any) -> Answer:
    """Make an error."""
    return Answer(status, json.dumps(body).encode(), f"the service answered {status}", 0.0, False)


class TransferTestCase(unittest.TestCase):
    """A file, and a service without a network."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="a folder")))
        self.file = self.folder / "tasks.ndjson"
        self.service = FakeService()
        for module in (export, import_):
            self.enterContext(patch.object(module, "Client", self.service))

    def write(self, *lines: Any) -> list[bytes]:
        """Write a file of lines, each a document or bytes, and return them."""
        made = [line if isinstance(line, bytes) else ndjson([line]) for line in lines]
        self.file.write_bytes(b"".join(made))
        return made

    def files(self) -> set[str]:
        """Return what is in the folder."""
        return {file.name for file in self.folder.iterdir()}


def call(command: str, url: str, file: str | Path) -> tuple[int, str, str]:
    """Run a command in this process; return its exit code and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = commands.main(command, url, str(file))
    return code, out.getvalue(), err.getvalue()


@contextmanager
def powerless() -> Iterator[None]:
    """Be a user to whom permissions apply, where this one is root."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(65_534, 65_534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


# --- Raw bytes -------------------------------------------------------------------------------------------------------

class Raw(NamedTuple):
    """An answer as bytes, and what happens after it: the connection is kept, or ends in a FIN or a RST."""

    data: bytes
    end: str = "fin"


class RawServer:
    """Answers each request with the next of some answers; `requests` has what came, by connection."""

    def __init__(self, answers: Sequence[Raw], context: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self._answers = iter(answers)
        self._context = context
        self.requests: list[list[bytes]] = []
        self.url = f"http{'s' if context else ''}://localhost:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # its end
            while True:
                connection, _ = self._listener.accept()
                with connection, contextlib.suppress(ConnectionError, ssl.SSLError):  # the client left
                    connection.settimeout(PATIENCE)
                    self._talk(connection)

    def _talk(self, raw: socket.socket) -> None:
        connection = raw if self._context is None else self._context.wrap_socket(raw, server_side=True)
        self.requests.append([])
        stream = connection.makefile("rb")
        while request := read_request(stream):
            self.requests[-1].append(request)
            data, end = next(self._answers, Raw(b""))
            connection.sendall(data)
            if end == "rst":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if end != "keep":
                break
        stream.close()
        connection.close()

    def close(self) -> None:
        """Accept no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)


def read_request(stream: io.BufferedReader) -> bytes:
    """Read a request to its end; b"" where there is none."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b""
        head += line
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    return head + stream.read(int(fields.get(b"content-length", b"0")))


@contextmanager
def raw_server(*answers: Raw, context: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """Start a server; it is gone at the end."""
    server = RawServer(answers, context)
    try:
        yield server
    finally:
        server.close()

"""A client as plain as can be: one connection, whole answers, and many requests at once."""

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

TASK = json.dumps({
    "title": "Complete Chapter-1", "description": "Read chapter 1 and solve its exercises",
    "priority": "high", "completed": False, "due_date": 1664000000}).encode()
"""A task as in the tutorial's data/tasks/task1.json."""

PIPELINED = 50


class ClientError(Exception):
    """The server does not answer as it should."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)


def request(
    method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] = {}
) -> bytes:
    """Return a request as it goes over the wire."""
    fields = {"Host": "localhost", "User-Agent": "bench", "Accept": "*/*", **headers}
    if body is not None:
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **fields}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


class Client:
    """A keep-alive connection; raises ClientError where the server closes it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(
        self, method: str, target: str, body: bytes | None = None,
        headers: Mapping[str, str] = {}
    ) -> Answer:
        """Send a request and return its answer."""
        [answer] = self.send([request(method, target, body, headers)])
        return answer

    def send(self, requests: Sequence[bytes]) -> list[Answer]:
        """Send requests at once and return their answers; none of them may be a HEAD."""
        self._socket.sendall(b"".join(requests))
        return [self._answer() for _ in requests]

    def _answer(self) -> Answer:
        start, *fields = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        pairs = (field.partition(":") for field in fields)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        status = int(start.split()[1])
        if status in (204, 304):
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, b"".join(self._chunks()))
        return Answer(status, headers, self._exactly(int(headers.get("content-length", 0))))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._until(b"\r\n"), 16):
            yield self._exactly(size)
            self._exactly(2)
        self._exactly(2)

    def _until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._receive()
        taken, _, self._received = self._received.partition(end)
        return taken

    def _exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            self._receive()
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def _receive(self) -> None:
        data = self._socket.recv(262_144)
        if not data:
            raise ClientError("the server closed the connection")
        self._received += data


def seed(port: int, count: int) -> list[tuple[str, str]]:
    """Create tasks; return the target and the tag of each."""
    made: list[tuple[str, str]] = []
    with Client(port) as client:
        while len(made) < count:
            batch = [request("POST", "/tasks", TASK)] * min(PIPELINED, count - len(made))
            answers = client.send(batch)
            if bad := [answer for answer in answers if answer.status != 201]:
                raise ClientError(f"POST /tasks: {bad[0]}")
            made += [(answer.headers["location"], answer.headers["etag"]) for answer in answers]
    return made

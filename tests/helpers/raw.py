"""HTTP/1.1 from the outside: the bytes of a request, and how an answer is read, in a loop or out of one."""

import asyncio
import http.client
import io
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from tests.helpers.processes import PATIENCE

Reading = Generator[bytes | int, bytes, "Answer"]
"""Asks for the bytes up to and with a mark, or for so many bytes, or with -1 for all; returns an answer."""


class Answer(NamedTuple):
    """An answer as it came; the names of its headers are of any case."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def request(
    method: str, path: str, body: bytes = b"", length: int | None = None, /, **headers: str
) -> bytes:
    """Return the bytes of a request; `A_b` is the header A-b, `length` is what it says it has."""
    size = len(body) if length is None else length
    fields = {"Host": "localhost", **headers, **({"Content-Length": str(size)} if size else {})}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body


def reading(method: str = "GET") -> Reading:
    """Read the answer to a request of this method (RFC 9112 §6.3); raises ValueError for what is none."""
    head = yield b"\r\n\r\n"
    line, _, fields = head.partition(b"\r\n")
    if not re.fullmatch(rb"HTTP/1\.[01] [1-5][0-9]{2} [\t -~]*", line):
        raise ValueError(f"no status line: {line!r}")
    status, headers = int(line[9:12]), http.client.parse_headers(io.BytesIO(fields))
    if method == "HEAD" or status in (204, 304) or status < 200:
        return Answer(status, headers, b"")
    if headers.get("Transfer-Encoding") != "chunked":
        return Answer(status, headers, (yield int(headers.get("Content-Length", -1))))
    chunks = []
    while size := int((yield b"\r\n"), 16):
        chunks.append((yield size + 2)[:-2])
    yield 2
    return Answer(status, headers, b"".join(chunks))


def read(answer: Reading, more: Callable[[bytes | int], bytes]) -> Answer:
    """Read an answer from what `more` gives."""
    try:
        wanted = next(answer)
        while True:
            wanted = answer.send(more(wanted))
    except StopIteration as end:
        found: Answer = end.value
        return found


async def read_in_loop(answer: Reading, more: Callable[[bytes | int], Awaitable[bytes]]) -> Answer:
    """Read an answer from what `more` gives in time."""
    try:
        wanted = next(answer)
        while True:
            wanted = answer.send(await more(wanted))
    except StopIteration as end:
        found: Answer = end.value
        return found


async def received(reader: asyncio.StreamReader, wanted: bytes | int) -> bytes:
    """Return what a `Reading` asks for, from a stream."""
    if isinstance(wanted, bytes):
        return await reader.readuntil(wanted)
    return await (reader.read() if wanted == -1 else reader.readexactly(wanted))


def answers(data: bytes, methods: Sequence[str]) -> list[Answer]:
    """Read the answers to these requests, which must be all that `data` is."""
    stream = io.BytesIO(data)

    def more(wanted: bytes | int) -> bytes:
        size = wanted if isinstance(wanted, int) else data.index(wanted, stream.tell()) + len(wanted) - stream.tell()
        piece = stream.read(size)
        if len(piece) < size:
            raise EOFError(f"{len(piece)} bytes of {size}")
        return piece

    found = [read(reading(method), more) for method in methods]
    if rest := stream.read():
        raise AssertionError(f"more than the answers: {rest!r}")
    return found


class Peer:
    """A client that sends what it likes, when it likes, and sees what comes, to the byte."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        if context is not None:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self._ahead = b""

    def send(self, data: bytes) -> None:
        """Send; a peer that has gone is no error."""
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def head(self) -> str:
        """Read to the end of an answer's head; raises EOFError where there is none."""
        return self.read_until(b"\r\n\r\n").decode("latin-1")

    def read_until(self, mark: bytes) -> bytes:
        """Read past a mark; raises EOFError where it does not come."""
        return self._take(mark)

    def answer(self, method: str = "GET") -> Answer:
        """Read an answer; raises EOFError where there is none."""
        return read(reading(method), self._take)

    def ask(self, method: str, path: str, body: bytes = b"", /, **headers: str) -> Answer:
        """Send a request, and read the answer."""
        self.send(request(method, path, body, **headers))
        return self.answer(method)

    def rest(self) -> bytes:
        """Read until the server closes or cuts the connection."""
        data, self._ahead = self._ahead, b""
        try:
            while piece := self.sock.recv(65_536):
                data += piece
        except ConnectionError:
            pass
        return data

    def _take(self, wanted: bytes | int) -> bytes:
        if wanted == -1:
            return self.rest()
        if isinstance(wanted, bytes):
            while wanted not in self._ahead:
                self._ahead += self._more()
            size = self._ahead.index(wanted) + len(wanted)
        else:
            size = wanted
            while len(self._ahead) < size:
                self._ahead += self._more()
        piece, self._ahead = self._ahead[:size], self._ahead[size:]
        return piece

    def _more(self) -> bytes:
        try:
            data = self.sock.recv(65_536)
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError(f"closed after {self._ahead!r}")
        return data

    def close(self) -> None:
        """Leave."""
        self.sock.close()


@contextmanager
def peer(port: int, context: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """Connect; it is gone at the end."""
    client = Peer(port, context)
    try:
        yield client
    finally:
        client.close()

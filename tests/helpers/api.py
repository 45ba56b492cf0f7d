"""What the tests of the HTTP API share: clients at once, event streams, processes on an engine."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from tornado.httputil import HTTPHeaders
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from tests.helpers.live import config
from tests.helpers.processes import PATIENCE, SERVER, ServiceProcess, started

NDJSON = "application/x-ndjson"
MERGE_PATCH = "application/merge-patch+json"
EVENT_STREAM = "text/event-stream"
PROBLEM = "application/problem+json"


class Request(NamedTuple):
    """A request of one of many clients."""

    url: str
    method: str
    body: str | bytes | None
    headers: Mapping[str, str]


async def all_at_once(requests: Iterable[Request]) -> list[HTTPResponse]:
    """Send each request on a connection of its own, all at once; return the answers in order."""
    requests = list(requests)
    client = AsyncHTTPClient(force_instance=True, max_clients=len(requests))
    try:
        return await asyncio.gather(*(
            client.fetch(
                request.url, method=request.method, body=request.body, headers=request.headers,
                raise_error=False, allow_nonstandard_methods=True, request_timeout=PATIENCE)
            for request in requests))
    finally:
        client.close()


def next_page(answer: HTTPResponse) -> str | None:
    """Return the target of an answer's Link to a next page (RFC 8288); None where there is none."""
    link = answer.headers.get("Link")
    if link is None:
        return None
    match = re.fullmatch(r'<(/[!#-;=?-~]*)>; rel="next"', link)
    assert match is not None, link
    return match[1]


def json_lines(body: bytes) -> list[Any]:
    """Read a body of NDJSON, whose last line ends too."""
    assert not body or body.endswith(b"\n"), body[-100:]
    return [json.loads(line) for line in body.splitlines()]


def ndjson(documents: Iterable[Any]) -> bytes:
    """Make a body of NDJSON."""
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


class EventStream:
    """A client of `/changes` that reads the events of WHATWG HTML §9.2 as they come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._text = b""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.last_id: str | None = None
        """What a client sends as Last-Event-ID when it comes back."""

    @classmethod
    async def open(
        cls, port: int, path: str = "/changes", method: str = "GET", **headers: str
    ) -> Self:
        """Ask for the stream, and read the head of the answer; `A_b` is the header A-b."""
        stream = cls(*await asyncio.open_connection("127.0.0.1", port))
        fields = {"Host": "localhost", "Accept": EVENT_STREAM, **headers}
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        stream._writer.write("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode())
        await stream._read_head()
        return stream

    async def _read_head(self) -> None:
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), PATIENCE)
        status, *lines = head.decode("latin-1").split("\r\n")[:-2]
        self.status = int(status.split()[1])
        self.headers = {name: value for name, _, value in (line.partition(": ") for line in lines)}

    async def body(self) -> bytes:
        """Return the body of an answer that is no stream."""
        return await self._reader.readexactly(int(self.headers["Content-Length"]))

    async def block(self) -> dict[str, str] | None:
        """Return the fields of the next block, a comment's under ''; None at the clean end."""
        while b"\n\n" not in self._text:
            chunk = await self._chunk()
            if not chunk:
                assert not self._text, self._text
                return None
            self._text += chunk
        block, self._text = self._text.split(b"\n\n", 1)
        pairs = (line.partition(":") for line in block.decode().split("\n"))
        fields = {name: value.removeprefix(" ") for name, _, value in pairs}
        self.last_id = fields.get("id", self.last_id)
        return fields

    async def _chunk(self) -> bytes:
        """Return the next chunk (RFC 9112 §7.1); raises IncompleteReadError when it is cut off."""
        size = int((await self._reader.readuntil(b"\r\n")).strip(), 16)
        return (await self._reader.readexactly(size + 2))[:-2]

    async def changes(self, count: int) -> list[Any]:
        """Return the data of so many events."""
        found: list[Any] = []
        while len(found) < count:
            if (change := await self.change()) is None:
                raise AssertionError(f"the stream ended after {found}")
            found.append(change)
        return found

    async def change(self) -> Any:
        """Return the data of the next event; None when the stream ends before it."""
        while (block := await asyncio.wait_for(self.block(), PATIENCE)) is not None:
            if "data" in block:
                change = json.loads(block["data"])
                assert block["id"] == str(change["revision"]), block
                return change
        return None

    async def close(self) -> None:
        """Leave."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass


@contextmanager
def serving(
    task_db: Mapping[str, Any], folder: Path, *options: str, port: int = 0
) -> Iterator[ServiceProcess]:
    """Start the service on a store, with its config in `folder`; it is gone at the end."""
    path = folder / f"{next(iter(task_db))}.yaml"
    path.write_text(config(task_db), "utf-8")
    with started(*SERVER, "--config", str(path), "--port", str(port), *options) as service:
        yield service


def wait_until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until a condition holds; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.01)


async def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until a condition holds, while the loop runs; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        await asyncio.sleep(0.005)


def comparable(headers: HTTPHeaders) -> dict[str, str]:
    """Return the headers that are the same in each answer to a request, HEAD or GET.

    HEAD may omit what is known once the content is made (RFC 9110 §9.3.2).
    """
    others = ("Date", "X-Request-Id", "Transfer-Encoding")
    return {name: value for name, value in headers.items() if name not in others}

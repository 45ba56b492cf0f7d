"""Clients of two service processes that share a database: what each was answered, and what the events said."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.helpers.api import EventStream
from tests.helpers.load import Answer, KeptConnection

PAUSE = 0.02
"""Seconds between two requests of a client, which shares its machine with all the others."""


@dataclass(frozen=True)
class Served:
    """A request: when it was sent, in seconds of the monotonic clock, and its answer."""

    at: float
    write: bool
    answer: Answer

    @property
    def ended(self) -> float:
        """When it was answered."""
        return self.at + self.answer.seconds


@dataclass
class Writer:
    """Creates tasks with a key, each until it is acknowledged, and reads each back through the other process."""

    name: str
    ports: Sequence[int]
    served: list[Served] = field(default_factory=list)
    known: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Title -> revision and id of what was acknowledged."""

    async def run(self, over: asyncio.Event) -> None:
        """Write until it is over; raises what no client may meet, such as a connection that is cut."""
        clients, step = [KeptConnection(port) for port in self.ports], 0
        try:
            while not over.is_set():
                step += 1
                title = f"{self.name}-{step}"
                body = json.dumps({"title": title}).encode()
                created = await self._ask(
                    over, clients[0], "POST", "/tasks", body, Idempotency_Key=f'"{title}"')
                if created is None:
                    break
                assert created.status == 201, created
                path = created.headers["location"]
                self.known[title] = int(created.headers["etag"].strip('"')), path.removeprefix("/tasks/")
                read = await self._ask(over, clients[1], "GET", path)
                assert read is None or (read.status, json.loads(read.body)["title"]) == (200, title), read
        finally:
            for client in clients:
                client.close()

    async def _ask(
        self, over: asyncio.Event, client: KeptConnection, method: str, path: str, body: bytes = b"", **headers: str
    ) -> Answer | None:
        """Ask until it is answered; None if that was over before."""
        while not over.is_set():
            at = time.monotonic()
            answer = await client.ask(method, path, body, **headers)
            self.served.append(Served(at, method == "POST", answer))
            await asyncio.sleep(PAUSE)
            if answer.status != 503:
                return answer
            assert "retry-after" in answer.headers, answer
        return None


@dataclass
class Follower:
    """Follows the changes through one process, and goes on where a stream ended; after `stay` seconds it leaves it."""

    port: int
    stay: float | None
    seen: list[tuple[int, str]] = field(default_factory=list)
    last_id: str = ""
    streams: int = 0

    async def run(self) -> None:
        """Follow until it is cancelled; raises if a stream cannot be resumed."""
        while True:
            stream = await EventStream.open(self.port, Last_Event_ID=self.last_id)
            try:
                if stream.status == 200:
                    self.streams += 1
                    await self._read(stream)
                else:
                    assert stream.status == 503, (stream.status, await stream.body())
            finally:
                await stream.close()
            await asyncio.sleep(PAUSE)

    async def _read(self, stream: EventStream) -> None:
        try:
            async with asyncio.timeout(self.stay):
                while (block := await stream.block()) is not None:
                    self.last_id = stream.last_id or self.last_id
                    if "data" in block:
                        change = json.loads(block["data"])
                        self.seen.append((change["revision"], change["id"]))
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass  # a client comes back

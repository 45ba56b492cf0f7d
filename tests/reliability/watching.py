"""What others notice of one client: clients that ask for little, again and again, meanwhile."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.helpers.load import KeptConnection, own_memory, percentile

TASK = "/tasks/watched"

ASKED: Mapping[str, tuple[str, str, bytes]] = {
    "a task": ("GET", TASK, b""),
    "a page": ("GET", "/tasks?limit=50&sort=title&completed=false", b""),
    "POST": ("POST", "/tasks", b'{"title": "new"}'),
    "/healthz": ("GET", "/healthz", b"")}
"""What the others ask for, by what it is called."""


@dataclass
class Seen:
    """How long answers of 2xx took, and how many others there were."""

    took: list[float] = field(default_factory=list)
    failed: int = 0

    @property
    def p99(self) -> float:
        """The seconds that 99 of 100 took at most."""
        return percentile(self.took, 0.99)


class Others:
    """They are there in the block, each on a connection that it had before."""

    def __init__(self, port: int, pid: int) -> None:
        self._port, self._pid = port, pid
        self._done = asyncio.Event()
        self.seen: dict[str, Seen] = {name: Seen() for name in ASKED}
        self.grown = 0
        """By how many bytes the service's own memory grew, at the most."""

    async def __aenter__(self) -> "Others":
        clients = {name: KeptConnection(self._port) for name in ASKED}
        await clients["POST"].ask("PUT", TASK, b'{"title": "watched"}', If_None_Match="*")
        for name, client in clients.items():
            await client.ask(*ASKED[name])
        self._before = own_memory(self._pid)
        self._tasks = [asyncio.create_task(self._ask(name, client)) for name, client in clients.items()]
        return self

    async def _ask(self, name: str, client: KeptConnection) -> None:
        while not self._done.is_set():
            answer = await client.ask(*ASKED[name])
            if answer.status in (200, 201):
                self.seen[name].took.append(answer.seconds)
            else:
                self.seen[name].failed += 1
            self.grown = max(self.grown, own_memory(self._pid) - self._before)
            await asyncio.sleep(0.01)
        client.close()

    async def __aexit__(self, *exc_info: object) -> None:
        self._done.set()
        await asyncio.gather(*self._tasks)

    def summary(self) -> str:
        """Return what there was to see."""
        return ", ".join(
            f"{name} {seen.p99 * 1000:.0f} ms" + (f" ({seen.failed} failed)" if seen.failed else "")
            for name, seen in self.seen.items()) + f"; memory +{self.grown / 2 ** 20:.1f} MiB"

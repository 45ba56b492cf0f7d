"""The requests that are sent to the candidates, over and over."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.client import TASK, Client, ClientError, request

Made = Sequence[tuple[str, str]]
"""The tasks in the store: target and tag of each."""

CHANGED = TASK.replace(b"Chapter-1", b"Chapter-2")


@dataclass(frozen=True)
class Workload:
    """Requests on a store with some tasks, the statuses of their answers, connections."""

    name: str
    label: str
    tasks: int
    requests: Callable[[Made, int], Sequence[bytes]]
    statuses: frozenset[int]
    connections: int = 32
    durable: bool = False

    def prove(self, port: int, requests: Sequence[bytes]) -> None:
        """Raise ClientError unless some of the requests are answered as they should be."""
        with Client(port) as client:
            found = {client.send([each])[0].status for each in requests[:50]}
        if found != self.statuses:
            raise ClientError(f"{self.name}: answered by {found}, not {self.statuses}")


def _get(made: Made, port: int) -> list[bytes]:
    return [request("GET", target) for target, _ in made]


def _unchanged(made: Made, port: int) -> list[bytes]:
    return [request("GET", target, headers={"If-None-Match": etag}) for target, etag in made]


def _post(made: Made, port: int) -> list[bytes]:
    return [request("POST", "/tasks", TASK)]


def _put(made: Made, port: int) -> list[bytes]:
    return [request("PUT", target, CHANGED) for target, _ in made]


def _mix(made: Made, port: int) -> list[bytes]:
    """Return 80 % get, 10 % unchanged, 5 % post and 5 % put, in random order."""
    part = len(made) // 20
    mixed = [*_get(made[:16 * part], port), *_unchanged(made[16 * part:18 * part], port),
             *_post(made, port) * part, *_put(made[18 * part:19 * part], port)]
    random.Random(0).shuffle(mixed)
    return mixed


def _list(made: Made, port: int) -> list[bytes]:
    return [request("GET", "/tasks")]


def _unchanged_list(made: Made, port: int) -> list[bytes]:
    with Client(port) as client:
        etag = client.ask("GET", "/tasks").headers["etag"]
    return [request("GET", "/tasks", headers={"If-None-Match": etag})]


def _workload(
    name: str, label: str, tasks: int, requests: Callable[[Made, int], Sequence[bytes]],
    *statuses: int, connections: int = 32, durable: bool = False
) -> Workload:
    return Workload(name, label, tasks, requests, frozenset(statuses), connections, durable)


WORKLOADS = [
    _workload("get", "Get one of 1,000 tasks", 1000, _get, 200),
    _workload("304", "Get one that is unchanged (304)", 1000, _unchanged, 304),
    _workload("post", "Post a task", 0, _post, 201),
    _workload("put", "Put a task", 1000, _put, 204),
    _workload("mix", "Mix: 80 % get, 10 % unchanged, 5 % post, 5 % put",
              1000, _mix, 200, 201, 204, 304),
    _workload("list", "List of 100 tasks", 100, _list, 200),
    _workload("unchanged-list", "Unchanged list of 10,000 tasks (304)",
              10_000, _unchanged_list, 304),
    _workload("durable", "Durable post, 64 clients", 0, _post, 201, connections=64, durable=True),
]

#!/usr/bin/env python3
"""A page of 50 among 1,000,000 tasks against the same page among 1,000, on SQLite and PostgreSQL.

Each sort, both directions, unfiltered and with `completed=` (true and false in turn); the first
page, and pages from random places ("deep", by cursor). Each page is measured twice: as a client
sees it (one GET /tasks on a keep-alive connection of loopback, from the first byte sent to the
last one received, the service a process of its own), and on the engine (`read_page`). The small
and the large store are asked in turn within one run. What is shown are medians in microseconds,
and the large store's by the small one's. The stores are warm: filled just before, and a quarter
as many pages asked for, so that the files are in the system's cache.

    benchmarks/pages.py [--rows N] [--pages N] [--engines sqlite,postgres] [--output FILE]
"""

import argparse
import asyncio
import json
import os
import platform
import random
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from taskservice.database.db_engines import create_todolist_db  # noqa: E402  # after the path
from taskservice.database.todolist_db import AbstractTodoListDB  # noqa: E402
from taskservice.datamodel import (  # noqa: E402
    StoredTask, TaskEntry, TaskPriority, TaskQuery, TaskSort)
from taskservice.http.listing import encode_cursor, parse_list_query  # noqa: E402
from tests.helpers.processes import SERVER, ServiceProcess, started  # noqa: E402
from tests.helpers.postgres import PostgresServer, available  # noqa: E402

SMALL, LARGE = 1_000, 1_000_000
PAGE = 50
GOAL = 1.2
BATCH = 5_000
SAMPLE = 4_000
"""From how many places, at random, pages start."""

Measure = Callable[["Case", random.Random], Any]


@dataclass(frozen=True)
class Case:
    """A list: its sort and direction, whether filtered, and whether from its beginning."""

    sort: TaskSort
    descending: bool
    completed: bool
    deep: bool

    def __str__(self) -> str:
        name = f"{'-' if self.descending else ''}{self.sort.value}"
        return f"{name:<10} {'completed=' if self.completed else '':<10}"


_BOTH = (False, True)
CASES = [Case(*facts) for facts in product(TaskSort, _BOTH, _BOTH, _BOTH)]


@dataclass(frozen=True)
class Store:
    """A filled store: its config, and a sample of its tasks to start pages from."""

    rows: int
    task_db: Mapping[str, Any]
    sample: Sequence[StoredTask]

    def query(self, case: Case, rng: random.Random) -> TaskQuery:
        """Return the query of a page, from a random place where the case is deep."""
        completed = rng.random() < 0.5 if case.completed else None
        query = TaskQuery(
            sort=case.sort, descending=case.descending, completed=completed, limit=PAGE)
        return TaskQuery(**{
            name: getattr(query, name) for name in ("sort", "descending", "completed", "limit")},
            after=query.sort_key(rng.choice(self.sample)) if case.deep else None)


def tasks(rows: int) -> Iterator[tuple[str, TaskEntry]]:
    """Make tasks as people have them, the same ones every time."""
    rng = random.Random(rows)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9)))
             for _ in range(2_000)]
    for number in range(rows):
        task_id = f"{0x19000000000 + number:012x}7{rng.getrandbits(76):019x}"
        text = " ".join(rng.choices(words, k=20))
        yield task_id, TaskEntry(
            title=" ".join(rng.choices(words, k=4)),
            description=text if rng.random() < 0.5 else None,
            priority=rng.choice([*TaskPriority, None]),
            completed=rng.choice([True, False, None]),
            due_date=rng.choice([None, 1.7e9 + rng.randrange(10 ** 8)]))


async def fill(
    engine: AbstractTodoListDB, made: Iterable[tuple[str, TaskEntry]]
) -> Sequence[StoredTask]:
    """Fill a store, unless it is full; return a sample of its tasks."""
    made = list(made)
    rng = random.Random(len(made))
    if not (await engine.read_page(TaskQuery(limit=1))).tasks:
        for start in range(0, len(made), BATCH):
            await engine.create_tasks(made[start:start + BATCH])
    chosen = rng.sample(made, min(SAMPLE, len(made)))
    return [await engine.read_task(task_id) for task_id, _ in chosen]


@contextmanager
def places(engine: str, folder: Path) -> Iterator[Callable[[int], Mapping[str, Any]]]:
    """Give what the config's `task-db` is for a store of so many rows; run what that needs."""
    if engine == "sqlite":
        yield lambda rows: {"sqlite": str(folder / f"tasks-{rows}.db")}
        return
    # As deploy/compose.yaml has it, and docs/operating.md says: by its default of 128 MB the server
    # would fetch most pages of a large store from the system.
    with PostgresServer(settings={"shared_buffers": "1GB"}) as server:
        names: dict[int, str] = {}

        def place(rows: int) -> Mapping[str, Any]:
            if rows not in names:
                names[rows] = server.create_database()
            return {"postgres": {"dsn": names[rows]}}

        yield place


async def prepare(
    rows: int, task_db: Mapping[str, Any], made: Iterable[tuple[str, TaskEntry]]
) -> Store:
    """Fill a store, and let PostgreSQL learn what is in it, as its autovacuum would."""
    async with create_todolist_db(task_db) as engine:
        sample = await fill(engine, made)
    if "postgres" in task_db:
        import asyncpg
        connection = await asyncpg.connect(task_db["postgres"]["dsn"])
        await connection.execute("VACUUM ANALYZE", timeout=600)
        await connection.execute("CHECKPOINT", timeout=600)
        await connection.close()
    return Store(rows, task_db, sample)


class Client:
    """A client on one keep-alive connection, as plain as can be: the service is measured."""

    def __init__(self, service: ServiceProcess) -> None:
        self._socket = socket.create_connection(("localhost", service.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, target: str) -> float:
        """Return how long a GET took, in seconds."""
        request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        started = time.perf_counter()
        self._socket.sendall(request)
        answer = self._socket.recv(262_144)
        while not _is_whole(answer):
            answer += self._socket.recv(262_144)
        taken = time.perf_counter() - started
        if not answer.startswith(b"HTTP/1.1 200"):
            raise AssertionError(answer[:500])
        return taken

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def _is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return body.endswith(b"0\r\n\r\n")


def target(query: TaskQuery) -> str:
    """Return the target of a page, as the Link to it has it."""
    parts = [f"sort={'-' if query.descending else ''}{query.sort.value}", f"limit={query.limit}"]
    if query.completed is not None:
        parts.append(f"completed={'true' if query.completed else 'false'}")
    if query.after is not None:
        fingerprint = parse_list_query("&".join(parts)).fingerprint
        parts.append(f"cursor={encode_cursor(fingerprint, query.sort, *query.after)}")
    return f"/tasks?{'&'.join(parts)}"


@contextmanager
def serving(store: Store, folder: Path) -> Iterator[Client]:
    """Run the service on a store, quietly, and give a client of it."""
    config = folder / f"config-{store.rows}.yaml"
    quiet = "{version: 1, loggers: {taskservice: {level: INFO}}, handlers: {out: {class: " \
            "logging.StreamHandler, stream: ext://sys.stdout}}, root: {handlers: [out]}}"
    config.write_text(f"task-db: {json.dumps(store.task_db)}\nlogging: {quiet}", "utf-8")
    with started(*SERVER, "--port", "0", "--config", str(config)) as service:
        client = Client(service)
        yield client
        client.close()


@asynccontextmanager
async def measures(
    stores: Sequence[Store], folder: Path
) -> AsyncIterator[Mapping[str, Sequence[Measure]]]:
    """Give the ways to measure a page, and for each one function a store."""
    async with AsyncExitStack() as stack:
        http, direct = [], []
        for store in stores:
            client = stack.enter_context(serving(store, folder))
            engine = await stack.enter_async_context(create_todolist_db(store.task_db))

            async def over_http(
                case: Case, rng: random.Random, store: Store = store, client: Client = client
            ) -> float:
                return client.get(target(store.query(case, rng)))

            async def on_engine(
                case: Case, rng: random.Random, store: Store = store,
                engine: AbstractTodoListDB = engine
            ) -> float:
                query = store.query(case, rng)
                started = time.perf_counter()
                await engine.read_page(query)
                return time.perf_counter() - started

            http.append(over_http)
            direct.append(on_engine)
        yield {"HTTP": http, "engine": direct}


Times = dict[tuple[Case, str], tuple[list[float], list[float]]]
"""Seconds by case and way: on the small store, and on the large one."""


async def measure(ways: Mapping[str, Sequence[Measure]], pages: int, seed: int) -> Times:
    """Ask for a page of each kind, then for another of each: a noisy moment is everyone's."""
    rng = random.Random(seed)
    times: Times = {(case, way): ([], []) for case in CASES for way in ways}
    for number in range(pages):
        for (case, way), taken in times.items():
            for which in ((0, 1) if number % 2 else (1, 0)):
                taken[which].append(await ways[way][which](case, rng))
    return times


def table(times: Times, ways: Sequence[str]) -> Iterator[str]:
    """Give the lines of the table of one engine."""
    ratios: dict[str, list[float]] = {way: [] for way in ways}
    head = "".join(f"   {way + ' small':>12}{'large':>8}{'ratio':>7}" for way in ways)
    for deep in (False, True):
        yield f"{'deep page' if deep else 'first page':<21}{head}"
        for case in (case for case in CASES if case.deep is deep):
            line = str(case)
            for way in ways:
                small, large = (median(taken) * 1e6 for taken in times[case, way])
                ratios[way].append(large / small)
                line += f"   {small:>12.0f}{large:>8.0f}{large / small:>7.2f}"
            yield line
        yield ""
    for way, values in ratios.items():
        beyond = sum(value > GOAL for value in values)
        yield (f"{way}: ratio {median(values):.2f} in the median, {max(values):.2f} at most; "
               f"{beyond} of {len(values)} above {GOAL}")
    yield ""


async def run(engines: Sequence[str], rows: int, pages: int, folder: Path) -> str:
    """Fill the stores, measure, and return the report."""
    report = [
        f"A page of {PAGE}: medians of {pages} pages, in microseconds (benchmarks/pages.py)",
        f"{time.strftime('%Y-%m-%d')}, {processor()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}", ""]
    for engine in engines:
        with places(engine, folder) as place:
            stores = [
                await prepare(size, place(size), tasks(size)) for size in (SMALL, rows)]
            async with measures(stores, folder) as ways:
                await measure(ways, max(pages // 4, 1), 0)
                times = await measure(ways, pages, 1)
            report += [f"{engine}: {stores[1].rows:,} tasks against {stores[0].rows:,}", ""]
            report += table(times, [*ways])
    return "\n".join(report)


def processor() -> str:
    """Return the name of the machine's processor."""
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


Benchmark = Callable[[argparse.Namespace, Sequence[str], Path], Coroutine[Any, Any, str]]
"""Takes the options, the engines and a folder for their stores; returns the report."""


def run_script(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, benchmark: Benchmark
) -> int:
    """Run a benchmark of stores with its own options and the common ones; print the report."""
    parser.add_argument("--engines", default="sqlite,postgres", help="default: %(default)s")
    parser.add_argument("--data", type=Path, help="keep the SQLite files here for the next run")
    parser.add_argument("--output", type=Path, help="also write the report to this file")
    arguments = parser.parse_args(argv)
    engines = arguments.engines.split(",")
    if "postgres" in engines and (reason := available()) is not None:
        parser.error(f"postgres: {reason}")
    with ExitStack() as stack:
        folder = arguments.data or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(benchmark(arguments, engines, folder))
    print(report)
    if arguments.output is not None:
        arguments.output.write_text(report, "utf-8")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=LARGE, help="default: %(default)s")
    parser.add_argument("--pages", type=int, default=300, help="of each kind; default: %(default)s")
    return run_script(parser, argv, lambda options, engines, folder: run(
        engines, options.rows, options.pages, folder))


if __name__ == "__main__":
    sys.exit(main())

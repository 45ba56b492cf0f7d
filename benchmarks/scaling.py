#!/usr/bin/env python3
"""Reads and writes a second on PostgreSQL, by 1, 2 and 4 processes of the service, 0, 1 and 5 ms away from it.

A read is GET of a task, a write is POST of one; each of the connections sends its next request when the one before is
answered. The processes are workers behind one port, with their log switched on. The distance is that of a relay, which
keeps each answer of the server so long; what it comes to is measured (a SELECT 1). The server writes to disk (fsync).

    benchmarks/scaling.py [--processes N,…] [--distances MS,…] [--connections N] [--seconds N] [--rounds N]
                          [--output FILE]
"""

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from socket import create_server, socket
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import asyncpg  # noqa: E402  # after the path
import uvloop  # noqa: E402

from benchmarks.client import TASK, Client, ClientError, request, seed  # noqa: E402
from benchmarks.load import Load, run, write_requests  # noqa: E402
from benchmarks.processes import PATIENCE, free_port  # noqa: E402
from tests.helpers.live import config  # noqa: E402
from tests.helpers.postgres import PostgresServer, available  # noqa: E402

TASKS = 1_000
"""How many tasks there are to read."""

HEAD = "| processes | round trip | reads/s | median, p99 | writes/s | median, p99 | transactions/s | writes in one |"


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Pass on what comes, and the end, some seconds later."""
    later = partial(asyncio.get_running_loop().call_later, delay)
    while data := await reader.read(1 << 16):
        later(writer.write, data)
    later(writer.close)


def relay(listener: socket, server: int, delay: float) -> None:
    """Relay connections to the server, whose answers are delayed, until the process is ended."""
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection("127.0.0.1", server)
        await asyncio.gather(pump(reader, requests, 0), pump(answers, writer, delay))

    async def serve() -> None:
        await (await asyncio.start_server(connected, sock=listener)).serve_forever()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


@contextmanager
def distant(server: int, milliseconds: float) -> Iterator[int]:
    """Give a port that is so far away from the server; 0 is the server's own."""
    if not milliseconds:
        yield server
        return
    with create_server(("127.0.0.1", 0)) as listener:
        process = get_context("fork").Process(target=relay, args=(listener, server, milliseconds / 1000), daemon=True)
        process.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            process.kill()
            process.join()


@contextmanager
def serving(dsn: str, processes: int, folder: Path) -> Iterator[int]:
    """Run the service in so many processes; give its port."""
    port, file = free_port(), folder / "config.yaml"
    postgres = {"dsn": dsn, "acquire-timeout": PATIENCE, "statement-timeout": PATIENCE}
    file.write_text(config({"postgres": postgres}), "utf-8")
    service = subprocess.Popen(
        [sys.executable, "taskservice/tornado/server.py", "--config", file, "--port", str(port),
         "--workers", str(processes)], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_until_ready(port)
        yield port
    finally:
        service.terminate()
        service.wait(PATIENCE)


def wait_until_ready(port: int) -> None:
    """Wait for an answer; raises ClientError."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            with Client(port) as client:
                if client.ask("GET", "/readyz").status == 200:
                    return
        except (OSError, ClientError):
            time.sleep(0.02)
    raise ClientError("the service does not answer")


async def round_trip(dsn: str) -> float:
    """Return how long the server takes to answer at that distance, in seconds."""
    connection = await asyncpg.connect(dsn)
    taken = []
    for _ in range(50):
        started = time.perf_counter()
        await connection.fetchval("SELECT 1")
        taken.append(time.perf_counter() - started)
    await connection.close()
    return median(taken)


def transactions(server: PostgresServer) -> int:
    """Return how many transactions have written so far: only these have an id."""
    return int(server.psql("SELECT pg_snapshot_xmax(pg_current_snapshot())"))


def best(loads: Iterable[Load]) -> Load:
    """Return the one with the most requests a second: others had less of the machine."""
    return max(loads, key=lambda load: load.requests / load.seconds)


def measure(server: PostgresServer, processes: int, distance: float, options: argparse.Namespace, folder: Path) -> str:
    """Return a row of the table."""
    dsn = server.create_database()
    with distant(server.port, distance) as port:
        far = dsn.replace(f":{server.port}/", f":{port}/")
        away = asyncio.run(round_trip(far))
        with serving(far, processes, folder) as service:
            paths = seed(service, TASKS)
            file = folder / "requests"
            write_requests(file, [request("GET", path) for path, _ in paths])
            reads = best([run(service, file, options.connections, options.seconds) for _ in range(options.rounds)])
            write_requests(file, [request("POST", "/tasks", TASK)])
            groups = {}
            for _ in range(options.rounds):
                before = transactions(server)
                load = run(service, file, options.connections, options.seconds)
                groups[load] = transactions(server) - before
            writes = best(groups)
    number = groups[writes]
    cells = [f"{processes}", f"{away * 1000:.1f} ms"]
    for load in reads, writes:
        cells += [f"{load.requests / load.seconds:,.0f}", f"{load.p50 * 1000:.0f}, {load.p99 * 1000:.0f} ms"]
    return "| " + " | ".join([*cells, f"{number / writes.seconds:,.0f}", f"{writes.requests / number:.1f}"]) + " |"


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--processes", default="1,2,4", help="default: %(default)s")
    parser.add_argument("--distances", default="0,1,5", help="milliseconds; default: %(default)s")
    parser.add_argument("--connections", type=int, default=64, help="of clients; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=3, help="of each load; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts; default: %(default)s")
    parser.add_argument("--output", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    if (reason := available()) is not None:
        parser.error(reason)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what it has started ends with it
    lines = [HEAD, "|" + "--:|" * (HEAD.count("|") - 1)]
    with PostgresServer() as server, tempfile.TemporaryDirectory() as folder:
        for distance, processes in product(options.distances.split(","), options.processes.split(",")):
            lines.append(measure(server, int(processes), float(distance), options, Path(folder)))
            print(lines[-1], file=sys.stderr, flush=True)
    report = "\n".join(lines) + "\n"
    print(report)
    if options.output is not None:
        options.output.write_text(report, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

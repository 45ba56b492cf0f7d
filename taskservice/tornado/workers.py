"""Several processes behind one port: the parent binds, starts workers, and restarts those that die.

Workers inherit the parent's listening sockets, so that a connection which waits to be accepted
when one dies goes to another. A worker ends when the pipe on its standard input does: no worker
outlives a parent that was killed.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from taskservice import LOGGER_NAME
from taskservice.config import Config
from taskservice.database.db_engines import create_todolist_db
from taskservice.errors import ConfigError
from taskservice.tornado.metrics import FOLDER_VARIABLE, forget_worker
from taskservice.utils import logutils

RESTART_DELAY = 1.0
"""Seconds before a worker that lived no longer than this is restarted."""


def check_sharable(config: Config) -> None:
    """Raise ConfigError for what several processes cannot use together, naming what to use."""
    engine = create_todolist_db(config.task_db)
    if not engine.shared:
        raise ConfigError(
            f"task-db: {engine.name} belongs to one process, and several workers need an engine "
            "that they can share: sqlite or postgres")
    handlers: Mapping[str, Mapping[str, Any]] = (config.logging or {}).get("handlers") or {}
    for name, handler in handlers.items():
        kind = str(handler.get("class")).rpartition(".")[2]
        if kind in ("RotatingFileHandler", "TimedRotatingFileHandler"):
            raise ConfigError(
                f"logging.handlers.{name}: a {kind} would lose the lines of other workers when it "
                "rotates: use logging.handlers.WatchedFileHandler, and logrotate")


class Supervisor:
    """Keeps `count` workers running the `command` until it is told to stop."""

    def __init__(
        self, command: Sequence[str], count: int, sockets: Sequence[socket.socket],
        metrics_folder: str
    ) -> None:
        """Take the folder that the workers share for their measurements, too."""
        self._metrics_folder = metrics_folder
        self._sockets = sockets
        self._fds = [sock.fileno() for sock in sockets]
        self._command = [*command, "--inherit", ",".join(map(str, self._fds))]
        self._count = count
        self._stopping = asyncio.Event()
        self._running: set[asyncio.subprocess.Process] = set()

    def stop(self) -> None:
        """Let nobody else in, and the workers end; told a second time, make them."""
        for worker in self._running:
            worker.send_signal(signal.SIGKILL if self._stopping.is_set() else signal.SIGTERM)
        for sock in self._sockets:
            sock.close()
        self._stopping.set()

    async def run(self) -> None:
        """Run the workers; return when they have ended, after `stop`."""
        async with asyncio.TaskGroup() as group:
            for number in range(1, self._count + 1):
                group.create_task(self._keep(number))

    async def _keep(self, number: int) -> None:
        while not self._stopping.is_set():
            started = time.monotonic()
            code = await self._run_worker()
            if self._stopping.is_set():
                return
            logutils.log(
                logging.getLogger(LOGGER_NAME), logging.ERROR, message="WORKER DIED",
                worker=number, code=code)
            if time.monotonic() - started < RESTART_DELAY:
                await self._pause(RESTART_DELAY)

    async def _run_worker(self) -> int:
        # In a session of its own, a worker does not get the Ctrl-C that the parent passes on.
        worker = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, pass_fds=self._fds,
            start_new_session=True, env={**os.environ, FOLDER_VARIABLE: self._metrics_folder})
        self._running.add(worker)
        if self._stopping.is_set():
            worker.terminate()
        code = await worker.wait()
        self._running.discard(worker)
        forget_worker(worker.pid, self._metrics_folder)
        return code

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            pass


def inherited_sockets(fds: str) -> list[socket.socket]:
    """Return the listening sockets that the parent passed on, by their numbers."""
    return [socket.socket(fileno=int(fd)) for fd in fds.split(",")]


def on_parent_exit(loop: asyncio.AbstractEventLoop, stop: Any) -> None:
    """Call `stop` when the parent's end of the pipe on standard input is closed."""
    def ended() -> None:
        loop.remove_reader(sys.stdin)
        stop()

    loop.add_reader(sys.stdin, ended)

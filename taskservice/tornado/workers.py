"""Several processes behind one port: the parent binds, starts workers, and restarts those that die.

Workers inherit the parent's listening sockets: when one dies, another takes the connections that wait. A worker
ends when the pipe on its standard input is closed, so that no worker outlives a killed parent.
"""

import asyncio
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from logging.config import BaseConfigurator
from logging.handlers import BaseRotatingHandler
from typing import Any

from taskservice import LOGGER_NAME
from taskservice.config import Config
from taskservice.database.db_engines import create_todolist_db
from taskservice.errors import ConfigError, TodoListError
from taskservice.tornado import systemd
from taskservice.tornado.metrics import FOLDER_VARIABLE, WORKER_VARIABLE, count_restart, forget_worker
from taskservice.tornado.metrics_folder import MetricsFolder
from taskservice.tornado.reload import Reloader
from taskservice.tornado.signals import WINDOW_INTERVAL, Signals, held_back
from taskservice.tornado.vitals import repeated
from taskservice.utils import logutils

RESTART_DELAY = 1.0
"""Seconds before the first restart of a worker that lived no longer than this."""

CLOSING_TIME = 8.0
"""Seconds that a worker may take, beyond the drain, to close its store."""

MAX_RESTART_DELAYS = 4
"""The longest pause, in RESTART_DELAYs: workers are back some seconds after the store is."""


def check_sharable(config: Config) -> None:
    """Raise ConfigError if several processes cannot share the engine or a log file; it names an alternative."""
    engine = create_todolist_db(config.task_db)
    if not engine.shared:
        raise ConfigError(
            f"task-db: {engine.name} belongs to one process, and several workers need an engine "
            "that they can share: sqlite or postgres")
    for name, handler in ((config.logging or {}).get("handlers") or {}).items():
        _check_handler(f"logging.handlers.{name}", handler)


def _check_handler(name: str, handler: Mapping[str, Any]) -> None:
    kind = BaseConfigurator({}).resolve(handler.get("()") or handler["class"])
    if not isinstance(kind, type) or not issubclass(kind, logging.FileHandler):
        return
    if issubclass(kind, BaseRotatingHandler):
        raise ConfigError(
            f"{name}: a {kind.__name__} would lose the lines of other workers when it rotates: "
            "use logging.handlers.WatchedFileHandler, and logrotate")
    if not str(handler.get("mode", "a")).startswith("a"):
        raise ConfigError(
            f"{name}.mode: each worker that starts would empty the file: leave it out")


async def supervise(
    config: Config, sockets: Sequence[socket.socket], workers: int, command: Sequence[str],
    signals: Signals, reloader: Reloader
) -> None:
    """Run workers until a signal; raises StoreError when the store cannot be opened.

    Raises TodoListError when there is no temporary directory, or a worker had to be killed.
    """
    folder = MetricsFolder(workers)
    try:
        async with create_todolist_db(config.task_db):
            pass  # created and migrated once; an error ends the start, and is printed once
        supervisor = Supervisor(command, workers, sockets, folder, _grace(config), config=lambda: reloader.config)

        def stop() -> None:
            systemd.notify("STOPPING=1")
            supervisor.stop()

        def at_once() -> None:
            supervisor.kill()
            folder.remove()

        def prepare(changed: Config) -> Callable[[], None]:
            return lambda: setattr(supervisor, "grace", _grace(changed))

        port = sockets[0].getsockname()[1]
        call = asyncio.get_running_loop().call_soon_threadsafe
        with signals.delivered(call, stop, at_once, reloader.ask), repeated(WINDOW_INTERVAL, signals.look_for_window):
            _log(logging.INFO, "STARTING", service_name=config.service_name, port=port, workers=workers)
            async with systemd.serving(port), reloader.running(prepare, lambda succeeded: supervisor.reload()):
                await supervisor.run()
    finally:
        folder.remove()
    _log(logging.INFO, "STOPPED", service_name=reloader.config.service_name, workers=workers)


def _grace(config: Config) -> float:
    return config.http.shutdown_delay + config.http.drain_timeout + CLOSING_TIME


class Supervisor:
    """Keeps `count` workers running the `command` until `stop`."""

    def __init__(
        self, command: Sequence[str], count: int, sockets: Sequence[socket.socket],
        folder: MetricsFolder, grace: float, restart_delay: float = RESTART_DELAY,
        config: Callable[[], Config | None] = lambda: None
    ) -> None:
        """Workers share `folder` for their measurements; `config` returns the config for a new worker.

        A worker that has not ended `grace` seconds after `stop` is killed. One that could not be
        started, or lived no longer than `restart_delay` seconds, is started again after that delay;
        it doubles with each failure in a row, up to MAX_RESTART_DELAYS times.
        """
        self._folder = folder
        self._sockets = sockets
        self._fds = [sock.fileno() for sock in sockets]
        self._command = [*command, "--inherit", ",".join(map(str, self._fds))]
        self._count = count
        self.grace = grace
        self._restart_delay = restart_delay
        self._config = config
        self._stopping = asyncio.Event()
        self._running: dict[subprocess.Popen[bytes], asyncio.Event] = {}
        self._killed = False

    def stop(self) -> None:
        """Stop: no new workers, and the running ones drain."""
        self._stopping.set()
        for sock in self._sockets:
            sock.close()
        for worker in self._running:
            worker.terminate()
        asyncio.get_running_loop().call_later(self.grace, self.kill)

    def reload(self) -> None:
        """Let each worker read the config again."""
        for worker in self._running:
            worker.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """End the workers at once."""
        for worker in self._running:
            if worker.poll() is None:
                worker.kill()
                self._killed = True

    async def run(self) -> None:
        """Run the workers; return when they have ended, after `stop`.

        Raises TodoListError if some had to be killed for that.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(1, self._count + 1):
                    group.create_task(self._keep(number))
        finally:
            loop.remove_signal_handler(signal.SIGCHLD)
        if self._killed:
            raise TodoListError(f"workers did not end within {self.grace:g} s, and were killed")

    async def _keep(self, number: int) -> None:
        failures = 0
        while not self._stopping.is_set():
            lived = await self._run_worker(number)
            failures = 0 if lived > self._restart_delay else failures + 1
            if failures:
                factor = min(2 ** (failures - 1), MAX_RESTART_DELAYS)
                await self._pause(self._restart_delay * factor)

    async def _run_worker(self, number: int) -> float:
        """Run a worker to its end, log an unexpected end, and return how long it lived."""
        try:
            worker = self._start(number)
        except OSError as error:  # no memory, or too many processes or files, at present
            _log(logging.ERROR, "WORKER NOT STARTED", worker=number, reason=error.strerror)
            return 0.0
        started = time.monotonic()
        ended = self._running[worker] = asyncio.Event()
        await ended.wait()
        del self._running[worker]
        forget_worker(number, self._folder.path)
        if not self._stopping.is_set():
            count_restart(self._folder.path)
            _log(logging.ERROR, "WORKER DIED", worker=number, code=worker.returncode)
        return time.monotonic() - started

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        inherited = {name: value for name, value in os.environ.items() if name not in systemd.VARIABLES}
        environment = {
            **inherited, FOLDER_VARIABLE: self._folder.path, WORKER_VARIABLE: str(number)}
        # In a session of its own a worker gets no Ctrl-C from the terminal: the parent passes it on.
        with _passed_on(self._config()) as config, held_back():
            return subprocess.Popen(
                [*self._command, "--inherit-config", str(config)], stdin=subprocess.PIPE,
                pass_fds=[*self._fds, self._folder.fd, config], start_new_session=True, env=environment)

    def _reap(self) -> None:
        for worker, ended in self._running.items():
            if worker.poll() is not None:
                assert worker.stdin is not None
                worker.stdin.close()
                ended.set()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            pass


@contextmanager
def _passed_on(config: Config | None) -> Iterator[int]:
    """Give a descriptor of a file in memory with the config, so that its secrets appear nowhere else."""
    with open(os.memfd_create("config"), "w+b") as file:
        pickle.dump(config, file)
        file.seek(0)
        yield file.fileno()


def inherited_config(fd: int) -> Config:
    """Return the config that the parent passed on: its file may have changed since, or be wrong."""
    with open(fd, "rb") as file:
        config: Config = pickle.load(file)
    return config


def inherited_sockets(fds: str) -> list[socket.socket]:
    """Return the listening sockets that the parent passed on, by their numbers."""
    return [socket.socket(fileno=int(fd)) for fd in fds.split(",")]


def on_parent_exit(loop: asyncio.AbstractEventLoop, stop: Any) -> None:
    """Call `stop` when the parent's end of the pipe on standard input is closed."""
    def ended() -> None:
        loop.remove_reader(sys.stdin)
        stop()

    loop.add_reader(sys.stdin, ended)


def _log(level: int, message: str, **facts: Any) -> None:
    logutils.log(logging.getLogger(LOGGER_NAME), level, message=message, **facts)

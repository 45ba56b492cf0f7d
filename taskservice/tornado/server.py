#!/usr/bin/env python3
"""The composition root: arguments, config, event loop, signals."""

import argparse
import asyncio
import errno
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # as a script its folder is on the path, where the project should be
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import tornado.httpserver
import tornado.netutil

from taskservice import LOGGER_NAME
from taskservice.config import Config, read_config
from taskservice.database.db_engines import create_todolist_db
from taskservice.errors import ConfigError, TodoListError
from taskservice.tornado.app import make_taskservice_app
from taskservice.tornado.workers import (
    Supervisor, check_sharable, inherited_sockets, on_parent_exit)
from taskservice.utils import logutils, taskcontext

DRAIN_SECONDS = 20.0
"""How long requests in flight may take to end once the service is told to stop."""


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; ends the process, with code 2, when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="server.py", description="Serve a to-do list as a REST microservice.")
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the YAML config")
    parser.add_argument(
        "--port", type=_number(0, 65535), default=8080,
        help="the port (default: %(default)s; 0: a free one)")
    parser.add_argument(
        "--host", default="localhost",
        help="the name or address to listen on (default: %(default)s)")
    parser.add_argument(
        "--workers", type=_number(1, 1024), default=1, metavar="N",
        help="how many processes serve (default: %(default)s; more need sqlite or postgres)")
    parser.add_argument(
        "--debug", action="store_true", help="show tracebacks to clients and log those of 4xx")
    parser.add_argument("--inherit", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _number(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {low} to {high}, got '{text}'")
        return int(text)
    return number


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    That is 0 after a clean end, 2 when the config is wrong, and 1 when the port or the store
    cannot be had, each told in one line on standard error.
    """
    arguments = parse_arguments(argv)
    try:
        config = _load(arguments.config)
        asyncio.run(_run(config, arguments, sys.argv[1:] if argv is None else argv))
    except ConfigError as error:
        return _fail(2, str(error))
    except TodoListError as error:
        return _fail(1, str(error))
    return 0


def _load(path: Path) -> Config:
    config = read_config(path)
    try:
        logutils.configure(config.logging)
    except ValueError as error:
        raise ConfigError(f"{path}: logging: {error}") from error
    return config


def _fail(code: int, reason: str) -> int:
    print(f"taskservice: {reason}", file=sys.stderr)
    return code


async def _run(config: Config, arguments: argparse.Namespace, argv: Sequence[str]) -> None:
    if arguments.inherit:
        await serve(config, inherited_sockets(arguments.inherit), arguments.debug, worker=True)
        return
    if arguments.workers > 1:
        check_sharable(config)
    sockets = bind(arguments.host, arguments.port)
    if arguments.workers > 1:
        await supervise(config, sockets, arguments.workers, argv)
    else:
        await serve(config, sockets, arguments.debug)


def bind(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of `host`; raises TodoListError, naming the port, if that fails."""
    try:
        return tornado.netutil.bind_sockets(port, address=host)
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise TodoListError(f"port {port} on {host}: {reason}") from error


async def serve(
    config: Config, sockets: Sequence[socket.socket], debug: bool, worker: bool = False
) -> None:
    """Serve until a signal; raises ConfigError, StoreError."""
    loop = asyncio.get_running_loop()
    taskcontext.install(loop)
    stopping = asyncio.Event()
    _on_signals(stopping.set)
    if worker:
        on_parent_exit(loop, stopping.set)
    service, application = make_taskservice_app(config, debug)
    async with service:
        server = tornado.httpserver.HTTPServer(
            application, max_body_size=config.http.max_ndjson_body)
        server.add_sockets(sockets)
        _log("STARTING", config, port=sockets[0].getsockname()[1])
        await stopping.wait()
        _log("SHUTTING DOWN", config)
        server.stop()
        await service.stop_following()
        if in_flight := application.settings["in_flight"]:
            await asyncio.wait(in_flight, timeout=DRAIN_SECONDS)
        await server.close_all_connections()
    _log("STOPPED", config)


async def supervise(
    config: Config, sockets: Sequence[socket.socket], workers: int, argv: Sequence[str]
) -> None:
    """Run workers until a signal; raises StoreError when the store cannot be opened."""
    async with create_todolist_db(config.task_db):
        pass  # made and migrated once; what is wrong with it is told once, and ends the start
    supervisor = Supervisor([sys.executable, __file__, *argv], workers, sockets)
    _on_signals(supervisor.stop)
    _log("STARTING", config, port=sockets[0].getsockname()[1], workers=workers)
    await supervisor.run()
    _log("STOPPED", config, workers=workers)


def _on_signals(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def _log(message: str, config: Config, **facts: Any) -> None:
    logger = logging.getLogger(LOGGER_NAME)
    logutils.log(
        logger, logging.INFO, message=message, service_name=config.service_name, **facts)


if __name__ == "__main__":
    sys.exit(main())

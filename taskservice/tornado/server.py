#!/usr/bin/env python3
"""The composition root: arguments, config, event loop, signals."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # As a script its folder is on the path, where the project should be.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from taskservice.tornado.signals import Signals
    signals = Signals()  # before the other imports, which take a while

import argparse
import asyncio
import errno
import gc
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any

import tornado.httpserver
import tornado.netutil
import uvloop

from taskservice import LOGGER_NAME
from taskservice.config import Config, read_config
from taskservice.errors import ConfigError, TodoListError
from taskservice.http1.server import VANISHED_TIMEOUT, HTTP1Server, Limits
from taskservice.tornado import systemd
from taskservice.tornado.app import TaskServiceApplication, make_taskservice_app
from taskservice.tornado.check import check_config, describe
from taskservice.tornado.handlers.dependencies import Policy
from taskservice.tornado.metrics import Metrics
from taskservice.tornado.options import parse_arguments
from taskservice.tornado.refusals import refuser
from taskservice.tornado.reload import Reloader
from taskservice.tornado.signals import WINDOW_INTERVAL, Signals
from taskservice.tornado.tls import make_ssl_context
from taskservice.tornado.vitals import repeated
from taskservice.tornado.workers import inherited_config, inherited_sockets, on_parent_exit, supervise
from taskservice.utils import log_config, logutils, taskcontext

RESERVED_CONNECTIONS = 16
"""Connections beyond the limit that are kept for probes."""


def main(
    argv: Sequence[str] | None = None, prog: str = "server.py",
    default_config: Path | None = None, signals: Signals | None = None
) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    That is 0 after a clean end, 2 when the config is wrong, and 1 when the port or the store
    is not available, each with one line on standard error. The parameters are those of
    parse_arguments; `signals` are those that came since the program began.
    """
    signals = signals or Signals()
    arguments = parse_arguments(argv, prog, default_config)
    try:
        config = _load(arguments)
        if arguments.check_config:
            print("\n".join(asyncio.run(describe(config, arguments))))
            return 0
        with asyncio.Runner(loop_factory=_loop_factory(config, arguments)) as runner:
            runner.run(_run(config, arguments, sys.argv[1:] if argv is None else argv, signals))
    except ConfigError as error:
        return _fail(2, str(error))
    except TodoListError as error:
        return _fail(1, str(error))
    return 0


def _load(arguments: argparse.Namespace) -> Config:
    config = inherited_config(arguments.inherit_config) if arguments.inherit else read_config(arguments.config)
    try:
        (log_config.check if arguments.check_config else log_config.configure)(config.logging)
    except ValueError as error:
        raise ConfigError(f"{arguments.config}: logging: {error}") from error
    return config


def _fail(code: int, reason: str) -> int:
    print(f"taskservice: {reason}", file=sys.stderr)
    return code


def _loop_factory(
    config: Config, arguments: argparse.Namespace
) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's for processes that serve; the parent of workers needs asyncio's, to see SIGCHLD."""
    parent = arguments.workers > 1 and not arguments.inherit
    return uvloop.new_event_loop if config.http.server == "taskservice" and not parent else None


async def _run(
    config: Config, arguments: argparse.Namespace, argv: Sequence[str], signals: Signals
) -> None:
    if signals.stopping:
        return  # nothing has begun
    reloader = Reloader(arguments.config, config, lambda changed: check_config(changed, arguments.workers))
    if arguments.inherit:
        sockets = inherited_sockets(arguments.inherit)
        await serve(config, sockets, arguments.debug, signals, reloader, worker=True)
        return
    if arguments.workers > 1:
        check_config(config, arguments.workers)  # else each worker would fail by itself, and again
    sockets = bind(arguments.host, arguments.port)
    if arguments.workers > 1:
        command = [sys.executable, __file__, *argv]
        await supervise(config, sockets, arguments.workers, command, signals, reloader)
    else:
        await serve(config, sockets, arguments.debug, signals, reloader)


def bind(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of `host`; raises TodoListError, naming the port, if that fails."""
    try:
        return tornado.netutil.bind_sockets(port, address=host)
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise TodoListError(f"port {port} on {host}: {reason}") from error


async def serve(
    config: Config, sockets: Sequence[socket.socket], debug: bool, signals: Signals,
    reloader: Reloader, worker: bool = False
) -> None:
    """Serve until a signal; raises ConfigError, StoreError."""
    loop = asyncio.get_running_loop()
    taskcontext.install(loop)
    stopping = asyncio.Event()
    if worker:
        on_parent_exit(loop, stopping.set)
    with signals.delivered(loop.call_soon_threadsafe, stopping.set, reload=reloader.ask), \
            repeated(WINDOW_INTERVAL, signals.look_for_window):
        await _serve(config, sockets, debug, stopping, reloader)


async def _serve(
    config: Config, sockets: Sequence[socket.socket], debug: bool, stopping: asyncio.Event, reloader: Reloader
) -> None:
    service, application = make_taskservice_app(config, debug)
    shared = application.dependencies
    metrics = shared.metrics
    async with service:
        _quiet_collector()
        server = make_server(config, application)
        server.add_sockets(sockets)
        port = sockets[0].getsockname()[1]
        _log("STARTING", config, port=port)

        def prepare(changed: Config) -> Callable[[], None]:
            fresh = make_server(changed, application)

            def apply() -> None:
                take_settings(server, fresh)
                application.configure(changed)
            return apply

        with metrics.watching():
            async with systemd.serving(port):
                async with reloader.running(prepare, metrics.reloaded):
                    await stopping.wait()
                systemd.notify("STOPPING=1")
                _log("SHUTTING DOWN", reloader.config)
                shared.draining = True
                await asyncio.sleep(shared.policy.http.shutdown_delay)
                server.stop()
                await service.stop_following()
                await _drain(server, metrics, shared.policy.http.drain_timeout)
                await server.close_all_connections()
    _log("STOPPED", reloader.config)


def _quiet_collector() -> None:
    """Run the cycle collector less often: a request leaves no cycles behind.

    By default it runs after every 700 new objects, and a full collection takes 40 ms for all that
    was imported.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20)


def make_server(
    config: Config, application: TaskServiceApplication
) -> HTTP1Server | tornado.httpserver.HTTPServer:
    """Make the server that the config names, with its limits."""
    http = config.http
    if http.server == "tornado":
        return tornado.httpserver.HTTPServer(
            application, ssl_options=make_ssl_context(http.tls), max_header_size=http.max_header,
            max_body_size=http.max_ndjson_body, body_timeout=http.body_timeout,
            idle_connection_timeout=http.idle_timeout)

    metrics = application.dependencies.metrics
    return HTTP1Server(
        application, Limits(
            header_bytes=http.max_header, body_bytes=http.max_body,
            body_memory=http.max_body_memory, min_body_rate=http.min_body_rate,
            idle_timeout=http.idle_timeout, header_timeout=http.header_timeout, body_timeout=http.body_timeout,
            answer_timeout=http.answer_timeout, reader_timeout=http.reader_timeout,
            vanished_timeout=max(VANISHED_TIMEOUT, http.reader_timeout),
            connections=http.max_connections, reserve=RESERVED_CONNECTIONS),
        refuse=refuser(metrics, Policy.of(config)),
        allow_large_body=application.allow_large_body,
        observe_body_memory=metrics.observe_body_memory,
        is_probe=application.is_probe, pass_too_large=True, ssl_context=make_ssl_context(http.tls))


def take_settings(
    server: HTTP1Server | tornado.httpserver.HTTPServer, other: HTTP1Server | tornado.httpserver.HTTPServer
) -> None:
    """Copy the settings of `other`, a server of the same kind, which was made to hold them."""
    if isinstance(server, HTTP1Server) and isinstance(other, HTTP1Server):
        server.take_settings(other)
    elif isinstance(server, tornado.httpserver.HTTPServer) and isinstance(other, tornado.httpserver.HTTPServer):
        # Both apply to new connections.
        server.conn_params, server.ssl_options = other.conn_params, other.ssl_options


async def _drain(
    server: HTTP1Server | tornado.httpserver.HTTPServer, metrics: Metrics, timeout: float
) -> None:
    """Wait until the requests in flight are answered, for at most `timeout` seconds."""
    if isinstance(server, HTTP1Server):
        await server.drain(timeout)
        return
    deadline = asyncio.get_running_loop().time() + timeout
    while metrics.in_flight and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)


def _log(message: str, config: Config, **facts: Any) -> None:
    logger = logging.getLogger(LOGGER_NAME)
    logutils.log(
        logger, logging.INFO, message=message, service_name=config.service_name, **facts)


if __name__ == "__main__":
    sys.exit(main(signals=signals))

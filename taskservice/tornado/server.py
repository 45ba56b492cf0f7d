#!/usr/bin/env python3
"""The composition root: arguments, config, event loop, signals."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # As a script its folder is on the path, where the project should be.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    from taskservice.tornado.signals import Signals
    signals = Signals()  # before the imports that follow, which take their time

import argparse
import asyncio
import errno
import gc
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import tornado.httpserver
import tornado.httputil
import tornado.netutil
import tornado.web
import uvloop

from taskservice import LOGGER_NAME
from taskservice.config import Config, read_config
from taskservice.database.db_engines import create_todolist_db
from taskservice.errors import ConfigError, TodoListError
from taskservice.tornado.access import Access
from taskservice.tornado.app import make_taskservice_app
from taskservice.tornado.http1 import HTTP1Server, Limits
from taskservice.tornado.negotiation import NDJSON
from taskservice.tornado.refusals import refuser
from taskservice.tornado.signals import Signals
from taskservice.tornado.workers import (
    check_sharable, inherited_sockets, on_parent_exit, supervise)
from taskservice.utils import logutils, taskcontext


class _Parser(argparse.ArgumentParser):

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")  # one line, without the usage


def parse_arguments(
    argv: Sequence[str] | None = None, prog: str = "server.py",
    default_config: Path | None = None
) -> argparse.Namespace:
    """Read the command line of `prog`; ends the process, with code 2, when it is wrong.

    Without `default_config` the command line has to name one.
    """
    parser = _Parser(prog=prog, description="Serve a to-do list as a REST microservice.")
    parser.add_argument(
        "--config", type=Path, required=default_config is None, default=default_config,
        metavar="FILE",
        help="the YAML config" + (" (default: %(default)s)" if default_config else ""))
    parser.add_argument(
        "--port", type=_number(0, 65535), default=8080,
        help="the port (default: %(default)s; 0: a free one)")
    parser.add_argument(
        "--host", type=_host, default="localhost",
        help="the name or address to listen on (default: %(default)s)")
    parser.add_argument(
        "--workers", type=_number(1, 1024), default=1, metavar="N",
        help="how many processes serve (default: %(default)s; more need sqlite or postgres)")
    parser.add_argument(
        "--debug", action="store_true", help="show tracebacks to clients and log those of 4xx")
    parser.add_argument(
        "--check-config", action="store_true", help="tell what is wrong with the config, touch nothing, and end")
    parser.add_argument("--inherit", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def _host(text: str) -> str:
    if not text:  # the sockets' word for all addresses, and the shell's for a variable not set
        raise argparse.ArgumentTypeError("expected a name or an address, got ''")
    return text


def _number(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {low} to {high}, got {text!r}")
        return int(text)
    return number


def main(
    argv: Sequence[str] | None = None, prog: str = "server.py",
    default_config: Path | None = None, signals: Signals | None = None
) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    That is 0 after a clean end, 2 when the config is wrong, and 1 when the port or the store
    cannot be had, each told in one line on standard error. The parameters are those of
    parse_arguments; `signals` are those that came since the program began.
    """
    signals = signals or Signals()
    arguments = parse_arguments(argv, prog, default_config)
    try:
        config = _load(arguments.config, arguments.check_config)
        if arguments.check_config:
            check_config(config, arguments.workers)
            return 0
        with asyncio.Runner(loop_factory=_loop_factory(config, arguments)) as runner:
            runner.run(_run(config, arguments, sys.argv[1:] if argv is None else argv, signals))
    except ConfigError as error:
        return _fail(2, str(error))
    except TodoListError as error:
        return _fail(1, str(error))
    return 0


def _load(path: Path, only_check: bool) -> Config:
    config = read_config(path)
    try:
        (logutils.check if only_check else logutils.configure)(config.logging)
    except ValueError as error:
        raise ConfigError(f"{path}: logging: {error}") from error
    return config


def _fail(code: int, reason: str) -> int:
    print(f"taskservice: {reason}", file=sys.stderr)
    return code


def _loop_factory(
    config: Config, arguments: argparse.Namespace
) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's for what serves; it does not let the parent of workers see SIGCHLD."""
    parent = arguments.workers > 1 and not arguments.inherit
    return uvloop.new_event_loop if config.http.server == "taskservice" and not parent else None


async def _run(
    config: Config, arguments: argparse.Namespace, argv: Sequence[str], signals: Signals
) -> None:
    if signals.stopping:
        return  # nothing has begun that would have to be ended
    if arguments.inherit:
        sockets = inherited_sockets(arguments.inherit)
        await serve(config, sockets, arguments.debug, signals, worker=True)
        return
    if arguments.workers > 1:
        check_config(config, arguments.workers)  # else each worker would find out, and again
    sockets = bind(arguments.host, arguments.port)
    if arguments.workers > 1:
        command = [sys.executable, __file__, *argv]
        await supervise(config, sockets, arguments.workers, command, signals)
    else:
        await serve(config, sockets, arguments.debug, signals)


def check_config(config: Config, workers: int) -> None:
    """Raise ConfigError for what is wrong with a config beyond its schema."""
    create_todolist_db(config.task_db)
    _ssl_context(config)
    if workers > 1:
        check_sharable(config)


def bind(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of `host`; raises TodoListError, naming the port, if that fails."""
    try:
        return tornado.netutil.bind_sockets(port, address=host)
    except OSError as error:
        reason = "is in use" if error.errno == errno.EADDRINUSE else error.strerror
        raise TodoListError(f"port {port} on {host}: {reason}") from error


async def serve(
    config: Config, sockets: Sequence[socket.socket], debug: bool, signals: Signals,
    worker: bool = False
) -> None:
    """Serve until a signal; raises ConfigError, StoreError."""
    loop = asyncio.get_running_loop()
    taskcontext.install(loop)
    stopping = asyncio.Event()
    if worker:
        on_parent_exit(loop, stopping.set)
    with signals.delivered(loop.call_soon_threadsafe, stopping.set):
        await _serve(config, sockets, debug, stopping)


async def _serve(
    config: Config, sockets: Sequence[socket.socket], debug: bool, stopping: asyncio.Event
) -> None:
    service, application = make_taskservice_app(config, debug)
    async with service:
        _quiet_collector()
        server = make_server(config, application)
        server.add_sockets(sockets)
        _log("STARTING", config, port=sockets[0].getsockname()[1])
        await stopping.wait()
        _log("SHUTTING DOWN", config)
        application.settings["draining"] = True
        server.stop()
        await service.stop_following()
        await _drain(server, application, config.http.drain_timeout)
        await server.close_all_connections()
    _log("STOPPED", config)


def _quiet_collector() -> None:
    """Keep the cycle collector from what it will not find: a request leaves no cycles behind.

    By default it looks after every 700 new objects, and in a full collection at all that was
    imported, for 40 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20)


def make_server(
    config: Config, application: tornado.web.Application
) -> HTTP1Server | tornado.httpserver.HTTPServer:
    """Make the server that the config names, with its limits."""
    http = config.http
    if http.server == "tornado":
        return tornado.httpserver.HTTPServer(
            application, ssl_options=_ssl_context(config), max_header_size=http.max_header,
            max_body_size=http.max_ndjson_body, body_timeout=http.body_timeout,
            idle_connection_timeout=http.header_timeout)

    settings = application.settings
    access: Access = settings["access"]

    def max_body(
        start_line: tornado.httputil.RequestStartLine, headers: tornado.httputil.HTTPHeaders
    ) -> int | None:
        """Let nobody have much memory whom the handler would turn away."""
        if start_line.method != "POST" or NDJSON not in headers.get("Content-Type", "").lower():
            return None
        if start_line.path.partition("?")[0].removesuffix("/") != "/tasks":
            return None
        try:
            access.check_host(headers.get("Host", "127.0.0.1"))  # HTTP/1.0 need not say it
            access.check_token(headers.get("Authorization"), start_line.method)
        except TodoListError:
            return None
        return http.max_ndjson_body

    return HTTP1Server(
        application, Limits(
            header_bytes=http.max_header, body_bytes=http.max_body,
            header_timeout=http.header_timeout, body_timeout=http.body_timeout,
            answer_timeout=http.answer_timeout, reader_timeout=http.reader_timeout,
            connections=http.max_connections),
        refuse=refuser(settings["metrics"], http.cors_origins), max_body=max_body,
        pass_too_large=True, ssl_context=_ssl_context(config))


def _ssl_context(config: Config) -> ssl.SSLContext | None:
    if (tls := config.http.tls) is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for name, path in tls.items():
        try:
            Path(path).read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"http.tls.{name}: {path}: {reason}") from error

    def no_passphrase() -> str:
        raise ConfigError(f"http.tls.key: {tls['key']} has a passphrase, expected one without")

    try:
        context.load_cert_chain(tls["certificate"], tls["key"], no_passphrase)
    except ssl.SSLError as error:
        raise ConfigError(f"http.tls: {tls['certificate']}, {tls['key']}: {error}") from error
    return context


async def _drain(
    server: HTTP1Server | tornado.httpserver.HTTPServer, application: tornado.web.Application,
    timeout: float
) -> None:
    """Let the requests in flight end, and their answers go out."""
    if isinstance(server, HTTP1Server):
        await server.drain(timeout)
        return
    deadline = asyncio.get_running_loop().time() + timeout
    while application.settings["metrics"].in_flight and (
            asyncio.get_running_loop().time() < deadline):
        await asyncio.sleep(0.02)


def _log(message: str, config: Config, **facts: Any) -> None:
    logger = logging.getLogger(LOGGER_NAME)
    logutils.log(
        logger, logging.INFO, message=message, service_name=config.service_name, **facts)


if __name__ == "__main__":
    sys.exit(main(signals=signals))

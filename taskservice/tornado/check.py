"""`--check-config`: the faults of a config, and what a start with it would do. It changes nothing."""

import argparse
import errno
import socket
from collections.abc import Iterator

from taskservice.config import Config
from taskservice.database.db_engines import create_todolist_db
from taskservice.tornado.tls import make_ssl_context
from taskservice.tornado.workers import check_sharable
from taskservice.utils import log_config


def check_config(config: Config, workers: int) -> None:
    """Raise ConfigError for faults of a config that its schema cannot express."""
    create_todolist_db(config.task_db)
    make_ssl_context(config.http.tls)
    if workers > 1:
        check_sharable(config)


async def describe(config: Config, arguments: argparse.Namespace) -> list[str]:
    """Return the lines that say what a start would do; raises ConfigError, and StoreError for an unusable store.

    A database server is contacted only with `--connect`.
    """
    check_config(config, arguments.workers)
    store = await create_todolist_db(config.task_db).examine(arguments.connect)
    scheme = "http" if config.http.tls is None else "https"
    processes = "1 process" if arguments.workers == 1 else f"{arguments.workers} processes"
    return [
        f"{arguments.config}: ok",
        f"would serve {scheme}://{arguments.host}:{arguments.port}{config.http.base_path} with {processes}",
        f"tasks: {store}",
        *_notes(arguments.host, arguments.port, config)]


def _notes(host: str, port: int, config: Config) -> Iterator[str]:
    for name, path in log_config.fifos(config.logging):
        yield f"note: logging.handlers.{name}: {path} is a FIFO: a start waits until somebody reads it"
    if port and (reason := _why_not(host, port)):
        yield f"note: port {port} on {host} {reason}"


def _why_not(host: str, port: int) -> str | None:
    """Return why the service could not listen there now; None if it could."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        return f"cannot be had: {error.strerror}"
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "is in use, as it is while the service runs"
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # such as IPv6 where there is none
                return f"cannot be had: {error.strerror}"
    return None

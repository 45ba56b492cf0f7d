"""The options of `serve`, on the command line and in the environment."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from taskservice.utils.arguments import Parser


class _Option(NamedTuple):
    """An option that an environment variable can set.

    The names avoid TASKSERVICE_PORT, which Kubernetes sets in each pod beside a Service named taskservice.
    """

    variable: str
    kind: Callable[[str], Any]
    default: Any
    metavar: str
    help: str


def _host(text: str) -> str:
    if not text:  # means all addresses to a socket, but may be an unset variable of the shell
        raise argparse.ArgumentTypeError("expected a name or an address, got ''")
    return text


def _number(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"expected a whole number from {low} to {high}, got {text!r}")
        return int(text)
    return number


def parse_arguments(
    argv: Sequence[str] | None = None, prog: str = "server.py", default_config: Path | None = None,
    environment: Mapping[str, str] = os.environ
) -> argparse.Namespace:
    """Parse the command line of `prog`; ends the process, with code 2, if it is wrong.

    A missing option comes from its variable; an empty variable counts as unset. Without `default_config` the command
    line or the environment has to name a config.
    """
    options = {
        "config": _Option("TASKSERVICE_CONFIG", Path, default_config, "FILE", "the YAML config"),
        "port": _Option("TASKSERVICE_LISTEN_PORT", _number(0, 65535), 8080, "PORT", "the port; 0: a free one"),
        "host": _Option("TASKSERVICE_LISTEN_HOST", _host, "localhost", "HOST", "the name or address to listen on"),
        "workers": _Option("TASKSERVICE_WORKERS", _number(1, 1024), 1, "N",
                           "how many processes serve; more than one needs sqlite or postgres")}
    parser = Parser(prog=prog, description="Serve a to-do list as a REST microservice.")
    for name, option in options.items():
        default = f"${option.variable}" + ("" if option.default is None else f", else {option.default}")
        parser.add_argument(
            f"--{name}", type=option.kind, metavar=option.metavar, help=f"{option.help} (default: {default})")
    parser.add_argument(
        "--debug", action="store_true", help="show tracebacks to clients and log those of 4xx")
    parser.add_argument(
        "--check-config", action="store_true",
        help="report errors of the config and what a start would do, then exit; changes nothing")
    parser.add_argument(
        "--connect", action="store_true", help="with --check-config: ask the database server, too")
    parser.add_argument("--inherit", help=argparse.SUPPRESS)
    parser.add_argument("--inherit-config", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    for name, option in options.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, _from_environment(parser, option, environment))
    if arguments.config is None:
        parser.error("expected --config FILE, or TASKSERVICE_CONFIG in the environment")
    return arguments


def _from_environment(parser: Parser, option: _Option, environment: Mapping[str, str]) -> Any:
    if not (value := environment.get(option.variable)):
        return option.default
    try:
        return option.kind(value)
    except argparse.ArgumentTypeError as error:
        parser.error(f"{option.variable}: {error}")

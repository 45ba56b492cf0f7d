"""The command `taskservice`, also as `python -m taskservice`: serve, export, import, token, openapi.

`run.py` of a checkout has the same commands and hands them on to here. Nothing but the standard library is imported
before a command needs it, and `serve` listens for signals before it imports anything else.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from taskservice.utils.arguments import Parser


def serve(prog: str, args: Sequence[str]) -> int:
    """Serve in this process; the options are the server's own."""
    from taskservice.tornado.signals import Signals
    signals = Signals()  # before the slow imports that follow
    from taskservice import shared_folder
    from taskservice.tornado.server import main as serve_main
    return serve_main(args, prog, shared_folder("configs") / "todoList-serve.yaml", signals)


def export(prog: str, args: Sequence[str]) -> int:
    """Write all tasks of a running service to a file."""
    parser = _transfer_parser(
        prog, "Write all tasks of a running service to a file, one line of JSON each. The file is replaced only when"
        " the whole answer has arrived; otherwise it stays as it was.")
    parser.add_argument(
        "file", metavar="FILE",
        help="where to write; - is standard output, and a FIFO or a device is written as the tasks come")
    return _transfer("export", parser.parse_args(args))


def import_(prog: str, args: Sequence[str]) -> int:
    """Create the tasks of a file in a running service."""
    parser = _transfer_parser(
        prog, "Create the tasks of a file in a running service. All lines are checked first. A task with an id is"
        " created once, and passed over where it is there already and the same; lines without ids create nothing more"
        " when they are imported again within 24 hours. The same command goes on where an earlier one stopped:"
        " FILE.import records how far it came, and is removed at the end.")
    parser.add_argument(
        "file", metavar="FILE",
        help="the tasks, one line of JSON each, as export writes them or without ids, or the JSON of GET /tasks;"
        " - is standard input, which cannot be resumed")
    return _transfer("import", parser.parse_args(args))


def _transfer_parser(prog: str, description: str) -> Parser:
    parser = Parser(
        prog=prog, description=description,
        epilog="A token is read from TASKSERVICE_TOKEN; SSL_CERT_FILE names the authorities to trust.")
    parser.add_argument(
        "--url", default="http://localhost:8080", help="the service, with its base path (default: %(default)s)")
    return parser


def _transfer(command: str, options: argparse.Namespace) -> int:
    from taskservice.client.commands import main as transfer_main
    return transfer_main(command, options.url, options.file)


def token(prog: str, args: Sequence[str]) -> int:
    """Make a token and print it once, together with the entry to add to the config."""
    parser = Parser(prog=prog, description="Make a token for a client of the service.")
    parser.add_argument("name", metavar="NAME", help="the owner, for the log: 1-64 letters, digits, '.', '_', '-'")
    parser.add_argument("--scope", choices=("read", "write"), required=True, help="what the token allows")
    options = parser.parse_args(args)
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", options.name):
        parser.error(f"argument NAME: expected 1-64 letters, digits, '.', '_' or '-', got {options.name!r}")
    from taskservice.http.access import hash_token, new_token
    secret = new_token()
    entry = f"{{name: '{options.name}', scope: {options.scope}, sha256: '{hash_token(secret).hex()}'}}"
    print(f"The token, shown only this once:\n\n    {secret}\n")
    print(f"Add this to your config:\n\nauth:\n  tokens:\n  - {entry}")
    return 0


def openapi(prog: str, args: Sequence[str]) -> int:
    """Print the OpenAPI document as JSON, as `/openapi.json` serves it."""
    Parser(prog=prog, description="Print the OpenAPI document of the service's API as JSON.").parse_args(args)
    from taskservice.tornado.documents.openapi import document
    print(document().decode(), flush=True)
    return 0


class Command(NamedTuple):
    """A command: its function, which gets the program's name and the arguments, and its line in the help."""

    run: Callable[[str, Sequence[str]], int]
    arguments: str
    help: str


COMMANDS = {
    "serve": Command(serve, "[server options]", "start the service (serve --help: its options)"),
    "export": Command(export, "FILE [--url URL]", "write all tasks of a running service to a file"),
    "import": Command(import_, "FILE [--url URL]", "create the tasks of a file; resumes where it stopped"),
    "token": Command(token, "NAME --scope read|write", "make a token for a client of the service"),
    "openapi": Command(openapi, "", "print the OpenAPI document of the API"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0 success, 1 failure, 2 a wrong command line, 130 interrupted."""
    name, *args = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help", "help"):
        lines = [f"  {f'{name} {command.arguments}':<31} {command.help}" for name, command in COMMANDS.items()]
        print("\n".join(["usage: taskservice COMMAND [arguments]", "", *lines, "  --version"]))
        return 0
    if name == "--version":
        from taskservice import __version__, code
        print(f"taskservice {__version__} ({code()})")
        return 0
    if name not in COMMANDS:
        print(f"taskservice: no command {name!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return run("taskservice", name, args)


def run(program: str, name: str, args: Sequence[str]) -> int:
    """Run one of COMMANDS under the name of the program that the user called; return its exit code (see main)."""
    try:
        return COMMANDS[name].run(f"{program} {name}", args)
    except KeyboardInterrupt:
        return 130  # as shells report a command that Ctrl-C ended
    except BrokenPipeError:  # the reader of standard output has gone, as with `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())

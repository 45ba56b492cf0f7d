"""The commands `export` and `import`: their messages and exit codes."""

import sys
from contextlib import suppress

from taskservice.client.errors import TransferError, counted
from taskservice.client.export import export_tasks, is_standard_output
from taskservice.client.import_ import import_tasks


def main(command: str, url: str, file: str) -> int:
    """Run `export` or `import`, and return its exit code (see `errors`)."""
    try:
        message = _export(url, file) if command == "export" else _import(url, file)
    except KeyboardInterrupt:
        print(f"{command}: interrupted", file=sys.stderr)
        return 130
    except TransferError as error:
        if str(error):
            print(f"{command}: {error}", file=sys.stderr)
        return error.code
    _say(message, on_stderr=command == "export" and is_standard_output(file))
    return 0


def _export(url: str, file: str) -> str:
    return f"exported {counted(export_tasks(url, file), 'task')}"


def _import(url: str, file: str) -> str:
    result = import_tasks(url, file)
    known = f", {result.known} already imported" if result.known else ""
    return f"imported {counted(result.created, 'task')}{known}"


def _say(message: str, on_stderr: bool) -> None:
    with suppress(OSError):  # nobody reads standard output; the work goes on
        print(message, file=sys.stderr if on_stderr else sys.stdout, flush=True)

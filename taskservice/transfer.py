"""All tasks into a file and back, over HTTP: `run.py export` and `run.py import`.

The file has a line of JSON a task, `{"id", "revision", "task"}`; a line that is just a task can be
imported too, and gets an id.
"""

import http.client
import json
import os
import re
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, urlsplit

from tqdm import tqdm

from taskservice.errors import InvalidTaskError, TodoListError
from taskservice.ndjson import parse_batch

NDJSON = "application/x-ndjson"
BATCH_LINES = 1_000
BATCH_BYTES = 4 * 1024 * 1024
"""What one request of an import has at the most; a single longer line goes alone."""

TIMEOUT = 60.0
RETRIES = (0.5, 1.0, 2.0, 4.0)
"""Seconds to wait before each further try, where the service is away."""


class TransferError(TodoListError):
    """The tasks did not get across, or not all of them; the message says how to go on."""


class OptionError(TransferError):
    """An option or a variable is wrong; the message names it, and what was expected."""


class _AwayError(TransferError):
    """The service cannot be reached for now."""


class Client:
    """A connection to the service, made when it is needed, and anew when it broke.

    Raises OptionError for what is no URL of a service, and for a token that cannot be sent.
    """

    def __init__(self, url: str) -> None:
        parts = _split(url)
        self.url = url
        self._path = parts.path.rstrip("/")
        self._access = _access(os.environ.get("TASKSERVICE_TOKEN"))
        kind = http.client.HTTPConnection if parts.scheme == "http" else (
            http.client.HTTPSConnection)
        self._connection: http.client.HTTPConnection = kind(
            parts.hostname or "", parts.port or kind.default_port, timeout=TIMEOUT)

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> http.client.HTTPResponse:
        """Send a request; raises TransferError when the service is away."""
        try:
            self._connection.request(
                method, self._path + path, body, {**headers, **self._access})
            response = self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise _AwayError(f"{self.url}: {error or type(error).__name__}") from error
        if response.status == 503:
            response.read()
            raise _AwayError(f"{self.url}: {response.status} {response.reason}")
        return response


def _split(url: str) -> SplitResult:
    with suppress(ValueError):  # a port that is no number, a host that cannot be one
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        sendable = re.fullmatch("[!-~]+", host + parts.path)
        if parts.scheme in ("http", "https") and host and parts.port != 0 and sendable:
            return parts
    raise OptionError(f"--url: expected http://HOST:PORT, got {url!r}")


def _access(token: str | None) -> dict[str, str]:
    if not token:
        return {}
    if not (token.isascii() and token.isprintable()):  # the token itself is not to be shown
        raise OptionError("TASKSERVICE_TOKEN: expected a token of printable ASCII characters")
    return {"Authorization": f"Bearer {token}"}


def export_tasks(url: str, target: Path) -> int:
    """Write all tasks to `target`, and return how many; it is there whole, or as it was before.

    Raises TransferError.
    """
    response = Client(url).request("GET", "/tasks", {"Accept": NDJSON})
    _check(response, 200)
    partial = target.with_name(f"{target.name}.part")
    try:
        with partial.open("wb") as file:
            count = _copy_lines(response, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except (OSError, http.client.HTTPException) as error:
        partial.unlink(missing_ok=True)
        raise TransferError(f"the export broke off, {target} is as it was: {error!r}") from error
    return count


def _copy_lines(response: http.client.HTTPResponse, file: BinaryIO) -> int:
    count = 0
    with tqdm(unit=" tasks", desc="export", disable=None) as progress:
        while chunk := response.read1(1 << 16):
            file.write(chunk)
            lines = chunk.count(b"\n")
            count += lines
            progress.update(lines)
    return count


@dataclass(frozen=True)
class ImportState:
    """How far an import is, kept beside its file until it is done."""

    url: str
    size: int
    mtime_ns: int
    run: str
    offset: int = 0
    line: int = 0
    """How many lines are done."""


@dataclass(frozen=True)
class Lines:
    """The lines of a file that go into one request."""

    body: bytes
    end: int
    """The offset after them."""
    first: int
    count: int


def import_tasks(url: str, source: Path) -> int:
    """Create all tasks of `source`, and return how many; goes on where an earlier call stopped.

    All lines are checked before the first is sent. Each request has an Idempotency-Key that stays
    the same when it is repeated, also by a later call (within 24 hours), so that no task is
    created twice. Raises TransferError.
    """
    client = Client(url)
    try:
        state = _begin(url, source)
        _check_lines(source, state)
        return _send(client, source, state)
    except OSError as error:
        raise TransferError(f"{error.filename or source}: {error.strerror}") from error


def _state_file(source: Path) -> Path:
    return source.with_name(f"{source.name}.import")


def _begin(url: str, source: Path) -> ImportState:
    found = source.stat()
    fresh = ImportState(url, found.st_size, found.st_mtime_ns, uuid.uuid4().hex)
    kept = _state_file(source)
    if not kept.exists():
        return fresh
    state = ImportState(**json.loads(kept.read_text()))
    if replace(state, run=fresh.run, offset=0, line=0) != fresh:
        raise TransferError(
            f"{kept} is of an import of another file, or to another service: to go on with that, "
            "put the file back and name that service; to begin anew, remove it")
    return state


def _batches(source: Path, state: ImportState) -> Iterator[Lines]:
    """Go through the lines that are yet to be done, as many at a time as one request has."""
    with source.open("rb") as file:
        file.seek(state.offset)
        offset, line = state.offset, state.line
        while lines := _read_lines(file):
            body = b"".join(lines)
            offset += len(body)
            yield Lines(body, offset, line + 1, len(lines))
            line += len(lines)


def _read_lines(file: BinaryIO) -> list[bytes]:
    lines: list[bytes] = []
    size = 0
    while len(lines) < BATCH_LINES and size < BATCH_BYTES and (line := file.readline()):
        lines.append(line)
        size += len(line)
    return lines


def _check_lines(source: Path, state: ImportState) -> None:
    ids: set[str] = set()
    for lines in _batches(source, state):
        if not lines.body.strip():
            continue
        try:
            batch = parse_batch(lines.body)
        except InvalidTaskError as error:
            problems = [(v.pointer, v.detail) for v in error.violations]
            raise TransferError(f"nothing was sent. {_located(source, lines, problems)}") from error
        for (task_id, _), number in zip(batch.tasks, batch.lines):
            if task_id in ids:  # the service sees one request at a time, and would find it too late
                problems = [(f"/{number}/id", "an earlier line has this id")]
                raise TransferError(f"nothing was sent. {_located(source, lines, problems)}")
        ids.update(task_id for task_id, _ in batch.tasks if task_id is not None)


def _located(source: Path, lines: Lines, problems: Sequence[tuple[str, str]]) -> str:
    """Tell the first problem by its line in the file: a pointer begins with that of the request."""
    pointer, detail = problems[0]
    _, number, *rest = pointer.split("/")
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{source}:{lines.first + int(number) - 1}: /{'/'.join(rest)}: {detail}{more}"


def _send(client: Client, source: Path, state: ImportState) -> int:
    count = 0
    with tqdm(
        unit="B", unit_scale=True, desc="import", total=state.size, initial=state.offset,
        disable=None
    ) as progress:
        for lines in _batches(source, state):
            _keep(source, state)  # before it is sent: another run would have another key
            if lines.body.strip():
                count += _send_batch(client, source, state, lines)
            state = replace(state, offset=lines.end, line=lines.first + lines.count - 1)
            progress.update(len(lines.body))
    _state_file(source).unlink(missing_ok=True)
    return count


def _keep(source: Path, state: ImportState) -> None:
    kept = _state_file(source)
    partial = kept.with_name(f"{kept.name}.part")
    with partial.open("w") as file:
        json.dump(asdict(state), file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(kept)


def _send_batch(client: Client, source: Path, state: ImportState, lines: Lines) -> int:
    headers = {"Content-Type": NDJSON, "Idempotency-Key": f'"{state.run}-{state.offset}"'}
    again = f"{state.line} lines are done; the same command goes on from there"
    for delay in (*RETRIES, None):
        try:
            response = client.request("POST", "/tasks", headers, lines.body)
            break
        except _AwayError as error:
            if delay is None:
                raise TransferError(f"{error}. {again}") from error
            time.sleep(delay)
    if response.status == 400:
        if state.offset == 0:
            _state_file(source).unlink()  # nothing is done yet that could be gone on with
        answer = json.loads(response.read())
        problems = [(v["pointer"], v["detail"]) for v in answer.get("errors", [])]
        if problems:
            raise TransferError(f"{_located(source, lines, problems)}. {again}")
    _check(response, 200, again)
    return response.read().count(b"\n")


def _check(response: http.client.HTTPResponse, expected: int, again: str = "") -> None:
    if response.status != expected:
        answer = f"the service answered {response.status} {response.reason}"
        if response.status == 401:
            answer += ": TASKSERVICE_TOKEN has no token that it knows"
        raise TransferError(f"{answer}. {again}" if again else answer)


def main(command: str, url: str, file: Path) -> int:
    """Run `export` or `import`; return the exit code: 1 when it failed, 2 for a wrong option."""
    action = export_tasks if command == "export" else import_tasks
    try:
        count = action(url, file)
    except TransferError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return 2 if isinstance(error, OptionError) else 1
    print(f"{command}ed {count} tasks")
    return 0

"""`run.py export`: all tasks of a service to a file, to standard output, or to another writable target."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import orjson
from tqdm import tqdm

from taskservice.client.connection import Client
from taskservice.client.errors import BrokenAnswerError, InterruptedByUser, ReaderLeftError, TransferError, reason
from taskservice.client.files import flush_folder, remove_leftovers, replacing

TRIPLE = {"id", "revision", "task"}
STDOUT = 1


def export_tasks(url: str, target: str) -> int:
    """Write all tasks to `target`, and return how many.

    A file is replaced at the end, and only by a complete answer. `-` is standard output, which is written as the tasks
    come; so is anything that is no regular file, such as a FIFO. Raises TransferError.
    """
    with Client(url) as client, _opened(target) as file:
        return _copy(client.get("/tasks"), file)


def is_standard_output(target: str) -> bool:
    """Return whether `target` is standard output, by any name."""
    if target == "-":
        return True
    try:
        return os.path.samestat(os.stat(target), os.fstat(STDOUT))
    except OSError:
        return False


@contextmanager
def _opened(target: str) -> Iterator[BinaryIO]:
    if is_standard_output(target):
        with _streamed("standard output", STDOUT) as file:
            yield file
    elif _is_replaced(target):
        with _replaced(target) as file:
            yield file
    else:
        with _streamed(target, target) as file:
            yield file


def _is_replaced(target: str) -> bool:
    """Return whether `target` is, or will be, a regular file; raises TransferError if it cannot be one."""
    try:
        found = os.stat(target)
    except FileNotFoundError as error:
        if target.endswith("/") or not os.path.isdir(os.path.dirname(os.path.realpath(target))):
            raise TransferError(f"{target}: the folder does not exist") from error
        return True
    except OSError as error:
        raise TransferError(f"{target}: {reason(error)}") from error
    if stat.S_ISDIR(found.st_mode):
        raise TransferError(f"{target} is a folder")
    if not os.access(target, os.W_OK):  # its folder may still allow to replace it
        raise TransferError(f"{target}: no permission to write it")
    return stat.S_ISREG(found.st_mode) and os.path.exists(os.path.realpath(target))


@contextmanager
def _replaced(target: str) -> Iterator[BinaryIO]:
    path = Path(os.path.realpath(target))  # keep a symbolic link
    begun = False
    try:
        remove_leftovers(path)
        with replacing(path) as file:
            begun = True
            try:
                yield file
            except KeyboardInterrupt as error:
                raise InterruptedByUser(f"interrupted, {target} is as it was") from error
    except BrokenAnswerError as error:
        raise TransferError(f"the export broke off, {target} is as it was: {error}") from error
    except OSError as error:
        if begun:
            raise TransferError(f"the export broke off, {target} is as it was: {reason(error)}") from error
        raise TransferError(
            f"{target}: cannot make a file beside it, to take its place: {reason(error)}. "
            "`export -` needs none") from error
    try:
        flush_folder(path.parent)
    except OSError as error:
        raise TransferError(f"{target} is exported, but a power cut may undo that: {reason(error)}") from error


@contextmanager
def _streamed(name: str, target: str | int) -> Iterator[BinaryIO]:
    """Open a target that is written as the tasks come, and is complete only at the end."""
    outcome = f"what was written to {name} is not whole"
    try:
        stream = open(target, "wb", closefd=target != STDOUT)
    except OSError as error:
        raise TransferError(f"{name}: {reason(error)}") from error
    try:
        with stream:
            yield stream
    except KeyboardInterrupt as error:
        raise InterruptedByUser(f"interrupted, {outcome}") from error
    except BrokenAnswerError as error:
        raise TransferError(f"the export broke off, {outcome}: {error}") from error
    except OSError as error:
        if target == STDOUT and isinstance(error, BrokenPipeError):
            raise ReaderLeftError() from error
        raise TransferError(f"the export broke off, {outcome}: {reason(error)}") from error


def _copy(body: Iterable[bytes], file: BinaryIO) -> int:
    """Write the lines of an export; return how many."""
    count = 0
    with tqdm(unit=" tasks", desc="export", disable=file.isatty() or None) as progress:
        for lines in exported_lines(body):
            file.write(b"\n".join((*lines, b"")))
            count += len(lines)
            progress.update(len(lines))
    return count


def exported_lines(body: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield the lines of an export as they come, each a task with its id and revision.

    Raises BrokenAnswerError for a line without an end, and for one with other content.
    """
    rest = b""
    done = 0
    for chunk in body:
        *lines, rest = (rest + chunk).split(b"\n")
        for number, line in enumerate(lines, done + 1):
            _check_line(number, line)
        done += len(lines)
        yield lines
    if rest:
        raise BrokenAnswerError(f"the answer ends in the middle of line {done + 1}")


def _check_line(number: int, line: bytes) -> None:
    try:
        document = orjson.loads(line)
        if document.keys() == TRIPLE:
            return
    except (ValueError, AttributeError):
        pass
    raise BrokenAnswerError(f"line {number} of the answer is not a task with its id and revision")

"""The source of an import: a file of NDJSON, in any supported form, and its lines in pieces for one request each."""

import json
import os
import re
import shlex
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import orjson

from taskservice.client.errors import TransferError, one_line, reason

MAX_LINES = 1_000
MAX_BYTES = 1_000_000
"""Maximum size of one request of an import; a longer line goes alone. nginx accepts 1 MiB by default."""

STDIN = 0
CHUNK = 1 << 16

HEAD = 4_096
"""How many bytes are enough to recognise a file's format."""

BOM = b"\xef\xbb\xbf"

COMPRESSED: Mapping[bytes, tuple[str, str]] = {
    b"\x1f\x8b": ("gzip", "gunzip -c"),
    b"BZh": ("bzip2", "bunzip2 -c"),
    b"\xfd7zXZ\0": ("xz", "unxz -c"),
    b"\x28\xb5\x2f\xfd": ("Zstandard", "unzstd -c"),
    b"PK\x03\x04": ("zip", "unzip -p"),
}
"""The first bytes of compressed files: the format, and the command that unpacks it to standard output."""

_OBJECT_OF_TASKS = re.compile(rb'\s*\{\s*(?:"(?!task")[^"\\]*"\s*:\s*\{|\}\s*\Z)')
"""The beginning of the JSON object of `GET /tasks`: neither a task nor a triple has an object as its first member."""


def is_blank(line: bytes) -> bool:
    """Return whether a line is empty."""
    return not line.removeprefix(BOM).strip(b" \t\r\n")


@dataclass(frozen=True)
class Piece:
    """Lines that are sent in one request."""

    lines: tuple[bytes, ...]
    offset: int
    """Their offset in bytes."""
    first: int
    """The number of the first line, from 1."""

    @property
    def body(self) -> bytes:
        """Return them as a body, without the BOMs of files that were joined."""
        return b"".join(line.removeprefix(BOM) for line in self.lines)

    @property
    def count(self) -> int:
        """Return how many of them have a task."""
        return sum(not is_blank(line) for line in self.lines)

    @property
    def end(self) -> int:
        """Return the offset of their end, in bytes."""
        return self.offset + sum(map(len, self.lines))


@dataclass(frozen=True)
class Source:
    """A seekable file of NDJSON to import, and the names of its parts for messages."""

    name: str
    file: BinaryIO
    path: Path | None
    """Its path, if a later call can read it again."""
    unit: str = "line"

    def pieces(self, offset: int = 0, line: int = 0) -> Iterator[Piece]:
        """Yield the lines from an offset on, `line` lines being before it, in pieces for one request each."""
        while piece := self.piece(offset, line):
            yield piece
            offset, line = piece.end, line + len(piece.lines)

    def piece(self, offset: int, line: int, most: int = MAX_LINES) -> Piece | None:
        """Return up to `most` lines; None at the end."""
        self.file.seek(offset)
        lines: list[bytes] = []
        size = 0
        while len(lines) < most and (text := self.file.readline()):
            size += len(text)
            if lines and size > MAX_BYTES:
                break
            lines.append(text)
        return Piece(tuple(lines), offset, line + 1) if lines else None

    def where(self, number: int) -> str:
        """Name a line."""
        return f"{self.name}:{number}" if self.unit == "line" else f"{self.name}: {self.unit} {number}"

    def problem(self, piece: Piece, pointer: str, detail: str) -> str:
        """Describe a fault in a piece: a pointer into its body begins with the number of a line."""
        match = re.fullmatch("/([1-9][0-9]{0,8})(/.*)?", pointer, re.DOTALL)
        if match is None or int(match[1]) > len(piece.lines):
            return f"{self.where(piece.first)}: {one_line(detail)}"
        number = int(match[1])
        where = self.where(piece.first + number - 1)
        try:
            piece.lines[number - 1].decode()
        except UnicodeDecodeError as error:
            return (f"{where}: byte {error.start + 1} is not UTF-8; if it is ISO-8859-1 (latin-1): "
                    f"{_piped(self, 'iconv -f ISO-8859-1 -t UTF-8')}")
        return f"{where}: {one_line(match[2] or '/')}: {one_line(detail)}"


@contextmanager
def opened(source: str) -> Iterator[Source]:
    """Open a file, or `-` for standard input; raises TransferError if it cannot be imported.

    Input that cannot be read twice is copied to a temporary file, and so are the tasks of a JSON object or array.
    """
    name = "standard input" if is_standard_input(source) else source
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(STDIN, "rb", closefd=False) if name != source else open(source, "rb"))
            kept = name == source and stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            seekable = file if kept else _copied(stack, name, iter(lambda: file.read(CHUNK), b""))
            yield _recognised(stack, Source(name, seekable, Path(source) if kept else None))
        except OSError as error:
            raise TransferError(f"{name}: {reason(error)}") from error


def is_standard_input(source: str) -> bool:
    """Return whether `source` is standard input, by any name."""
    if source == "-":
        return True
    try:
        return os.path.samestat(os.stat(source), os.fstat(STDIN))
    except OSError:
        return False


def _copied(stack: ExitStack, name: str, chunks: Iterable[bytes]) -> BinaryIO:
    """Copy to a temporary file, which has no name and vanishes with this process."""
    try:
        copy = stack.enter_context(tempfile.TemporaryFile())
        for chunk in chunks:
            copy.write(chunk)
        copy.seek(0)
        return copy
    except OSError as error:
        raise TransferError(f"{name} cannot be copied to a temporary file: {reason(error)}") from error


def _recognised(stack: ExitStack, source: Source) -> Source:
    """Return the source with one task a line; raises TransferError for other encodings, and for compressed files."""
    head = source.file.read(HEAD)
    source.file.seek(0)
    _check_encoding(source, head)
    text = head.removeprefix(BOM)
    if _OBJECT_OF_TASKS.match(text) or text.lstrip().startswith(b"["):
        return replace(source, file=_copied(stack, source.name, _task_lines(source)), unit="task")
    return source


def _check_encoding(source: Source, head: bytes) -> None:
    for start, (form, unpack) in COMPRESSED.items():
        if head.startswith(start):
            raise TransferError(f"{source.name} is compressed ({form}): {_piped(source, unpack)}")
    encoding = re.sub("-([BL]E)$", r"\1", json.detect_encoding(head).upper())  # as iconv names it
    if not encoding.startswith("UTF-8"):
        raise TransferError(f"{source.name} is {encoding}: {_piped(source, f'iconv -f {encoding} -t UTF-8')}")


def _piped(source: Source, command: str) -> str:
    """Return a command line that imports the output of `command` on the source."""
    file = f" {shlex.quote(str(source.path))}" if source.path else ""
    return f"{command}{file} | run.py import -"


def _task_lines(source: Source) -> Iterator[bytes]:
    """Yield the tasks of a JSON array, or of the object that `GET /tasks` returns, one a line."""
    try:
        document = orjson.loads(source.file.read().removeprefix(BOM))
    except orjson.JSONDecodeError as error:
        raise TransferError(
            f"{source.name} begins as a JSON array or the JSON object of GET /tasks, and is not whole or goes on: "
            f"{one_line(error)}") from error
    tasks = document if isinstance(document, list) else (
        {"id": task_id, "task": task} for task_id, task in document.items())
    return (orjson.dumps(task) + b"\n" for task in tasks)

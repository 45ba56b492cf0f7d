"""`run.py import`: the tasks of a file to a service, each once, however often it is interrupted."""

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b, sha256
from typing import Any

import orjson
from tqdm import tqdm

from taskservice.client.answers import Answer
from taskservice.client.connection import Client
from taskservice.client.errors import InterruptedByUser, TransferError, counted, reason
from taskservice.client.export import exported_lines
from taskservice.client.progress import Progress, ProgressFile
from taskservice.client.source import BOM, CHUNK, Piece, Source, is_blank, opened
from taskservice.errors import InvalidTaskError
from taskservice.http.ndjson import parse_batch


@dataclass
class Imported:
    """The result of an import."""

    created: int = 0
    known: int = 0
    """How many tasks existed already, equal to those in the file."""


def import_tasks(url: str, source: str) -> Imported:
    """Create all tasks of a file, or of `-`, standard input; resume where an earlier call stopped.

    All lines are checked before the first is sent. A task with an id is created once, and skipped if it exists already
    and is equal. Lines without ids have an Idempotency-Key made of the content of the file up to them, and requests of
    their own, so that the same lines create nothing more within 24 hours. Raises TransferError.
    """
    with Client(url) as client, opened(source) as found:
        import_ = _Import(client, found)
        import_.check()
        import_.send()
        return import_.result


class _Import:

    def __init__(self, client: Client, source: Source) -> None:
        self.result = Imported()
        self._client, self._source = client, source
        self._progress = Progress(client.url)
        self._hash = sha256()
        """Counts everything done so far."""
        self._ids: set[str] = set()
        """The ids in the file."""
        self._has_bare = False
        """Whether a line has no id."""
        self._existing: dict[str, bytes] | None = None
        """Digests of the service's tasks that have an id of the file; None until one was in the way."""
        self._file = source.path and ProgressFile(source.path)

    # --- Before anything is sent ---

    def check(self) -> None:
        """Find where to resume, and check all lines from there; raises TransferError."""
        try:
            self._find_progress()
            for piece in self._source.pieces(self._progress.offset, self._progress.line):
                self._check_piece(piece)
        except KeyboardInterrupt as error:
            raise InterruptedByUser("interrupted, nothing was sent") from error

    def _find_progress(self) -> None:
        kept = self._file and self._file.load()
        if not kept or not self._file:
            return
        self._source.file.seek(0)
        left = kept.offset
        while chunk := self._source.file.read(min(left, CHUNK)):
            self._hash.update(chunk)
            left -= len(chunk)
        if (kept.url, kept.done) != (self._progress.url, self._hash.hexdigest()):
            raise TransferError(
                f"{self._file.path} is of an import to {kept.url}, of a file that began otherwise. {self._file.anew}")
        self._progress = kept

    def _check_piece(self, piece: Piece) -> None:
        if not piece.count:
            return
        try:
            batch = parse_batch(piece.body)
        except InvalidTaskError as error:
            violations = [(v.pointer, v.detail) for v in error.violations]
            raise TransferError(f"nothing was sent. {self._problem(piece, violations)}") from error
        for task_id, number in zip(batch.ids, batch.lines):
            if task_id in self._ids:  # the service sees one request at a time, and would notice too late
                violations = [(f"/{number}/id", "an earlier line has this id")]
                raise TransferError(f"nothing was sent. {self._problem(piece, violations)}")
            self._note_id(task_id)

    def _note_id(self, task_id: str | None) -> None:
        if task_id is None:
            self._has_bare = True
        else:
            self._ids.add(task_id)

    def _problem(self, piece: Piece, violations: Sequence[tuple[str, str]]) -> str:
        """Describe the first violation, and how many more there are."""
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        return f"{self._source.problem(piece, *violations[0])}{more}"

    # --- Sending ---

    def send(self) -> None:
        """Send the rest; raises TransferError, which says how to resume."""
        try:
            self._send_all()
        except KeyboardInterrupt as error:
            raise InterruptedByUser(f"interrupted. {self._how_to_go_on()}") from error
        except OSError as error:
            raise TransferError(f"{self._source.name}: {reason(error)}. {self._how_to_go_on()}") from error
        except TransferError as error:
            raise TransferError(f"{error}. {self._how_to_go_on()}") from error

    def _send_all(self) -> None:
        size = self._source.file.seek(0, os.SEEK_END)
        with tqdm(
            unit="B", unit_scale=True, desc="import", total=size, initial=self._progress.offset, disable=None
        ) as bar:
            while piece := self._source.piece(self._progress.offset, self._progress.line, self._progress.most):
                if self._file and self._progress.offset:
                    self._file.save(self._progress)
                if self._send(piece):
                    self._advance(piece)
                    bar.update(piece.end - piece.offset)
        if self._file:
            self._file.remove()

    def _advance(self, piece: Piece) -> None:
        for line in piece.lines:
            self._hash.update(line)
        self._progress = replace(
            self._progress, offset=piece.end, line=self._progress.line + len(piece.lines), done=self._hash.hexdigest())

    def _how_to_go_on(self) -> str:
        count = self._progress.line
        done = f"{counted(count, self._source.unit)} {'is' if count == 1 else 'are'} done"
        if self._file and not self._file.error:
            return f"{done}; the same command goes on from there"
        why = f" ({self._file.path}: {self._file.error})" if self._file else ""
        return (f"{done}; {self._source.name} cannot be resumed{why}, but the same tasks again, within 24 hours, "
                "create nothing twice")

    def _send(self, piece: Piece) -> bool:
        """Send a piece; return whether it is done, or else has to be sent differently.

        Tasks with ids go first, and need no key that a later call repeats: they are compared, and have to be created
        again if they were deleted since. The key of those without ids must not depend on what exists.
        """
        with_ids, bare = self._split(piece)
        new = self._without_existing(with_ids)
        for part, key in ((new, uuid.uuid4().hex), (bare, self._key(bare))):
            if not part.count:
                continue
            answer = self._client.post("/tasks", {"Idempotency-Key": f'"{key}"'}, part.body)
            if self._existing is None and _is_taken(answer):
                self._find_existing()
                return False
            if answer.status == 413:
                self._halve(piece, answer)
                return False
            self._check_answer(part, answer)
        self.result.known += with_ids.count - new.count
        return True

    def _split(self, piece: Piece) -> tuple[Piece, Piece]:
        """Return the lines with ids and those without, with empty lines in place of the others."""
        nothing = replace(piece, lines=())
        if not self._has_bare:
            return piece, nothing
        if not self._ids:
            return nothing, piece
        have_ids = [not is_blank(line) and _has_id(line) for line in piece.lines]
        parts = (
            tuple(line if has_id is wanted else b"\n" for has_id, line in zip(have_ids, piece.lines))
            for wanted in (True, False))
        with_ids, bare = (replace(piece, lines=lines) for lines in parts)
        return with_ids, bare

    def _key(self, piece: Piece) -> str:
        """Make a key of the file's content up to the end of a piece."""
        content = self._hash.copy()
        content.update(piece.body)
        return f"{content.hexdigest()}-{piece.offset}"

    def _halve(self, piece: Piece, answer: Answer) -> None:
        """Send fewer lines from now on; raises TransferError for a single line."""
        if len(piece.lines) == 1:
            raise TransferError(
                f"{self._source.where(piece.first)}: this {self._source.unit} can never go: it has "
                f"{counted(len(piece.lines[0]), 'byte')}, and {answer.refusal}")
        self._progress = replace(self._progress, most=len(piece.lines) // 2)

    def _check_answer(self, piece: Piece, answer: Answer) -> None:
        """Count the tasks created; raises TransferError if they were not."""
        violations = answer.violations()
        if answer.status == 400 and violations:
            raise TransferError(self._problem(piece, violations))
        if answer.status not in (200, 201):  # earlier versions answer 201
            raise TransferError(answer.refusal)
        created = answer.body.count(b"\n")
        if created != piece.count:
            raise TransferError(f"the service answered with {counted(created, 'id')} for {piece.count}")
        if answer.replayed and not answer.retried:
            self.result.known += created
        else:
            self.result.created += created

    # --- Tasks that are there already ---

    def _find_existing(self) -> None:
        """Find the tasks of the service that have an id of the file."""
        found: dict[str, bytes] = {}
        for lines in exported_lines(self._client.get("/tasks")):
            for document in map(orjson.loads, lines):
                if document["id"] in self._ids:
                    found[document["id"]] = _digest(document["task"])
        self._existing = found

    def _without_existing(self, piece: Piece) -> Piece:
        """Return the piece with an empty line for each task that exists; raises TransferError if one differs."""
        if not self._existing:
            return piece
        lines = (line if self._is_new(number, line) else b"\n" for number, line in enumerate(piece.lines, piece.first))
        return replace(piece, lines=tuple(lines))

    def _is_new(self, number: int, line: bytes) -> bool:
        if self._existing is None or is_blank(line):
            return True
        document = orjson.loads(line.removeprefix(BOM))
        found = self._existing.get(document["id"])
        if found not in (None, _digest(document["task"])):
            raise TransferError(
                f"{self._source.where(number)}: /id: '{document['id']}' exists already, with other content")
        return found is None


def _has_id(line: bytes) -> bool:
    document = orjson.loads(line.removeprefix(BOM))
    return isinstance(document, dict) and "task" in document


def _is_taken(answer: Answer) -> bool:
    """Return whether an id was in the way: after the check, no other fault is possible."""
    return answer.status == 400 and any(pointer.endswith("/id") for pointer, _ in answer.violations())


def _digest(task: Any) -> bytes:
    """Return a digest of a task, whatever the order of its members."""
    return blake2b(orjson.dumps(task, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()

"""The engine of a journal: a file with a line for each write."""

import asyncio
import errno
import fcntl
import json
import os
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from taskservice.database.history import History
from taskservice.database.memory_db import InMemoryTodoListDB
from taskservice.database.os_errors import translated_os
from taskservice.database.revisions import Clock, system_clock
from taskservice.datamodel import Created, IdempotencyKey, StoredTask, TaskEntry
from taskservice.errors import StoreInUseError
from taskservice.precondition import UNCONDITIONAL, Precondition

Result = TypeVar("Result")
Record = tuple[str, int, str | None]
"""An id, a revision, and the task's JSON; None: it was deleted."""


class JournalTodoListDB(InMemoryTodoListDB):
    """Tasks in memory; each write is a line of a file, on disk before the write is acknowledged."""

    name = "journal"

    def __init__(self, path: str | os.PathLike[str], *, clock: Clock = system_clock) -> None:
        super().__init__(clock=clock)
        self._path = Path(path)
        self._file = -1
        self._size = 0
        self._writes: set[asyncio.Task[Any]] = set()

    async def examine(self, connect: bool) -> str:
        """Look for the file."""
        return f"a journal in {self._path}" + ("" if self._path.exists() else ", which would be made")

    async def start(self) -> None:
        """Open the file, and do again what it says."""
        if not self._open:
            self._tasks, self._history = {}, History()
            for line in await asyncio.to_thread(self._open_file):
                for record in json.loads(line):
                    self._redo(*record)
            self._ids = sorted(self._tasks)
            await super().start()

    def _open_file(self) -> list[bytes]:
        with translated_os(self._path):
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(self._file)
                raise StoreInUseError(f"another process is using {self._path}") from error
            content = self._path.read_bytes()
            lines = content[:content.rfind(b"\n") + 1]  # a line that a crash cut short was never acknowledged
            self._size = len(lines)
            os.ftruncate(self._file, self._size)
            _flush_folder(self._path.parent)
            return lines.splitlines()

    def _redo(self, task_id: str, revision: int, body: str | None) -> None:
        replaced = self._tasks.pop(task_id, None)
        if body is None:
            self._history.record_deletion(task_id, revision, replaced, revision)
        else:
            self._tasks[task_id] = task = StoredTask(task_id, revision, body.encode())
            self._history.record(task, replaced)

    async def stop(self) -> None:
        """Let the writes in flight end, then close the file."""
        if self._writes:
            await asyncio.wait(self._writes)
        if self._open:
            os.close(self._file)
        await super().stop()

    async def _persist(self, tasks: Sequence[StoredTask], replaced: StoredTask | None = None) -> None:
        await asyncio.to_thread(self._append, [(task.id, task.revision, task.body.decode()) for task in tasks])

    async def _persist_deletion(self, task: StoredTask, revision: int) -> None:
        await asyncio.to_thread(self._append, [(task.id, revision, None)])

    def _append(self, records: Sequence[Record]) -> None:
        """Write a line: all that a call has written, so that a crash leaves all of it or nothing."""
        line = json.dumps(records).encode() + b"\n"
        with translated_os(self._path):
            try:
                if os.write(self._file, line) < len(line):
                    raise OSError(errno.ENOSPC, "a part of a line was written")
                os.fsync(self._file)
            except OSError:
                os.ftruncate(self._file, self._size)  # or the next line would go on where this one ends
                raise
        self._size += len(line)

    async def create_tasks(
        self, tasks: Sequence[tuple[str | None, TaskEntry]], key: IdempotencyKey | None = None
    ) -> Created:
        """Create all the tasks or none."""
        return await self._whole(super().create_tasks(tasks, key))

    async def update_task(
        self, task_id: str, entry: TaskEntry, precondition: Precondition = UNCONDITIONAL
    ) -> StoredTask:
        """Replace a task."""
        return await self._whole(super().update_task(task_id, entry, precondition))

    async def delete_task(self, task_id: str, precondition: Precondition = UNCONDITIONAL) -> int:
        """Delete a task."""
        return await self._whole(super().delete_task(task_id, precondition))

    async def _whole(self, write: Coroutine[Any, Any, Result]) -> Result:
        """Carry a write through if its caller is cancelled: a thread cannot be called back."""
        task = asyncio.create_task(write)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await asyncio.shield(task)


def _flush_folder(folder: Path) -> None:
    """Flush a folder to disk: a new file's name is in there."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""A folder of `ID.json` files, one for each task: atomic, durable, and blocking.

A file is written under another name, flushed to disk, and renamed; then the folder is flushed (the order that survives
a power cut, see LWN 457667 "Ensuring data reaches disk"). Its modification time, in whole microseconds, is the task's
revision. The modification time of `.lock`, which one process holds at a time, is the revision of the last deletion or
start.
"""

import fcntl
import logging
import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG

from taskservice import LOGGER_NAME
from taskservice.database.folders import make_folder
from taskservice.database.os_errors import check_writable, translated_os
from taskservice.datamodel import TASK_ID, StoredTask
from taskservice.errors import BadInputError, StoreError, StoreInUseError, StoreVersionError
from taskservice.utils import logutils
from taskservice.validation import parse_task

# A file's name has at most 255 bytes; this leaves room for the suffixes.
_TASK_FILE = re.compile(rf"({TASK_ID.pattern})\.json")
_LEFT_OVER = re.compile(rf"\.{TASK_ID.pattern}\.tmp")

VERSION = 1
"""The version of a folder's format. A folder without a `.version` file has this one."""


class TaskFolder:
    """The tasks of one folder; every method blocks, and raises StoreError when the disk fails."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = self.place = Path(folder)
        self._folder_fd = -1
        self._lock_fd = -1
        self._doubtful: dict[str, StoredTask | None] = {}

    def path(self, task_id: str) -> Path:
        """Return the task's file; raises BadInputError for an id that cannot be a file name."""
        if not TASK_ID.fullmatch(task_id):
            raise BadInputError("an id is 1 to 128 letters, digits and hyphens")
        return self._folder / f"{task_id}.json"

    def open(self) -> tuple[list[StoredTask], dict[str, StoredTask], int]:
        """Lock the folder, creating it if it does not exist, and read it.

        Returns its tasks in the order of their revisions, the files that are no tasks by id, and the last revision
        known. Raises StoreInUseError if another process holds it, and StoreVersionError for a folder of a later
        version.
        """
        try:
            with translated_os(self._folder):
                make_folder(self._folder)
                self._folder_fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
                self._take_lock()
                self._check_version()
                return self._read()
        except BaseException:
            self.close()
            raise

    def check_writable(self) -> None:
        """Raise StoreError unless the folder is still in its place, and may be written to."""
        with translated_os(self._folder):
            check_writable(self._folder, os.fstat(self._folder_fd))

    def _take_lock(self) -> None:
        try:
            self._lock_fd = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreInUseError(f"another process is using the folder {self._folder}") from error

    def _check_version(self) -> None:
        """Raise StoreVersionError unless `.version`, which later versions will write, is known."""
        file = self._folder / ".version"
        with suppress(FileNotFoundError):
            if (version := file.read_text("latin-1").strip()) != str(VERSION):
                raise StoreVersionError(
                    f"the folder {self._folder} is of version {version[:20]!r}, and this taskservice "
                    f"knows version {VERSION}: upgrade taskservice")

    def close(self) -> None:
        """Release the folder."""
        for fd in (self._lock_fd, self._folder_fd):
            if fd >= 0:
                os.close(fd)
        self._lock_fd = self._folder_fd = -1
        self._doubtful = {}

    def _read(self) -> tuple[list[StoredTask], dict[str, StoredTask], int]:
        tasks: list[StoredTask] = []
        damaged: dict[str, StoredTask] = {}
        for name in os.listdir(self._folder_fd):
            if _LEFT_OVER.fullmatch(name):
                os.unlink(name, dir_fd=self._folder_fd)
            elif match := _TASK_FILE.fullmatch(name):
                self._read_task(match[1], tasks, damaged)
        tasks.sort(key=lambda task: task.revision)
        last = 0
        for index, task in enumerate(tasks):
            tasks[index] = self._told_apart(last, task)
            last = tasks[index].revision
        kept = os.fstat(self._lock_fd).st_mtime_ns // 1000
        return tasks, damaged, max([kept, *(t.revision for t in (*tasks, *damaged.values()))])

    def _told_apart(self, before: int, task: StoredTask) -> StoredTask:
        """Make the revision of a task unique: `cp -p` makes a file as old as another.

        A file may also date from before 1970, which is before all revisions.
        """
        if task.revision > before:
            return task
        revision = before + 1
        os.utime(self.path(task.id), ns=(revision * 1000, revision * 1000))
        return StoredTask.of(task.id, revision, task.entry)

    def keep_revision(self, revision: int) -> None:
        """Store the revision of a deletion or a start, which leave no file."""
        with translated_os(self._folder):
            _set_revision(self._lock_fd, revision)

    def _read_task(
        self, task_id: str, tasks: list[StoredTask], damaged: dict[str, StoredTask]
    ) -> None:
        path = self.path(task_id)
        found = path.stat(follow_symlinks=False)
        revision = found.st_mtime_ns // 1000
        try:
            if not S_ISREG(found.st_mode):
                raise BadInputError("not a regular file")  # opening a pipe would wait
            tasks.append(StoredTask.of(task_id, revision, parse_task(path.read_bytes())))
        except (OSError, BadInputError) as error:
            logger = logging.getLogger(LOGGER_NAME)
            logutils.log(
                logger, logging.ERROR, message="DAMAGED TASK", file=str(path), reason=str(error))
            damaged[task_id] = StoredTask(task_id, revision, b"")

    def write(self, tasks: Sequence[StoredTask], replaced: StoredTask | None = None) -> None:
        """Write all the tasks to their files, durably, or none (except for a crash in between).

        A single one may replace an existing task. Raises StoreFullError if there is no room.
        """
        names = [(self._temporary(task.id), self.path(task.id).name) for task in tasks]
        with translated_os(self._folder), self._undone_if_it_fails() as done:
            try:
                for task, (temporary, _) in zip(tasks, names):
                    self._write_file(temporary, task)
                for task, (temporary, name) in zip(tasks, names):
                    done[task.id] = replaced  # first: a rename that fails may have taken effect
                    self._rename(temporary, name)
                os.fsync(self._folder_fd)
            except BaseException:
                for temporary, _ in names:
                    with suppress(OSError):
                        os.unlink(temporary, dir_fd=self._folder_fd)
                raise

    def _temporary(self, task_id: str) -> str:
        return f".{self.path(task_id).stem}.tmp"

    def _rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self._folder_fd, dst_dir_fd=self._folder_fd)

    def _write_file(self, name: str, task: StoredTask) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        fd = os.open(name, flags, 0o644, dir_fd=self._folder_fd)
        try:
            rest = memoryview(task.body + b"\n")
            while rest:  # a write may be short, e.g. just before the disk is full
                rest = rest[os.write(fd, rest):]
            _set_revision(fd, task.revision)
        finally:
            os.close(fd)

    def delete(self, task: StoredTask, revision: int) -> None:
        """Remove the task's file, durably; the revision of the deletion is stored first."""
        self.keep_revision(revision)
        with translated_os(self._folder), self._undone_if_it_fails() as done:
            done[task.id] = task
            os.unlink(self.path(task.id).name, dir_fd=self._folder_fd)
            os.fsync(self._folder_fd)

    @contextmanager
    def _undone_if_it_fails(self) -> Iterator[dict[str, StoredTask | None]]:
        """Yield a dict that records the former content of each id that is changed, so that it can be restored.

        If a rename or the flush of the folder fails, the steps done before would last over a restart, though the write
        was answered with an error.
        """
        self.undo()
        done: dict[str, StoredTask | None] = {}
        try:
            yield done
        except BaseException:
            self._doubtful = done
            with suppress(StoreError):  # it is tried again
                self.undo()
            raise

    @property
    def doubtful(self) -> Collection[str]:
        """The ids whose files may hold a failed write: `undo` failed, too."""
        return self._doubtful

    def undo(self) -> None:
        """Restore the content from before a write that failed; raises StoreError if it cannot.

        May be called again.
        """
        if not self._doubtful:
            return
        with translated_os(f"{self._folder}, where a write that failed has to be undone first,"):
            for task_id, task in self._doubtful.items():
                self._put_back(task_id, task)
            os.fsync(self._folder_fd)
        self._doubtful = {}

    def _put_back(self, task_id: str, task: StoredTask | None) -> None:
        name = self.path(task_id).name
        if task is None:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._folder_fd)
        elif self._revision_of(name) == task.revision:
            pass  # the failed write did not change it
        elif not task.body:
            raise StoreError(
                f"{self.path(task_id)}: a write failed, and the damaged file that was there cannot be "
                "put back: restart the service, which takes what it finds")
        else:
            self._write_file(self._temporary(task_id), task)
            self._rename(self._temporary(task_id), name)

    def _revision_of(self, name: str) -> int | None:
        """Return the revision of a regular file; None if there is none."""
        with suppress(FileNotFoundError):
            found = os.stat(name, dir_fd=self._folder_fd, follow_symlinks=False)
            return found.st_mtime_ns // 1000 if S_ISREG(found.st_mode) else None
        return None


def _set_revision(fd: int, revision: int) -> None:
    os.utime(fd, ns=(revision * 1000, revision * 1000))
    os.fsync(fd)

"""Files that are replaced completely or not at all."""

import fcntl
import glob
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Yield a file that replaces `target` at the end of the block, unless that raises.

    The file is on disk before that. It keeps the mode of its predecessor, and its owner and group where that is
    permitted. Raises OSError.
    """
    file, partial = _partial_file(target)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def remove_leftovers(target: Path) -> None:
    """Remove the files that killed processes left beside `target`: running processes hold a lock on theirs."""
    for left in target.parent.glob(f"{glob.escape(_prefix(target))}{'[0-9a-f]' * 32}.part"):
        with suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def _prefix(target: Path) -> str:
    return f".{target.name[:40]}."  # a name has at most 255 bytes, a character up to 4


def _partial_file(target: Path) -> tuple[BinaryIO, Path]:
    """Make a file beside `target`, with a unique name, and lock it."""
    old = target.stat() if target.exists() else None
    while True:
        partial = target.with_name(f"{_prefix(target)}{uuid.uuid4().hex}.part")
        mode = 0o666 if old is None else 0o600  # less the umask
        file = os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb")
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if partial.exists():  # else another process removed it before it was locked
            _keep_access(file, old)
            return file, partial
        file.close()


def _keep_access(file: BinaryIO, old: os.stat_result | None) -> None:
    """Give a file the owner, group and mode of another."""
    if old is None:
        return
    for owner, group in ((-1, old.st_gid), (old.st_uid, -1)):
        with suppress(PermissionError):
            os.fchown(file.fileno(), owner, group)
    os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))


def flush_folder(folder: Path) -> None:
    """Flush the names of a folder to disk; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The folder in which workers share their metrics, in the system's temporary directory."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from taskservice.errors import TodoListError
from taskservice.tornado.metrics import make_files

PREFIX = "taskservice-workers-"


class MetricsFolder:
    """A folder that is in use as long as a process holds a lock on its descriptor."""

    def __init__(self, workers: int) -> None:
        """Create it, and remove the folders that killed services left behind.

        Raises TodoListError if there is no temporary directory, or no room in it.
        """
        try:
            _sweep(Path(tempfile.gettempdir()))
            self.path, self.fd = _make()
            try:
                make_files(self.path, workers)
            except OSError:
                self.remove()
                raise
        except OSError as error:
            raise TodoListError(
                f"no temporary directory for the metrics of workers: {error.strerror}; "
                "set TMPDIR to a folder that can be written") from error

    def remove(self) -> None:
        """Remove it with its files."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.fd)


def _make() -> tuple[str, int]:
    """Create and lock a folder; another service may have removed it before it was locked."""
    while True:
        path = tempfile.mkdtemp(prefix=PREFIX)
        with suppress(FileNotFoundError):
            fd = _open(path)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.path.exists(path):
                return path, fd
            os.close(fd)


def _sweep(folder: Path) -> None:
    """Remove this user's folders that no process has locked."""
    for path in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):  # a file, a link, or somebody else's; or it is in use
            fd = _open(path)
            try:
                if os.fstat(fd).st_uid == os.getuid():
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path)
            finally:
                os.close(fd)


def _open(path: str | Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)

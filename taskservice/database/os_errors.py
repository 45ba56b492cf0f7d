"""The meaning of the operating system's errors for a store made of files."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from taskservice.errors import (
    StoreBusyError, StoreError, StoreFullError, StoreReadOnlyError, StoreUnavailableError)


class Meaning(NamedTuple):
    """The meaning of a foreign error: an error of the domain, and a phrase to follow the store's name."""

    error: type[StoreError]
    phrase: str

    def says(self, store: object, reason: object) -> StoreError:
        """Make the error of a store, in one line."""
        line = " ".join(f"{store} {self.phrase}: {reason}".split())
        return self.error(line.removesuffix(":"))


FAILED = Meaning(StoreError, "failed")
FULL = Meaning(StoreFullError, "has no room")
READ_ONLY = Meaning(StoreReadOnlyError, "takes no writes")
BUSY = Meaning(StoreBusyError, "is busy")
AWAY = Meaning(StoreUnavailableError, "is away")
SHORT = Meaning(StoreBusyError, "is short of memory, descriptors or locks")

ERRNOS: Mapping[int, Meaning] = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: FULL,  # RLIMIT_FSIZE

    errno.EROFS: READ_ONLY,
    errno.EACCES: READ_ONLY,  # the operator mends it, without a restart
    errno.EPERM: READ_ONLY,

    errno.EMFILE: SHORT,
    errno.ENFILE: SHORT,
    errno.ENOMEM: SHORT,
    errno.ENOBUFS: SHORT,
    errno.ENOLCK: SHORT,
    errno.EAGAIN: BUSY,
    errno.EBUSY: BUSY,
    errno.ETXTBSY: BUSY,
    errno.EINTR: BUSY,

    errno.EIO: AWAY,  # a disk that was pulled or fails, and a network file system without server
    errno.ENXIO: AWAY,
    errno.ENODEV: AWAY,
    errno.ESTALE: AWAY,
    errno.ENOTCONN: AWAY,
    errno.ESHUTDOWN: AWAY,
    errno.ETIMEDOUT: AWAY,
    errno.EHOSTDOWN: AWAY,
    errno.EHOSTUNREACH: AWAY,
    errno.ENETDOWN: AWAY,
    errno.ENETUNREACH: AWAY,
    errno.ECONNREFUSED: AWAY,
    errno.ECONNRESET: AWAY,
    errno.ECONNABORTED: AWAY,
    errno.EPIPE: AWAY,
    errno.ENOENT: AWAY,  # the folder is gone, or not mounted
    errno.ENOTDIR: AWAY,

    errno.EBADF: FAILED,  # faults of the service, of its config, or damage
    errno.EFAULT: FAILED,
    errno.EINVAL: FAILED,
    errno.EEXIST: FAILED,
    errno.EISDIR: FAILED,
    errno.ENOTEMPTY: FAILED,
    errno.ELOOP: FAILED,
    errno.ENAMETOOLONG: FAILED,
    errno.EMLINK: FAILED,
    errno.EXDEV: FAILED,
    errno.EOVERFLOW: FAILED,
    errno.ESPIPE: FAILED,
    errno.ENOSYS: FAILED,
    errno.EOPNOTSUPP: FAILED,
    errno.EDESTADDRREQ: FAILED,
    errno.EBADMSG: FAILED,  # the file system is damaged
}
"""The errors of open(2), write(2), fsync(2), rename(2), unlink(2), flock(2) and similar calls."""


def check_writable(path: str | os.PathLike[str], opened: os.stat_result) -> None:
    """Raise OSError unless a path still leads to the opened file or folder, and may be written to."""
    if not os.path.samestat(os.stat(path), opened):
        raise OSError(errno.ENOENT, "another one is in its place", str(path))
    if not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        read_only = os.statvfs(path).f_flag & os.ST_RDONLY
        number = errno.EROFS if read_only else errno.EACCES
        raise OSError(number, os.strerror(number), str(path))


@contextmanager
def translated_os(store: object) -> Iterator[None]:
    """Turn OSErrors into StoreErrors that name the store."""
    try:
        yield
    except OSError as error:
        meaning = ERRNOS.get(error.errno or 0, FAILED)
        reason = f"{error.strerror or error}"
        raise meaning.says(
            store, f"{reason}: {error.filename}" if error.filename else reason) from error

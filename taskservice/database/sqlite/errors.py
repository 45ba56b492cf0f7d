"""The meaning of apsw's and SQLite's errors: one table, and its use."""

from collections.abc import Mapping

import apsw

from taskservice.database.os_errors import (
    AWAY, BUSY, ERRNOS, FAILED, FULL, READ_ONLY, SHORT, Meaning)
from taskservice.errors import StoreError, StoreUnavailableError

_DAMAGED = Meaning(StoreError, "is damaged, or no SQLite database")
_ENDED = Meaning(StoreUnavailableError, "ended a read")

MEANINGS: Mapping[type[apsw.Error], Meaning] = {
    # SQLite's, in the order of https://sqlite.org/rescode.html
    apsw.SQLError: FAILED,
    apsw.InternalError: FAILED,
    apsw.PermissionsError: READ_ONLY,
    apsw.AbortError: FAILED,
    apsw.BusyError: BUSY,
    apsw.LockedError: BUSY,
    apsw.NoMemError: SHORT,
    apsw.ReadOnlyError: READ_ONLY,
    apsw.InterruptError: _ENDED,  # it is being closed
    apsw.IOError: AWAY,
    apsw.CorruptError: _DAMAGED,
    apsw.NotFoundError: FAILED,
    apsw.FullError: FULL,
    apsw.CantOpenError: AWAY,
    apsw.ProtocolError: BUSY,  # of the locks: too many processes at once
    apsw.EmptyError: FAILED,
    apsw.SchemaChangeError: BUSY,  # another process migrates it
    apsw.TooBigError: FAILED,
    apsw.ConstraintError: FAILED,
    apsw.MismatchError: FAILED,
    apsw.MisuseError: FAILED,
    apsw.NoLFSError: FAILED,
    apsw.AuthError: FAILED,
    apsw.FormatError: _DAMAGED,
    apsw.RangeError: FAILED,
    apsw.NotADBError: _DAMAGED,

    # apsw's own: each but for a closed connection is a fault of the service
    apsw.Error: FAILED,
    apsw.ConnectionClosedError: AWAY,
    apsw.CursorClosedError: AWAY,
    apsw.BindingsError: FAILED,
    apsw.ConnectionNotClosedError: FAILED,
    apsw.ExecTraceAbort: FAILED,
    apsw.ExecutionCompleteError: FAILED,
    apsw.ExtensionLoadingError: FAILED,
    apsw.ForkingViolationError: FAILED,
    apsw.IncompleteExecutionError: FAILED,
    apsw.InvalidContextError: FAILED,
    apsw.NoFTS5Error: FAILED,
    apsw.ThreadingViolationError: FAILED,
    apsw.VFSFileClosedError: FAILED,
    apsw.VFSNotImplementedError: FAILED,
}
"""The meaning of an error by its class, unless the operating system was more specific."""

_FROM_THE_SYSTEM = (apsw.IOError, apsw.CantOpenError)
"""The errors that pass on one of the operating system."""


def meaning_of(error: apsw.Error, errno: int) -> Meaning:
    """Return the meaning of an error, given the connection's last error of the operating system."""
    if isinstance(error, _FROM_THE_SYSTEM) and errno in ERRNOS:
        return ERRNOS[errno]
    return MEANINGS.get(type(error), FAILED)


class Translated:
    """A context that turns the errors of a connection into those of the domain."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._file = connection.filename

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, apsw.Error):
            raise meaning_of(error, self._errno()).says(self._file, error) from error

    def _errno(self) -> int:
        try:
            return self._connection.system_errno
        except apsw.ConnectionClosedError:
            return 0

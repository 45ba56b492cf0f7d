"""Logging: a line of logfmt for each event."""

import functools
import logging
import time
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from taskservice.utils.logfmt import logfmt

_NOTHING: Mapping[str, object] = MappingProxyType({})


def log(logger: logging.Logger, level: int, /, *, context: Mapping[str, object] = _NOTHING,
        **kvs: object) -> None:
    """Log one line of logfmt, unless `level` is disabled.

    The values of a `context` (see `taskcontext`) come first; a value in `kvs` takes the
    place of the context's of the same name.
    """
    if logger.isEnabledFor(level):
        line = logfmt({**context, **kvs} if context else kvs)
        if not _written_without_record(logger, level, line):
            logger.handle(make_record(logger, level, Line(line)))


def _written_without_record(logger: logging.Logger, level: int, line: str) -> bool:
    """Write a line without making a record, if nobody could see that; return whether it was written.

    Nobody can if the line goes to a single stream or file, no filter is asked, and our formatter needs nothing else
    of a record (`OneLineFormatter.plain_line`). As in logging, the handler's lock is held, and its `handleError` is
    called for what goes wrong. This saves a fifth of the time of log().
    """
    handler = _only_handler(logger)
    if (type(handler) not in _STREAMS or handler.filters or logger.filters or type(logger) is not logging.Logger
            or logging.getLogRecordFactory() is not logging.LogRecord or _entries() != _OWN_ENTRIES):
        return False
    assert isinstance(handler, logging.StreamHandler)
    if (format_line := getattr(handler.formatter, "plain_line", None)) is None:
        return False
    if level < handler.level:
        return True
    handler.acquire()
    try:
        if handler.stream is None:  # the handler has yet to open its file, or a reload has closed it
            return False
        handler.stream.write(format_line(logger.name, level, line, time.time()) + handler.terminator)
        if (flush := getattr(handler.stream, "flush", None)) is not None:  # as handler.flush() does, in less time
            flush()
    except RecursionError:  # as in StreamHandler.emit
        raise
    except Exception:
        handler.handleError(make_record(logger, level, Line(line)))
    finally:
        handler.release()
    return True


_STREAMS = (logging.StreamHandler, logging.FileHandler)


def _entries() -> tuple[object, object]:
    """Return the methods that every record passes, which tools such as Sentry's replace in order to see it."""
    return logging.Logger.handle, logging.Logger.callHandlers


def _is_own(method: object) -> bool:
    return getattr(method, "__module__", None) == "logging" and not hasattr(method, "__wrapped__")


_OWN_ENTRIES = _entries() if all(map(_is_own, _entries())) else None


def _only_handler(logger: logging.Logger) -> Any:
    """Return the handler of a logger's records if there is exactly one."""
    found: logging.Handler | None = None
    ancestor: logging.Logger | None = logger
    while ancestor is not None:
        for handler in ancestor.handlers:
            if found is not None:
                return None
            found = handler
        ancestor = ancestor.parent if ancestor.propagate else None
    return found


def make_record(logger: logging.Logger, level: int, line: "Line") -> logging.LogRecord:
    """Do what logger.log() does, but for the walk up the stack to find the caller: it is `log`.

    What is the same in each record is looked up once, where nobody has to say whose they are.
    """
    threads_or_tasks = logging.logThreads or getattr(logging, "logAsyncioTasks", False)
    if threads_or_tasks or logging.getLogRecordFactory() is not logging.LogRecord:
        return logger.makeRecord(logger.name, level, __file__, _LINE, line, (), None, "log")
    record = logging.LogRecord.__new__(logging.LogRecord)
    record.__dict__ = fields = _common_fields(logger.name, level).copy()
    created = fields["created"] = time.time()
    fields["msecs"] = int(created % 1 * 1000) + 0.0
    fields["relativeCreated"] += created * 1000
    fields["msg"] = line
    return record


@functools.cache
def _common_fields(name: str, level: int) -> dict[str, Any]:
    fields = logging.LogRecord(name, level, __file__, _LINE, "", (), None, "log").__dict__
    return {**fields, "relativeCreated": fields["relativeCreated"] - fields["created"] * 1000}


def forget_common_fields() -> None:
    """Look up anew what is the same in each record, after logging's settings changed."""
    _common_fields.cache_clear()


_LINE = log.__code__.co_firstlineno


def format_trace(error: BaseException) -> str:
    """Return the traceback of `error`, and of its causes, as one string of many lines."""
    return "".join(traceback.format_exception(error)).rstrip("\n")


def one_line(error: BaseException) -> str:
    """Return the message of `error` and, after colons, those of its causes, without line ends."""
    parts = [_said(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        if (said := _said(error)) not in parts[-1]:
            parts.append(said)
    return ": ".join(parts)


class Line(str):
    """A message that log() wrote: logfmt already."""

    __slots__ = ()


def _said(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

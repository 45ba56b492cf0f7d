"""Logging: logfmt lines, and a configuration in which every event is one line.

A value is written so that it parses back to itself and can neither end its line nor hide part of
it, whatever a client sent: strings are quoted and escaped as in JSON, each escape being one code
point.
"""

import functools
import logging
import logging.config
import math
import os
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from errno import EISDIR, ENOENT
from json.encoder import encode_basestring
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any

_NOTHING: Mapping[str, object] = MappingProxyType({})

_LINE_ENDS = "\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"  # those of str.splitlines()

# What JSON leaves as it is but a log must not (it escapes those below U+0020): DEL, C1 and NEL;
# the Unicode line ends; marks that reorder or hide what a reader sees; surrogates, which UTF-8
# cannot encode.
_UNSAFE = (*range(0x7f, 0xa0), 0xad, 0x61c, 0x200b, 0x200e, 0x200f, *range(0x2028, 0x202f),
           *range(0x2060, 0x2070), *range(0xd800, 0xe000), 0xfeff)
_UNSAFE_ESCAPES = {code: f"\\u{code:04x}" for code in _UNSAFE}
_LINE_END_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in _LINE_ENDS}

_BAD_IN_KEY = re.compile("^(?=[^A-Za-z_])|[^A-Za-z0-9_.-]")


def logfmt(values: Mapping[str, object]) -> str:
    """Return `key=value` pairs joined by a space, in one line whatever the values are.

    Strings are quoted; int and finite float are bare, bool is true or false, None is null; any
    other object is its quoted str(). In a key, a character outside `[A-Za-z0-9_.-]` becomes `_`:
    a wrong key must not cost a request its log line. Raises nothing.
    """
    line = " ".join([_KEYS[key] + _WRITERS[type(value)](value) for key, value in values.items()])
    if line.isascii() and "\x7f" not in line:  # quick, and true of most lines
        return line
    return line.translate(_UNSAFE_ESCAPES)


def log(logger: logging.Logger, level: int, /, *, context: Mapping[str, object] = _NOTHING,
        **kvs: object) -> None:
    """Emit one logfmt record, unless `level` is disabled.

    The values of a `context` (see `taskcontext`) come first; a value in `kvs` takes the
    place of the context's of the same name.
    """
    if logger.isEnabledFor(level):
        values = {**context, **kvs} if context else kvs
        logger.handle(_record(logger, level, _Line(logfmt(values))))


def _record(logger: logging.Logger, level: int, line: "_Line") -> logging.LogRecord:
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


_LINE = log.__code__.co_firstlineno


def format_trace(error: BaseException) -> str:
    """Return the traceback of `error`, and of its causes, as one string of many lines."""
    return "".join(traceback.format_exception(error)).rstrip("\n")


def one_line(error: BaseException) -> str:
    """Return what `error` says and, after colons, what caused it, without line ends."""
    parts = [_said(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        if (said := _said(error)) not in parts[-1]:
            parts.append(said)
    return ": ".join(parts)


def configure(logging_config: Mapping[str, Any] | None = None) -> None:
    """Set logging up as the `logging` section of the config says (logging.config.dictConfig).

    Beyond what it says: loggers it does not name go on working, files are UTF-8, and every event
    is one line, foreign records and tracebacks included. Where it attaches no handler to any
    logger, and where it is empty or missing, records from the root's level up (WARNING unless it
    says otherwise) go to standard error. Raises ValueError, in one line, when it is wrong or a
    handler cannot be made (a file that cannot be written).
    """
    with _one_kind_of_error():
        logging.config.dictConfig(_completed(logging_config or {"version": 1}))
    _leave_out_what_no_format_shows(logging_config or {})


def check(logging_config: Mapping[str, Any] | None = None) -> None:
    """Raise ValueError for what configure() would, but neither make nor open a file.

    Handlers that are not of the standard library are looked up, and not made: they may do anything.
    """
    with _one_kind_of_error():
        config = _completed(logging_config or {"version": 1})
        for name, entry in config["handlers"].items():
            config["handlers"][name] = _without_effect(f"handlers.{name}", entry)
        logging.config.dictConfig(config)


@contextmanager
def _one_kind_of_error() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, AttributeError, LookupError, ImportError, OSError) as error:
        raise ValueError(one_line(error)) from error


def _without_effect(name: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a handler in its place that makes the same errors, and no file."""
    kind = logging.config.BaseConfigurator({}).resolve(entry.get("()") or entry["class"])
    if isinstance(kind, type) and issubclass(kind, logging.FileHandler) and "filename" in entry:
        _check_file(f"{name}.filename", Path(entry["filename"]))
        entry = {**entry, "delay": True}
    return entry if kind.__module__ in _STANDARD else {"class": "logging.NullHandler"}


_STANDARD = ("logging", "logging.handlers")


def _check_file(name: str, path: Path) -> None:
    place = path if path.exists() else path.parent
    if path.is_dir() or not place.exists():
        raise ValueError(f"{name}: {path}: {os.strerror(EISDIR if path.is_dir() else ENOENT)}")
    if not os.access(place, os.W_OK):
        raise ValueError(f"{name}: {path}: cannot be written")


def _leave_out_what_no_format_shows(config: Mapping[str, Any]) -> None:
    """Spare each record the look-up of threads and processes (the HOWTO's "Optimization")."""
    formats = str(config.get("formatters"))
    custom = "'()'" in formats or "'class'" in formats  # whose needs are not known
    logging.logThreads = custom or "thread" in formats
    logging.logProcesses = custom or "process" in formats
    logging.logMultiprocessing = custom or "processName" in formats
    setattr(logging, "logAsyncioTasks", custom or "taskName" in formats)  # Python 3.12 and newer
    _common_fields.cache_clear()


class OneLineFormatter(logging.Formatter):
    """Formats like its base, but each event is one line.

    A message that log() did not write becomes `message="…"`, and its traceback and stack follow
    as `trace="…"` and `stack="…"`, so that each line of a logfmt file parses.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._uses_time = self.usesTime()

    def format(self, record: logging.LogRecord) -> str:
        """Return the one line of `record`."""
        line = record.msg
        record.message = line if isinstance(line, _Line) else logfmt(self._foreign(record))
        if self._uses_time:
            record.asctime = self.formatTime(record, self.datefmt)
        line = self.formatMessage(record)
        if line.isprintable():
            return line
        # A thread's name, or a format folded in YAML, can hold line ends too.
        return line.rstrip("\n").translate(_LINE_END_ESCAPES)

    _second = 0
    _time = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the record's time, as the base does; its second is formatted once."""
        if datefmt is not None:
            return super().formatTime(record, datefmt)
        second = int(record.created)
        if second != self._second:
            self._time = time.strftime(self.default_time_format, self.converter(second))
            self._second = second
        if self.default_msec_format is None:
            return self._time
        return self.default_msec_format % (self._time, record.msecs)

    def _foreign(self, record: logging.LogRecord) -> dict[str, str]:
        values = {"message": record.getMessage()}
        if record.exc_text:  # made by another handler's formatter
            values["trace"] = record.exc_text
        elif record.exc_info:
            values["trace"] = self.formatException(record.exc_info)
        if record.stack_info:
            values["stack"] = self.formatStack(record.stack_info)
        return values


class _Line(str):
    """A message written by log(): logfmt already."""

    __slots__ = ()


def _integer(value: int) -> str:
    try:
        return int.__repr__(value)  # of an IntEnum too
    except ValueError:  # more digits than sys.set_int_max_str_digits() allows
        return f'"{value:#x}"'


def _float(value: float) -> str:
    text = float.__repr__(value)
    return text if math.isfinite(value) else f'"{text}"'


def _other(value: object) -> str:
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _float(value)
    try:
        return encode_basestring(str(value))
    except Exception:  # a broken __str__ must not break the request that is logged
        return encode_basestring(f"<unprintable {type(value).__name__}>")


class _Writers(dict[type, Callable[[Any], str]]):
    """How a value of a type is written."""

    def __missing__(self, _type: type) -> Callable[[Any], str]:
        return _other


_WRITERS = _Writers({
    str: encode_basestring,
    int: _integer,
    float: _float,
    bool: {False: "false", True: "true"}.__getitem__,
    NoneType: lambda _: "null",
})


class _Keys(dict[str, str]):
    """How a key is written, up to the value."""

    def __missing__(self, key: str) -> str:
        written = f"{_BAD_IN_KEY.sub('_', key) or '_'}="
        if len(self) < 256:
            self[key] = written
        return written


_KEYS = _Keys()


def _said(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


_STANDARD_ERROR = "taskservice.stderr"  # dotted, so that it is unlikely to meet a name of the YAML
_MESSAGE_ONLY = "taskservice.message"


def _completed(section: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a `logging` section what configure() promises beyond it."""
    formatters = {
        _STANDARD_ERROR: {"format": logging.BASIC_FORMAT},
        _MESSAGE_ONLY: {"format": "%(message)s"},  # what logging uses where none is named
        **_entries(section, "formatters")}
    handlers = _entries(section, "handlers")
    root = _mapping(section.get("root"), "root")
    config = {"disable_existing_loggers": False, **section}
    if not any("handlers" in logger for logger in (root, *_entries(section, "loggers").values())):
        config["root"] = {"level": "WARNING", **root, "handlers": [_STANDARD_ERROR]}
        handlers[_STANDARD_ERROR] = {"class": "logging.StreamHandler",
                                     "formatter": _STANDARD_ERROR}
    config["formatters"] = {name: _formatter(entry) for name, entry in formatters.items()}
    config["handlers"] = {name: _handler(name, entry) for name, entry in handlers.items()}
    return config


def _mapping(value: object, name: str) -> dict[str, Any]:
    if value is None:  # YAML's word for an empty section
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{name}: not a mapping")
    return dict(value)


def _entries(section: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    entries = _mapping(section.get(name), name)
    return {key: _mapping(entry, f"{name}.{key}") for key, entry in entries.items()}


def _formatter(entry: Mapping[str, Any]) -> dict[str, Any]:
    if "()" in entry:
        return dict(entry)
    return {"class": f"{__name__}.{OneLineFormatter.__qualname__}", **entry}


def _handler(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    if "class" not in entry and "()" not in entry:  # dictConfig would speak of 'NoneType'
        raise ValueError(f"handlers.{name}: no class")
    utf8 = {"encoding": "utf-8"} if _is_standard_file(entry) else {}
    return {"formatter": _MESSAGE_ONLY, **utf8, **entry}


def _is_standard_file(entry: Mapping[str, Any]) -> bool:
    return "filename" in entry and str(entry.get("class")).startswith("logging.")

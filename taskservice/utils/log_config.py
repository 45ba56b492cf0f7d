"""The `logging` section of the config: logging.config.dictConfig, and a little more."""

import logging
import logging.config
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import EISDIR, ENOENT
from pathlib import Path
from typing import Any

from taskservice import LOGGER_NAME
from taskservice.utils.log_formats import OneLineFormatter
from taskservice.utils.logfmt import logfmt
from taskservice.utils.logutils import Line, forget_common_fields, make_record, one_line
from taskservice.utils.queued_stream import QueueingConfigurator


def configure(logging_config: Mapping[str, Any] | None = None, append: bool = False) -> None:
    """Set logging up as the `logging` section of the config says (logging.config.dictConfig).

    Beyond dictConfig: loggers that it does not name go on working, files are UTF-8, and every event
    is one line, including records and tracebacks of libraries. If no logger has a handler, records
    from the root's level up (default WARNING) go to standard error. Logging never waits for the
    reader of a pipe, socket or terminal (see `queued_stream`). With `append` no file is emptied,
    whatever its `mode`, and a FIFO is opened although nobody reads it. Raises ValueError, in one
    line, if the section is wrong or a handler cannot be made (a file that cannot be written).
    """
    with _one_kind_of_error():
        config = _completed(logging_config or {"version": 1})
        if append:
            for entry in config["handlers"].values():
                if _is_standard_file(entry) and "mode" in entry:
                    entry["mode"] = "a"
        QueueingConfigurator(config, _lost, waits=not append).configure()
    logging.getLogger(LOGGER_NAME).disabled = False  # also where disable_existing_loggers is true
    _leave_out_what_no_format_shows(logging_config or {})


def reconfigure(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> None:
    """Replace the configuration `before` by `after`; files are closed, and opened to append.

    Raises ValueError as `configure` does; logging then goes on as before, or to standard error if that fails.
    """
    try:
        _take_back(before)
        configure(after, append=True)
    except ValueError:
        _take_back(after)
        try:
            configure(before, append=True)
        except ValueError:
            configure()
        raise


def _take_back(config: Mapping[str, Any] | None) -> None:
    """Reset the loggers that a config names: dictConfig keeps those that the next config leaves out."""
    loggers = (config or {}).get("loggers")
    names = loggers if isinstance(loggers, Mapping) else ()
    for name in (None, *(name for name in names if isinstance(name, str))):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.filters.clear()
        logger.setLevel(logging.NOTSET if name else logging.WARNING)
        logger.propagate, logger.disabled = True, False


def _lost(handler: logging.Handler, count: int) -> str:
    """Return the line that says how many records of a handler were lost."""
    line = Line(logfmt({"message": "LOG RECORDS DROPPED", "dropped": count}))
    return handler.format(make_record(logging.getLogger(LOGGER_NAME), logging.WARNING, line)) + "\n"


def check(logging_config: Mapping[str, Any] | None = None) -> None:
    """Raise ValueError where configure() would, without making or opening a file.

    Handlers from outside the standard library are looked up, but not made: they may do anything.
    """
    with _one_kind_of_error():
        config = _completed(logging_config or {"version": 1})
        for name, entry in config["handlers"].items():
            config["handlers"][name] = _without_effect(f"handlers.{name}", entry)
        logging.config.dictConfig(config)


def fifos(logging_config: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Yield name and path of each handler whose file is a FIFO: `configure` waits until somebody reads it."""
    for name, entry in _entries(logging_config or {}, "handlers").items():
        if _is_standard_file(entry) and Path(entry["filename"]).is_fifo():
            yield name, entry["filename"]


@contextmanager
def _one_kind_of_error() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, AttributeError, LookupError, ImportError, OSError) as error:
        raise ValueError(one_line(error)) from error


def _without_effect(name: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a replacement for a handler that raises the same errors, but makes no file."""
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
    """Skip the look-up of threads and processes in each record (the HOWTO's "Optimization")."""
    formats = str(config.get("formatters"))
    custom = "'()'" in formats or "'class'" in formats  # what these need is not known
    logging.logThreads = custom or "thread" in formats
    logging.logProcesses = custom or "process" in formats
    logging.logMultiprocessing = custom or "processName" in formats
    setattr(logging, "logAsyncioTasks", custom or "taskName" in formats)  # Python 3.12 and newer
    forget_common_fields()


_STANDARD_ERROR = "taskservice.stderr"  # dotted, to be unlike names in the YAML
_MESSAGE_ONLY = "taskservice.message"


def _completed(section: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a `logging` section what configure() promises beyond it."""
    formatters = {
        _STANDARD_ERROR: {"format": logging.BASIC_FORMAT},
        _MESSAGE_ONLY: {"format": "%(message)s"},  # logging's default
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
    if value is None:  # an empty section in YAML
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
    return {"class": f"{OneLineFormatter.__module__}.{OneLineFormatter.__qualname__}", **entry}


def _handler(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    if "class" not in entry and "()" not in entry:  # dictConfig's error would be about 'NoneType'
        raise ValueError(f"handlers.{name}: no class")
    utf8 = {"encoding": "utf-8"} if _is_standard_file(entry) else {}
    return {"formatter": _MESSAGE_ONLY, **utf8, **entry}


def _is_standard_file(entry: Mapping[str, Any]) -> bool:
    kind = entry.get("()") or entry.get("class")
    return "filename" in entry and str(kind).startswith("logging.")

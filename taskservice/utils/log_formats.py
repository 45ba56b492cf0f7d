"""Formatters of log records: each event is one line, of logfmt or of JSON."""

import functools
import json
import logging
import re
import time
from datetime import datetime
from typing import Any

from taskservice.utils.logfmt import logfmt
from taskservice.utils.logutils import Line

_LINE_ENDS = "\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029"  # those of str.splitlines()
_LINE_END_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in _LINE_ENDS}


_NAMED = re.compile(r"%\((\w+)\)")
_MESSAGE = re.compile(r"(%\(message\)[-#0 +]*[0-9]*(?:\.[0-9]+)?s)")


def _in_one_line(text: str) -> str:
    if text.isprintable():
        return text
    # A thread's name, or a format folded in YAML, can contain line ends, too.
    return text.rstrip("\n").translate(_LINE_END_ESCAPES)


class OneLineFormatter(logging.Formatter):
    """Formats like its base class, but each event is one line.

    A message that log() did not write becomes `message="…"`, and its traceback and stack follow as `trace="…"` and
    `stack="…"`, so that each line of a logfmt file parses. `datefmt: rfc3339` gives times such as
    2026-11-26T15:04:05.123+01:00 (RFC 3339), other values are formats of time.strftime().
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._uses_time = self.usesTime()
        self.plain_line = self._plain_line if self._is_plain(**options) else None
        """Makes the line of an event of log() without a record; None if the format needs one."""
        # Logger, level and time in milliseconds; and of their lines what comes before the message, its own format, and
        # what comes after it. Replaced as a whole: threads that log to different handlers may share a formatter.
        self._around: tuple[tuple[str, int, int] | None, str, str, str] = None, "", "", ""

    def _is_plain(self, *_: object, defaults: object = None, **options: object) -> bool:
        """Return whether logger, level, time and, once, the message are all that a line is made of."""
        ours, mine, form = OneLineFormatter, type(self), str(self._fmt)
        return (type(self._style) is logging.PercentStyle and not defaults and self.datefmt in (None, "rfc3339")
                and set(_NAMED.findall(form)) <= {"name", "levelname", "message", "asctime"}
                and form.count("%(message)") == len(_MESSAGE.findall(form)) == 1 and "%%(" not in form
                and (mine.format, mine.message, mine.formatTime) == (ours.format, ours.message, ours.formatTime)
                and mine.formatMessage is logging.Formatter.formatMessage)

    def _plain_line(self, name: str, level: int, message: str, created: float) -> str:
        """Return what `format` makes of a record of these, `message` being a line of logfmt.

        Under load there are several lines in a millisecond, and they differ in their messages alone.
        """
        event = name, level, int(created * 1000)
        around = self._around
        if event != around[0]:
            values = {"name": name, "levelname": logging.getLevelName(level)}
            if self._uses_time:
                values["asctime"] = (
                    rfc3339(created) if self.datefmt else self._time_of(created, int(created % 1 * 1000)))
            before, form, after = _MESSAGE.split(str(self._fmt))
            self._around = around = (
                event, (before % values).translate(_LINE_END_ESCAPES), form, _in_one_line(after % values))
        _, before, form, after = around
        return f"{before}{message if form == '%(message)s' else form % {'message': message}}{after}"

    def format(self, record: logging.LogRecord) -> str:
        """Return the one line of `record`."""
        record.message = self.message(record)
        if self._uses_time:
            record.asctime = self.formatTime(record, self.datefmt)
        return _in_one_line(self.formatMessage(record))

    def message(self, record: logging.LogRecord) -> str:
        """Return the logfmt pairs of `record`, without additions of the format."""
        line = record.msg
        return line if isinstance(line, Line) else logfmt(self._foreign(record))

    _second = -1
    _time = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the record's time, as the base class does except for `rfc3339`; each second is formatted once."""
        if datefmt == "rfc3339":
            return rfc3339(record.created)
        if datefmt is not None:
            return super().formatTime(record, datefmt)
        return self._time_of(record.created, record.msecs)

    def _time_of(self, created: float, msecs: float) -> str:
        second = int(created)
        if second != self._second:
            self._time = time.strftime(self.default_time_format, self.converter(second))
            self._second = second
        if self.default_msec_format is None:
            return self._time
        return self.default_msec_format % (self._time, msecs)

    def _foreign(self, record: logging.LogRecord) -> dict[str, str]:
        values = {"message": record.getMessage()}
        if record.exc_text:  # made by another handler's formatter
            values["trace"] = record.exc_text
        elif record.exc_info:
            values["trace"] = self.formatException(record.exc_info)
        if record.stack_info:
            values["stack"] = self.formatStack(record.stack_info)
        return values


_PAIR = re.compile(r'([A-Za-z0-9_.-]+)=("(?:[^"\\]|\\.)*"|[^ ]*)')


class JsonFormatter(OneLineFormatter):
    """Writes `time` (RFC 3339), `level` and `logger`, and then the keys of the logfmt line with their values.

    The same events, keys and values as in logfmt; only ASCII, so that no character can end or reorder a line. A key of
    the line with the name of one of the first three gets a leading `_`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the one line of `record`."""
        values: dict[str, Any] = {
            "time": rfc3339(record.created), "level": record.levelname, "logger": record.name}
        for key, value in _PAIR.findall(self.message(record)):
            values[f"_{key}" if key in ("time", "level", "logger") else key] = json.loads(value)
        return json.dumps(values)


def rfc3339(seconds: float) -> str:
    """Return a time since the epoch as RFC 3339 writes it: local, with its zone, to the millisecond."""
    second = int(seconds)
    text, zone = _local_time(second)
    return f"{text}.{int((seconds - second) * 1000):03}{zone}"


@functools.lru_cache(8)
def _local_time(second: int) -> tuple[str, str]:
    text = datetime.fromtimestamp(second).astimezone().isoformat()
    return text[:19], text[19:]

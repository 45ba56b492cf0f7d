"""Reading logfmt, and logging that is put back as it was."""

import io
import logging
import re
import tempfile
import unittest
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from taskservice.utils import log_config

LINE_ENDS = ("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
NAMED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}
PAIR = re.compile(r'''(?P<key>[A-Za-z_][A-Za-z0-9_.-]*)=
    (?: "(?P<text> (?: [^"\\] | \\["\\/bfnrt] | \\u[0-9a-f]{4} )* )"
      | (?P<word> true | false | null )
      | (?P<float> -?[0-9]+ (?: \.[0-9]+ (?:e[+-]?[0-9]+)? | e[+-]?[0-9]+ ) )
      | (?P<int> -?[0-9]+ ) )(?P<end>\ (?!$)|$)''', re.VERBOSE)


def unescape(text: str) -> str:
    return re.sub(r'\\(?:u(....)|(.))',
                  lambda m: chr(int(m[1], 16)) if m[1] else NAMED[m[2]], text)


def parse(line: str) -> dict[str, Any]:
    """Read one line of logfmt, strictly; written from the format, not from the code."""
    if len(line.splitlines()) > 1:
        raise ValueError(f"more than one line: {line!r}")
    values: dict[str, Any] = {}
    position = 0
    while position < len(line):
        pair = PAIR.match(line, position)
        if pair is None or pair["key"] in values:
            raise ValueError(f"no pair at {position}: {line!r}")
        values[pair["key"]] = _value(pair)
        position = pair.end()
    return values


def _value(pair: re.Match[str]) -> Any:
    if pair["text"] is not None:
        return unescape(pair["text"])
    if pair["word"]:
        return {"true": True, "false": False, "null": None}[pair["word"]]
    return float(pair["float"]) if pair["float"] else int(pair["int"])


ANY_TEXT = st.text(st.characters(exclude_categories=()))
SCALARS = st.one_of(ANY_TEXT, st.integers(), st.booleans(), st.none(),
                    st.floats(allow_nan=False, allow_infinity=False))
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]*", fullmatch=True)


class _Saved(NamedTuple):
    level: int
    propagate: bool
    disabled: bool
    handlers: list[logging.Handler]


class ConfigureTestCase(unittest.TestCase):
    """Puts logging back as it was: its configuration belongs to the process."""

    NAMES = ("", "taskservice", "tornado.access", "tornado.application", "tornado.general",
             "configure-test")

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        loggers = [logging.getLogger(name) for name in self.NAMES]
        saved = [_Saved(logger.level, logger.propagate, logger.disabled, logger.handlers[:])
                 for logger in loggers]
        self.addCleanup(self.restore, loggers, saved)

    @staticmethod
    def restore(loggers: list[logging.Logger], saved: list[_Saved]) -> None:
        for logger, was in zip(loggers, saved):
            for handler in logger.handlers:
                if handler not in was.handlers:
                    handler.close()
            logger.setLevel(was.level)
            logger.propagate, logger.disabled = was.propagate, was.disabled
            logger.handlers[:] = was.handlers

    def configure(self, section: Mapping[str, Any] | None) -> None:
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        with redirect_stdout(self.stdout), redirect_stderr(self.stderr):
            log_config.configure(section)

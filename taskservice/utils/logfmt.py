"""logfmt: `key=value` pairs on one line.

A value is written so that it parses back to itself and can neither end its line nor hide part of it, whatever a client
sent: strings are quoted and escaped as in JSON, each escape being one code point.
"""

import re
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from math import isfinite
from types import NoneType
from typing import Any

# Characters that JSON leaves as they are but a log must not (it escapes those below U+0020): DEL, C1 and NEL;
# the Unicode line ends; marks that reorder or hide what a reader sees; surrogates, which UTF-8
# cannot encode.
_UNSAFE = (*range(0x7f, 0xa0), 0xad, 0x61c, 0x200b, 0x200e, 0x200f, *range(0x2028, 0x202f),
           *range(0x2060, 0x2070), *range(0xd800, 0xe000), 0xfeff)
_UNSAFE_ESCAPES = {code: f"\\u{code:04x}" for code in _UNSAFE}

_BAD_IN_KEY = re.compile("^(?=[^A-Za-z_])|[^A-Za-z0-9_.-]")


def logfmt(values: Mapping[str, object]) -> str:
    """Return `key=value` pairs joined by spaces, always on one line.

    Strings are quoted; int and finite float are bare, bool is true or false, None is null; any other object is its
    quoted str(). In a key, a character outside `[A-Za-z0-9_.-]` becomes `_`: a wrong key must not cost a request its
    log line. Raises nothing.
    """
    line = " ".join([
        # Most are text, and looking that up would take half as long again.
        _KEYS[key] + (encode_basestring(value) if type(value) is str else _WRITERS[type(value)](value))
        for key, value in values.items()])
    if line.isascii() and "\x7f" not in line:  # fast, and true of most lines
        return line
    return line.translate(_UNSAFE_ESCAPES)


def _integer(value: int) -> str:
    try:
        return repr(value)
    except ValueError:  # more digits than sys.set_int_max_str_digits() allows
        return f'"{value:#x}"'


def _float(value: float) -> str:
    text = repr(value)
    return text if isfinite(value) else f'"{text}"'


def _other(value: object) -> str:
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, int):
        return _integer(int.__int__(value))
    if isinstance(value, float):
        return _float(float.__float__(value))
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

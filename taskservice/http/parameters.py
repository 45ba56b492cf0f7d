"""Query parameters: strict UTF-8, known names, each at most once, and their values."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from urllib.parse import parse_qsl, quote

from taskservice.datamodel import MAX_REVISION
from taskservice.errors import BadInputError
from taskservice.http.fields import shorten

MAX_PARAMETERS = 100
"""Maximum number of parameters in a query, more than any list needs."""

MAX_QUERY_LENGTH = 2_048
"""Maximum length of a query, in bytes, percent-encoded and without its cursor: a Link repeats it, and proxies accept a
head of 4 KiB."""

_SAFE = "!$%&'()*+,-./:;=?@_~"
_DIGITS = re.compile(r"0|[1-9][0-9]{0,18}")
_DECIMAL = re.compile(r"[+ -]?[0-9]+(?:\.[0-9]+)?(?:[eE][+ -]?[0-9]+)?")
_RFC_3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?"
    r"(?:[Zz]|([+ -])([01][0-9]|2[0-3]):([0-5][0-9]))")
_LONGEST_TIME = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def bad_value(name: str, expected: str, value: str) -> BadInputError:
    """Make the error for a bad value: the parameter, what was expected, and the value."""
    return BadInputError(f"{name}: expected {expected}, got '{shorten(value)}'")


def ascii_query(query: str) -> str:
    """Return a query as a URI has it (RFC 3986 §3.4); a proper one stays as it is.

    Raw bytes, which are Latin-1 here, get percent-encoded.
    """
    try:
        return quote(query.encode("latin-1"), safe=_SAFE)
    except UnicodeEncodeError as error:
        raise BadInputError("the query is not percent-encoded") from error


def check_length(query: str) -> str:
    """Return a percent-encoded query without its cursor; raises BadInputError if it is too long."""
    if len(query) > MAX_QUERY_LENGTH:
        raise BadInputError(
            f"the query: expected at most {MAX_QUERY_LENGTH} bytes, percent-encoded and without "
            f"its cursor, got {len(query)}")
    return query


def parse_query(
    query: str, names: Collection[str], repeatable: Collection[str] = ()
) -> Mapping[str, list[str]]:
    """Parse a query; raises BadInputError, which names the parameter, for an unknown one.

    Also for one that comes twice but is not `repeatable`.
    """
    values: dict[str, list[str]] = {}
    for name, value in _pairs(query):
        if name not in names:
            raise BadInputError(
                f"{shorten(name)}: unknown parameter, expected one of {', '.join(names)}")
        if name in values and name not in repeatable:
            raise BadInputError(f"{name}: expected once, came again")
        values.setdefault(name, []).append(value)
    return values


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            ascii_query(query), keep_blank_values=True, errors="strict",
            max_num_fields=MAX_PARAMETERS)
    except UnicodeDecodeError as error:
        raise BadInputError("the query is not UTF-8, percent-encoded") from error
    except ValueError as error:
        raise BadInputError(f"expected at most {MAX_PARAMETERS} parameters") from error


def whole_number(name: str, value: str, low: int, high: int) -> int:
    """Return a whole number in decimal digits, from `low` to `high`, or raise BadInputError."""
    if not (_DIGITS.fullmatch(value) and low <= int(value) <= high):
        raise bad_value(name, f"a whole number from {low} to {high}", value)
    return int(value)


def revision_number(name: str, value: str) -> int:
    """Return a revision, or raise BadInputError."""
    return whole_number(name, value, 0, MAX_REVISION)


def epoch_seconds(name: str, value: str) -> float:
    """Parse a time, seconds since the epoch or RFC 3339, to seconds; raises BadInputError.

    A `+` may arrive as the space that it stands for in a query.
    """
    seconds = _parse_time(value) if len(value) <= _LONGEST_TIME else None
    if seconds is None or not abs(seconds) < 2 ** 53:
        raise bad_value(
            name, "seconds since the epoch, of magnitude below 2^53, or a date and time with an "
            "offset (RFC 3339)", value)
    return seconds


def _parse_time(value: str) -> float | None:
    if _DECIMAL.fullmatch(value):
        return float(value.replace(" ", "+"))
    match = _RFC_3339.fullmatch(value)
    return None if match is None else _read_time(match)


def _read_time(match: re.Match[str]) -> float | None:
    """Return the seconds of a date and time; None if no calendar or clock has it."""
    year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 4, 5, 6))
    fraction, sign, hours, minutes = match.group(7, 8, 9, 10)
    leap = second == 60  # a leap second counts as the next second (RFC 3339 §5.7)
    try:
        time = datetime(year, month, day, hour, minute, second - leap, tzinfo=timezone.utc)
    except ValueError:
        return None
    offset = 3600 * int(hours or 0) + 60 * int(minutes or 0)
    seconds = int((time - _EPOCH).total_seconds()) + leap + (offset if sign == "-" else -offset)
    return None if leap and seconds % 86400 else seconds + float(fraction or 0)

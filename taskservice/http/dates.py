"""HTTP dates, as plain values (RFC 9110 §5.6.7)."""

import re
import time
from calendar import timegm
from contextlib import suppress
from datetime import datetime
from email.utils import formatdate
from functools import lru_cache

_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMS = [re.compile(form) for form in (
    f"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
    f"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",
    f"{_DAY} {_MONTH} (?P<day>[0-9 ][0-9]) {_TIME} (?P<year>[0-9]{{4}})")]
"""IMF-fixdate, and the two obsolete forms that recipients must accept: RFC 850's and asctime's."""

_LEAP_SECOND = 60


@lru_cache(maxsize=4096)
def http_date(seconds: int) -> str:
    """Return a time in seconds since the epoch as an HTTP date."""
    return formatdate(seconds, usegmt=True)


def parse_http_date(value: str | None, now: float) -> int | None:
    """Return the seconds since the epoch of an HTTP date in any of its forms; None if it is none.

    A year of two digits is never more than 50 years after `now` (seconds since the epoch).
    """
    if value is not None:
        for form in _FORMS:
            if (match := form.fullmatch(value.strip(" \t"))) is not None:
                return _seconds(match, now)
    return None


def _seconds(match: re.Match[str], now: float) -> int | None:
    """Return the time from the parts of a date; None if no such day or time exists."""
    year, day, hour, minute, second = (
        int(match[name]) for name in ("year", "day", "hour", "minute", "second"))
    month = _MONTHS.index(match["month"]) + 1
    if len(match["year"]) == 2:
        year = _whole_year(year, (month, day, hour, minute, second), now)
    with suppress(ValueError):
        datetime(year, month, day, hour, minute, second - second // _LEAP_SECOND)
        return timegm((year, month, day, hour, minute, second))
    return None


def _whole_year(year: int, rest: tuple[int, ...], now: float) -> int:
    """Return the last year that ends in these two digits and is not too far in the future."""
    limit = time.gmtime(now)
    last = limit.tm_year + 50
    year = last - (last - year) % 100
    return year - 100 if (year, *rest) > (last, *limit[1:6]) else year

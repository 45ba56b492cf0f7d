"""Which form a client takes, and which it sends (RFC 9110 §8.3, §12.5), as plain values."""

import re
from typing import Final

from taskservice.errors import UnsupportedMediaTypeError
from taskservice.http.fields import Element, parse_list, remembered, shorten

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
EVENT_STREAM: Final = "text/event-stream"
MERGE_PATCH: Final = "application/merge-patch+json"
PROBLEM: Final = "application/problem+json"
FORM: Final = "application/x-www-form-urlencoded"

_NAMED = 2
"""How precise a range is that names the type: 1 is `type/*`, 3 has the charset with it."""

_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_CHARSET = ("charset", "utf-8")
_UTF_8 = frozenset({"utf-8", "utf8"})


@remembered
def preferred_type(accept: str | None, *others: str) -> str:
    """Return JSON, or that of `others` which an Accept field prefers to it (RFC 9110 §12.5.1).

    Another is preferred only where it is named, with more weight than JSON, or with as much where
    JSON is just let in by a wildcard. What accepts none of them gets JSON too: never a 406.
    """
    ranges = parse_list(accept or "")

    def rank(offer: str) -> tuple[float, bool]:
        quality, precision = _weight(ranges, offer)
        named = quality > 0 and precision >= _NAMED
        return (quality, named) if named or offer == JSON else (0.0, False)
    return max((JSON, *others), key=rank)


@remembered
def wants_problem(accept: str | None) -> bool:
    """Return whether errors are to come as problem+json: named, with no less weight than JSON."""
    ranges = parse_list(accept or "")
    quality, precision = _weight(ranges, PROBLEM)
    return precision >= _NAMED and 0 < quality >= _weight(ranges, JSON)[0]


def _weight(ranges: tuple[Element, ...], media_type: str) -> tuple[float, int]:
    """Return quality and precision of the most precise range that has the type in it."""
    names = ("*/*", f"{media_type.partition('/')[0]}/*", media_type)
    precision, quality = -1, 0.0
    for (name, value), *parameters in ranges:
        if name in names and not value and (weight := _quality(parameters)) is not None:
            level = names.index(name) + (parameters[:1] != [] and parameters[0][0] == "charset")
            precision, quality = max((precision, quality), (level, weight))
    return quality, precision


def _quality(parameters: list[tuple[str, str]]) -> float | None:
    """Return the weight of a range (§12.4.2); None if it is malformed, or wants what we lack."""
    for name, value in parameters:
        if name == "q":
            return float(value) if _QUALITY.fullmatch(value) else None
        if (name, value.lower()) != _CHARSET:
            return None
    return 1.0


@remembered
def media_type(content_type: str | None, *others: str) -> str:
    """Return the type of a body: JSON, or one of `others`; raises UnsupportedMediaTypeError.

    None at all is taken for JSON, and so is what curl's `-d` declares. A charset has to be UTF-8
    (RFC 8259 §8.1); other parameters mean nothing here.
    """
    if not content_type:
        return JSON
    elements = parse_list(content_type)
    if len(elements) == 1 and _is_utf_8(elements[0]):
        [((name, value), *_)] = elements
        if not value and name in (JSON, FORM, *others):
            return JSON if name == FORM else name
    expected = (JSON, *others)
    raise UnsupportedMediaTypeError(
        f"Content-Type: expected {' or '.join(expected)}, in UTF-8, got '{shorten(content_type)}'",
        "Content-Type", expected)


def _is_utf_8(element: Element) -> bool:
    return all(value.lower() in _UTF_8 for name, value in element[1:] if name == "charset")


def check_content_encoding(content_encoding: str | None) -> None:
    """Raise UnsupportedMediaTypeError for a body that is coded (RFC 9110 §8.4)."""
    if content_encoding and content_encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaTypeError(
            f"Content-Encoding: expected identity, got '{shorten(content_encoding)}'",
            "Content-Encoding", ["identity"])


@remembered
def accepts_gzip(accept_encoding: str | None) -> bool:
    """Return whether gzip may be used, by the value of Accept-Encoding (RFC 9110 §12.5.3)."""
    elements = parse_list(accept_encoding or "")
    weights = {name: _quality(parameters) for (name, _), *parameters in elements}
    for name in ("gzip", "x-gzip", "*"):
        if name in weights:
            return bool(weights[name])
    return False

"""Content negotiation: the form a client accepts, and the form it sends (RFC 9110 §8.3, §12.5)."""

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
"""How specific a range is that includes the type: 1 is `type/*`, 3 also names the charset."""

_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_CHARSET = ("charset", "utf-8")
_UTF_8 = frozenset({"utf-8", "utf8"})


@remembered
def preferred_type(accept: str | None, *others: str) -> str:
    """Return JSON, or the one of `others` that an Accept field prefers to it (RFC 9110 §12.5.1).

    Another is preferred only if it is named, with more weight than JSON, or with the same where JSON is only covered by
    a wildcard. A client that accepts none of them gets JSON, never a 406.
    """
    ranges = parse_list(accept or "")

    def rank(offer: str) -> tuple[float, bool]:
        quality, precision = _weight(ranges, offer)
        named = quality > 0 and precision >= _NAMED
        return (quality, named) if named or offer == JSON else (0.0, False)
    return max((JSON, *others), key=rank)


@remembered
def wants_problem(accept: str | None) -> bool:
    """Return whether errors are to be problem+json: if it is named, with no less weight than JSON."""
    ranges = parse_list(accept or "")
    quality, precision = _weight(ranges, PROBLEM)
    return precision >= _NAMED and 0 < quality >= _weight(ranges, JSON)[0]


def _weight(ranges: tuple[Element, ...], media_type: str) -> tuple[float, int]:
    """Return quality and precision of the most specific range that includes the type."""
    names = ("*/*", f"{media_type.partition('/')[0]}/*", media_type)
    precision, quality = -1, 0.0
    for (name, value), *parameters in ranges:
        if name in names and not value and (weight := _quality(parameters)) is not None:
            level = names.index(name) + (parameters[:1] != [] and parameters[0][0] == "charset")
            precision, quality = max((precision, quality), (level, weight))
    return quality, precision


def _quality(parameters: list[tuple[str, str]]) -> float | None:
    """Return the weight of a range (§12.4.2); None if it is malformed, or asks for an unknown parameter."""
    for name, value in parameters:
        if name == "q":
            return float(value) if _QUALITY.fullmatch(value) else None
        if (name, value.lower()) != _CHARSET:
            return None
    return 1.0


@remembered
def media_type(content_type: str | None, *others: str) -> str:
    """Return the type of a body: JSON, or one of `others`; raises UnsupportedMediaTypeError.

    A missing type counts as JSON, and so does the one that curl's `-d` declares. A charset has to be UTF-8 (RFC 8259
    §8.1); other parameters are ignored.
    """
    if not content_type:
        return JSON
    elements = parse_list(content_type)
    if len(elements) == 1 and _is_utf_8(elements[0]):
        name, value = elements[0][0]
        if not value and (name in (JSON, FORM) or name in others):
            return JSON if name == FORM else name
    expected = (JSON, *others)
    raise UnsupportedMediaTypeError(
        f"Content-Type: expected {' or '.join(expected)}, in UTF-8, got '{shorten(content_type)}'",
        "Content-Type", expected)


def _is_utf_8(element: Element) -> bool:
    return all(value.lower() in _UTF_8 for name, value in element[1:] if name == "charset")


def check_content_encoding(content_encoding: str | None) -> None:
    """Raise UnsupportedMediaTypeError for a body with a content coding (RFC 9110 §8.4)."""
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

"""Request fields as plain values: lists with parameters, Prefer, Idempotency-Key, X-Request-Id."""

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Literal, TypeVar, TypeVarTuple

import uuid_utils

from taskservice.datamodel import IdempotencyKey
from taskservice.errors import BadInputError

Rest = TypeVarTuple("Rest")
Result = TypeVar("Result")

Element = tuple[tuple[str, str], ...]
"""An element of a list: its pieces between semicolons, each a name and a value, which may be ''."""

_QUOTED = r'"(?:[^"\\]++|\\.)*+"?'
_ELEMENT = re.compile(rf'(?:[^,"]++|{_QUOTED})++', re.DOTALL)
_PIECE = re.compile(rf'(?:[^;"]++|{_QUOTED})++', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

_SF_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*+)"')
_BARE_KEY = re.compile(r"[\x20\x21\x23-\x2b\x2d-\x7e]+")
_KEY_LENGTH = 255

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

_TRACEPARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-.*)?")

ReturnPreference = Literal["representation", "minimal"]

MAX_QUOTED = 80
_REMEMBERED_LENGTH = 256


def request_id_of(value: str | None) -> str:
    """Return the X-Request-Id of the request if it is well-formed, else a new one."""
    if value is not None and _REQUEST_ID.fullmatch(value):
        return value
    return uuid_utils.uuid4().hex


def trace_id_of(value: str | None) -> str | None:
    """Return the trace id of a `traceparent` field; None unless it is valid (W3C Trace Context §3.2)."""
    match = _TRACEPARENT.fullmatch(value) if value is not None else None
    if match is None or match["version"] == "00" and match["more"]:
        return None
    return match["trace"]


def remembered(
    read: Callable[[str | None, *Rest], Result]
) -> Callable[[str | None, *Rest], Result]:
    """Cache the results for short values: clients send the same ones all the time.

    Long values are parsed each time, so that no client can fill the memory with them.
    """
    cached = lru_cache(maxsize=256)(read)

    @wraps(read)
    def wrapper(value: str | None, *rest: *Rest) -> Result:
        if value is not None and len(value) > _REMEMBERED_LENGTH:
            return read(value, *rest)
        return cached(value, *rest)
    return wrapper


def shorten(text: str) -> str:
    """Return the text, cut to a length that a message should have."""
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"


def parse_list(value: str) -> tuple[Element, ...]:
    """Parse a list of elements with parameters (RFC 9110 §5.6.1, §5.6.6); names in lower case.

    Malformed parts become elements that match nothing; nothing is raised.
    """
    elements = (
        tuple(_pair(piece) for piece in _PIECE.findall(element) if not piece.isspace())
        for element in _ELEMENT.findall(value))
    return tuple(element for element in elements if element)


def _pair(piece: str) -> tuple[str, str]:
    name, _, value = piece.partition("=")
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    return name.strip().lower(), value


@remembered
def preferred_return(prefer: str | None) -> ReturnPreference | None:
    """Return the first `return` preference of a Prefer field (RFC 7240 §4.2).

    Unknown and malformed preferences are ignored (§2).
    """
    for (name, value), *_ in parse_list(prefer or ""):
        if name == "return":
            return _RETURNS.get(value.lower())
    return None


_RETURNS: dict[str, ReturnPreference] = {
    "representation": "representation", "minimal": "minimal"}


def idempotency_key(value: str | None, owner: str, body: bytes) -> IdempotencyKey | None:
    """Make the key of an Idempotency-Key field: the client, the key, and the SHA-256 of the body.

    None if the field is missing; raises BadInputError. Source: draft-ietf-httpapi-idempotency-key-header.
    """
    if value is None:
        return None
    return IdempotencyKey(owner, parse_idempotency_key(value), hashlib.sha256(body).digest())


def parse_idempotency_key(value: str) -> str:
    """Parse an Idempotency-Key: a String (RFC 8941 §3.3.3), or its bare text; BadInputError.

    Bare text has no quote and no comma: a comma would mean two fields that were joined.
    """
    value = value.strip(" \t")
    if (quoted := _SF_STRING.fullmatch(value)) is not None:
        key = _ESCAPED.sub(r"\1", quoted[1])
    else:
        key = value if _BARE_KEY.fullmatch(value) else ""
    if not 1 <= len(key) <= _KEY_LENGTH:
        raise BadInputError(
            f'Idempotency-Key: expected one string of 1 to {_KEY_LENGTH} printable ASCII '
            'characters in double quotes')
    return key

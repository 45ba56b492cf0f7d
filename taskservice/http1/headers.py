"""Header fields, held as they are looked up: by lower-case name."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from tornado.httputil import HTTPHeaders


class LeanHeaders(HTTPHeaders):
    """Tornado's `HTTPHeaders`, for fields that are known to be well-formed.

    Tornado matches each name and value against the grammar and normalises the name before it stores or finds anything,
    which costs as much as all the rest of reading a request. Here a field is found by its lower-case name, and the
    `Http-Header-Case` is made only when names are listed. Every public method answers as the base class does, except
    that `[]=` checks nothing.
    """

    def __init__(self) -> None:
        # Not the base's, which would fill what it keeps; every method that reads it is below.
        self.fields: dict[str, str] = {}
        """The fields by lower-case name; the lines of one that came more than once are joined (RFC 9110 §5.3)."""
        self._lines: dict[str, list[str]] = {}  # those lines

    @classmethod
    def of(cls, fields: dict[str, str], lines: Mapping[str, list[str]] = {}) -> Self:
        """Make them from fields by lower-case name, and all `lines` of those that came more than once.

        The dict of fields is not copied.
        """
        headers = cls()
        headers.fields = fields
        for key, values in lines.items():
            headers._set_lines(key, values)
        return headers

    def _set_lines(self, key: str, values: Sequence[str]) -> None:
        self._lines[key] = [*values]
        self.fields[key] = ",".join(values)

    def copy(self) -> Self:
        """Return others with the same fields."""
        return self.of(self.fields.copy(), self._lines)

    def add(self, name: str, value: str, *, _chars_are_bytes: bool = True) -> None:
        """Add a value; raises HTTPInputError where name or value break the grammar."""
        HTTPHeaders().add(name, value, _chars_are_bytes=_chars_are_bytes)
        key = name.lower()
        if key in self.fields:
            self._set_lines(key, [*self.get_list(key), value])
        else:
            self.fields[key] = value

    def get_list(self, name: str) -> list[str]:
        """Return all values of a field, one for each line that it came in."""
        key = name.lower()
        return self._lines.get(key) or [self.fields[key]] if key in self.fields else []

    def get_all(self) -> Iterable[tuple[str, str]]:
        """Yield all pairs of name and value, a name as often as it has values."""
        if self._lines:
            return [(_IN_HEADER_CASE[key], value)
                    for key in self.fields for value in self.get_list(key)]
        return [(_IN_HEADER_CASE[key], value) for key, value in self.fields.items()]

    def get(self, name: str, default: Any = None) -> Any:
        """Return the combined value; without the exception that a Mapping raises on a miss."""
        return self.fields.get(name.lower(), default)

    def __setitem__(self, name: str, value: str) -> None:
        key = name.lower()
        if self._lines:
            self._lines.pop(key, None)
        self.fields[key] = value

    def __getitem__(self, name: str) -> str:
        return self.fields[name.lower()]

    def __delitem__(self, name: str) -> None:
        key = name.lower()
        self._lines.pop(key, None)
        del self.fields[key]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self.fields

    def __len__(self) -> int:
        return len(self.fields)

    def __iter__(self) -> Iterator[str]:
        return map(_IN_HEADER_CASE.__getitem__, self.fields)


def fields_of(headers: HTTPHeaders) -> dict[str, str]:
    """Return the fields by lower-case name, each with its lines joined: of LeanHeaders no copy."""
    if isinstance(headers, LeanHeaders):
        return headers.fields
    return {name.lower(): value for name, value in headers.items()}


def field_lines(headers: HTTPHeaders) -> list[str]:
    """Return the fields as lines, without their ends."""
    if isinstance(headers, LeanHeaders) and not headers._lines:
        try:
            return [_LINE_STARTS[key] + value for key, value in headers.fields.items()]
        except KeyError:  # a name that is new here
            written = {key: f"{_IN_HEADER_CASE[key]}: " for key in headers.fields}
            _LINE_STARTS.update((key, start) for key, start in written.items() if key in _IN_HEADER_CASE)
    return [*map(": ".join, headers.get_all())]


_LINE_STARTS: dict[str, str] = {}
"""How lines begin, by the lower-case name of their field, for those that _IN_HEADER_CASE has: in a dict without a
`__missing__`, which Python looks up in half the time."""


class _HeaderCases(dict[str, str]):
    """The written form of names, by their lower-case form; the size covers all that a service uses."""

    def __missing__(self, name: str) -> str:
        written = "-".join(word.capitalize() for word in name.split("-"))
        if len(self) < 256:
            self[name] = written
        return written


_IN_HEADER_CASE = _HeaderCases()

"""Header fields, held as they are looked up: by lower-case name."""

from collections.abc import Iterable, Iterator
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
        self._values: dict[str, str] = {}  # the first line of each field
        self._lines: dict[str, list[str]] = {}  # all lines of fields that came more than once

    @classmethod
    def of(cls, values: dict[str, str]) -> Self:
        """Make them from values by lower-case name; the dict is not copied."""
        headers = cls()
        headers._values = values
        return headers

    def copy(self) -> Self:
        """Return others with the same fields."""
        copied = self.of(self._values.copy())
        if self._lines:
            copied._lines = {name: [*values] for name, values in self._lines.items()}
        return copied

    def append(self, name: str, value: str) -> None:
        """Add a field line, its `name` in lower case and both within the grammar (unchecked)."""
        if name in self._values:  # joined when asked for: here it would cost O(n²)
            self._lines.setdefault(name, [self._values[name]]).append(value)
        else:
            self._values[name] = value

    def add(self, name: str, value: str, *, _chars_are_bytes: bool = True) -> None:
        """Add a value; raises HTTPInputError where name or value break the grammar."""
        HTTPHeaders().add(name, value, _chars_are_bytes=_chars_are_bytes)
        self.append(name.lower(), value)

    def get_list(self, name: str) -> list[str]:
        """Return all values of a field, one for each line that it came in."""
        key = name.lower()
        return self._lines.get(key) or [self._values[key]] if key in self._values else []

    def get_all(self) -> Iterable[tuple[str, str]]:
        """Yield all pairs of name and value, a name as often as it has values."""
        if self._lines:
            return [(_IN_HEADER_CASE[key], value)
                    for key in self._values for value in self.get_list(key)]
        return [(_IN_HEADER_CASE[key], value) for key, value in self._values.items()]

    def get(self, name: str, default: Any = None) -> Any:
        """Return the combined value; without the exception that a Mapping raises on a miss."""
        key = name.lower()
        if self._lines and key in self._lines:
            return ",".join(self._lines[key])
        return self._values.get(key, default)

    def __setitem__(self, name: str, value: str) -> None:
        key = name.lower()
        if self._lines:
            self._lines.pop(key, None)
        self._values[key] = value

    def __getitem__(self, name: str) -> str:
        key = name.lower()
        if key in self._lines:
            return ",".join(self._lines[key])  # RFC 9110 §5.3
        return self._values[key]

    def __delitem__(self, name: str) -> None:
        key = name.lower()
        self._lines.pop(key, None)
        del self._values[key]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        return map(_IN_HEADER_CASE.__getitem__, self._values)


class _HeaderCases(dict[str, str]):
    """The written form of names, by their lower-case form; the size covers all that a service uses."""

    def __missing__(self, name: str) -> str:
        written = "-".join(word.capitalize() for word in name.split("-"))
        if len(self) < 256:
            self[name] = written
        return written


_IN_HEADER_CASE = _HeaderCases()

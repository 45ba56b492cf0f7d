"""Entity tags and the conditions on them, as plain values (RFC 9110 §8.8.3, §13.1)."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_REVISION = re.compile(r"0|[1-9][0-9]{0,18}")


def task_etag(revision: int) -> str:
    """Return the strong tag of a task: it names the bytes."""
    return f'"{revision}"'


def list_etag(revision: int) -> str:
    """Return the weak tag of a list: it names the store's revision, in any form of the list."""
    return f'W/"{revision}"'


@dataclass(frozen=True, slots=True)
class ETags:
    """The value of an If-Match or If-None-Match field: `*`, or tags.

    What is not a tag is passed over: a condition that names no tag holds for none.
    """

    any: bool = False
    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()

    @classmethod
    def from_header(cls, value: str | None) -> Self | None:
        """Read the field's value; None where the field is not there."""
        if value is None:
            return None
        if value.strip() == "*":
            return cls(any=True)
        tags = _TAG.findall(value)
        return cls(
            strong=frozenset(tag for weak, tag in tags if not weak),
            weak=frozenset(tag for weak, tag in tags if weak))

    def contains_weak(self, etag: str) -> bool:
        """Tell whether `etag` is among them by the weak comparison: whatever is marked weak."""
        tag = etag.removeprefix("W/").strip('"')
        return self.any or tag in self.strong or tag in self.weak

    def revisions(self) -> Collection[int] | None:
        """Return the revisions named by the strong tags; None for `*`, which any meets."""
        if self.any:
            return None
        return frozenset(int(tag) for tag in self.strong if _REVISION.fullmatch(tag))

"""Entity tags, as plain values (RFC 9110 §8.8.3)."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from taskservice.precondition import ANY_REVISION

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*+)"')
_LIST = re.compile(rf"[ \t,]*+(?:(?:{_TAG.pattern})[ \t]*+(?:,[ \t,]*+|\Z))*+")
_REVISION = re.compile(r"0|[1-9][0-9]{0,18}")


def task_etag(revision: int) -> str:
    """Return the strong tag of a task: it identifies the bytes."""
    return f'"{revision}"'


def list_etag(revision: int) -> str:
    """Return the weak tag of a list: it identifies the store's revision, whatever form the list has."""
    return f'W/"{revision}"'


@dataclass(frozen=True, slots=True)
class ETags:
    """The value of an If-Match or If-None-Match field: `*`, or a list of tags (§13.1.1)."""

    any: bool = False
    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, value: str) -> Self | None:
        """Parse the field's value; None if it is neither `*` nor a list of tags.

        Elements of the list may be empty, and so may the list (§5.6.1.2).
        """
        if value.strip(" \t") == "*":
            return cls(any=True)
        if not _LIST.fullmatch(value):
            return None
        tags = _TAG.findall(value)
        return cls(
            strong=frozenset(tag for weak, tag in tags if not weak),
            weak=frozenset(tag for weak, tag in tags if weak))

    def matches_strongly(self, etag: str) -> bool:
        """Return whether `etag` is among them by the strong comparison: neither is weak (§8.8.3.2)."""
        return self.any or etag.strip('"') in self.strong

    def matches_weakly(self, etag: str) -> bool:
        """Return whether `etag` is among them by the weak comparison (§8.8.3.2)."""
        tag = etag.removeprefix("W/").strip('"')
        return self.any or tag in self.strong or tag in self.weak

    @property
    def strong_revisions(self) -> Collection[int]:
        """The revisions in the strong tags; every revision for `*`."""
        return ANY_REVISION if self.any else _revisions(self.strong)

    @property
    def weak_revisions(self) -> Collection[int]:
        """The revisions in the weak tags."""
        return _revisions(self.weak)

    @property
    def revisions(self) -> Collection[int]:
        """The revisions in all tags; every revision for `*`."""
        return ANY_REVISION if self.any else _revisions(self.strong | self.weak)


def _revisions(tags: frozenset[str]) -> frozenset[int]:
    return frozenset(int(tag) for tag in tags if _REVISION.fullmatch(tag))

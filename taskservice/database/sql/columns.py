"""The columns of a task, the same in both SQL engines.

The table `tasks` has the task as JSON (`body`) and, derived from it, the columns that lists filter and sort by. The
table `texts` has the text that searches look in, apart, so that a search reads nothing else.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from taskservice.datamodel import FACETS, TaskEntry, search_text
from taskservice.errors import BadInputError

TASK_COLUMNS = ("id", "revision", "body", *(facet.name for facet in FACETS))
"""The columns of `tasks`."""

LARGE_TEXT = 4096
"""Bytes; smaller pieces of memory find another use."""


@dataclass(frozen=True, slots=True)
class EncodedTask:
    """A task as it is stored, without its id and revision; the texts are in UTF-8.

    As strings, texts of mixed scripts would take up to four times the memory, for as long as a large create waits for
    its transaction.
    """

    body: bytes
    derived: tuple[Any, ...]
    """The values of the facets."""
    search_text: bytes

    @classmethod
    def of(cls, entry: TaskEntry) -> "EncodedTask":
        """Encode a task; raises BadInputError for text that a store cannot hold."""
        check_text(entry.title, entry.description or "")
        return cls(
            _exact(entry.to_json()), tuple([facet.kind(facet.of(entry)) for facet in FACETS]),
            _exact(search_text(entry).encode()))


class Row(NamedTuple):
    """A row of `tasks`, and one of `texts`."""

    id: str
    revision: int
    task: EncodedTask

    def columns(self) -> tuple[Any, ...]:
        """Return the values of TASK_COLUMNS."""
        return (self.id, self.revision, self.task.body.decode(), *self.task.derived)

    def text(self) -> tuple[str, str]:
        """Return the values of `texts`: the id, and the text that searches look in."""
        return self.id, self.task.search_text.decode()


def _exact(encoded: bytes) -> bytes:
    """Return a large text in a piece of memory of exactly its size.

    `str.encode` allocates four bytes a character, and releases the surplus: between two texts that are kept, that gap
    would fit nothing else.
    """
    return encoded if len(encoded) < LARGE_TEXT else bytes(memoryview(encoded))


def check_text(*texts: str) -> None:
    """Raise BadInputError for U+0000, and UnicodeEncodeError for a lone surrogate."""
    for text in texts:
        text.encode()
        if "\0" in text:
            raise BadInputError("text does not hold U+0000")

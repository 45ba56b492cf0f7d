"""A task as engines store it and return it."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from taskservice.task import TaskEntry, TaskPriority


@dataclass(frozen=True, slots=True, init=False)
class StoredTask:
    """A task as an engine returns it: its id, the revision of its last write, and its JSON.

    The JSON is made once, when the task is written. An engine may hold very many of these, so it is held once, and
    what can be made of it is made on demand.
    """

    id: str
    revision: int
    member: bytes
    """The task as a member of a JSON object, `"id": body`: what lists are joined of."""

    completed: bool | None = field(compare=False, repr=False)
    priority: TaskPriority | None = field(compare=False, repr=False)
    due_date: int | float | None = field(compare=False, repr=False)
    """What lists filter and sort by; kept, once they were asked for."""

    def __init__(self, task_id: str, revision: int, body: bytes) -> None:
        _set(self, "id", task_id)
        _set(self, "revision", revision)
        _set(self, "member", b'"%b": %b' % (task_id.encode(), body))

    @classmethod
    def of(cls, task_id: str, revision: int, entry: TaskEntry) -> "StoredTask":
        """Encode `entry`."""
        return cls(task_id, revision, entry.to_json())

    def __getattr__(self, name: str) -> Any:
        """Return a member of the task; the first of them also sets those that are kept."""
        if name not in _MEMBERS:
            raise AttributeError(name, name=name, obj=self)
        entry = self.entry
        for member in _KEPT:
            _set(self, member, getattr(entry, member))
        return getattr(entry, name)

    @property
    def body(self) -> bytes:
        """Its JSON."""
        return self.member[len(self.id) + _AROUND_ID:]  # an id is ASCII (TASK_ID)

    @property
    def size(self) -> int:
        """The length of its JSON in bytes."""
        return len(self.member) - len(self.id) - _AROUND_ID

    @property
    def entry(self) -> TaskEntry:
        """The task itself, parsed from its JSON each time: some three microseconds."""
        return TaskEntry.from_dict(self._document())

    @property
    def title(self) -> str:
        """Its title, parsed each time: in a third of the time of the whole, unless something in it is escaped."""
        plain = _PLAIN_TITLE.match(self.member, len(self.id) + _AROUND_ID)
        title: str = self._document()["title"] if plain is None else plain[1].decode()
        return title

    def _document(self) -> dict[str, Any]:
        document: dict[str, Any]
        document, _ = _DECODER.raw_decode(self.member.decode(), len(self.id) + _AROUND_ID)
        return document


_set = object.__setattr__  # as the __init__ of a frozen dataclass does it
_AROUND_ID = len('"": ')
_KEPT = ("completed", "priority", "due_date")
_MEMBERS = frozenset(TaskEntry._fields)
_PLAIN_TITLE = re.compile(rb'\{"title": "([^"\\]*+)"')
_DECODER = json.JSONDecoder()

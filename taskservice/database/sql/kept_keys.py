"""Idempotency keys in an SQL store: the result of each create, in a form that is small for a bulk, too.

The result is stored as JSON, `[[id, revision], [id, revision, count], …]`: a task with the id that its client gave it,
or `count` tasks with new ids and consecutive revisions, of which the first is named. The ids of the others follow from
their revisions and the random part of the first.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from taskservice.database.revisions import new_task_id, random_part_of
from taskservice.datamodel import Created


@dataclass(frozen=True, slots=True)
class KeptKey:
    """An idempotency key in the store: the digest of the body, the result, and the expiry."""

    digest: bytes
    outcome: str
    expires: int

    def created(self) -> Created:
        """Return the tasks that a create with this key made."""
        return Created(tuple(_tasks(self.outcome)), replayed=True)


def outcome_of(created: Created, given: Collection[str]) -> str:
    """Return the tasks that a create made, in stored form; its client chose the ids in `given`."""
    parts: list[list[str | int]] = []
    count = 0
    for task_id, revision in created.tasks:
        if task_id in given:
            parts.append([task_id, revision])
            count = 0
        elif count:
            count += 1
            parts[-1][2] = count
        else:
            parts.append([task_id, revision, 1])
            count = 1
    return json.dumps(parts)


def _tasks(outcome: str) -> Iterator[tuple[str, int]]:
    for task_id, revision, *counted in json.loads(outcome):
        yield task_id, revision
        for following in range(revision + 1, revision + sum(counted)):
            yield new_task_id(following, random_part_of(task_id)), following

"""A task in three forms: as it comes, as the program works with it, as it is stored."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any, Self

import jsonschema

SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string", "minLength": 1}, "due_date": {"type": "number"}},
    "required": ["title"],
    "additionalProperties": False,
}


def no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


@dataclass(frozen=True)
class Task:
    """What the program works with; None is what was not sent."""

    title: str
    due_date: float | None = None

    @classmethod
    def from_json(cls, body: str) -> Self:
        """Return the task of a body; raises ValueError, jsonschema.ValidationError."""
        members: dict[str, Any] = json.loads(body, parse_constant=no_number)
        jsonschema.validate(members, SCHEMA)
        return cls(**members)

    def to_json(self) -> str:
        """Return it as it was sent: without the members that were not."""
        return json.dumps({name: value for name, value in vars(self).items() if value is not None})


def main() -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE tasks (id INTEGER PRIMARY KEY, due REAL, body TEXT NOT NULL)")
    for body in ('{"title": "Buy milk"}', '{"title": "Pay", "due_date": 5}', '{"title": 5}',
                 '{"title": "Pay", "due_date": NaN}', '{"title": "Pay", "due": 5}'):
        try:
            task = Task.from_json(body)
        except (ValueError, jsonschema.ValidationError) as error:
            print("refused:", str(error).splitlines()[0])
        else:
            database.execute("INSERT INTO tasks (due, body) VALUES (?, ?)", (task.due_date, task.to_json()))
    print(database.execute("SELECT due, body FROM tasks ORDER BY due NULLS LAST").fetchall())


main()

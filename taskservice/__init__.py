"""A to-do list as a REST microservice on Tornado."""

import json
from pathlib import Path
from typing import Any

__version__ = "1.0.0"

LOGGER_NAME = "taskservice"

_SCHEMA_FOLDER = Path(__file__).resolve().parent.parent / "schema"


def read_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a task (`todoList-v1.0`) or of the config (`config-v1.0`)."""
    schema: dict[str, Any] = json.loads((_SCHEMA_FOLDER / f"{name}.json").read_bytes())
    return schema

"""A to-do list as a REST microservice on Tornado."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__version__ = "2.0.0"

LOGGER_NAME = "taskservice"


def code() -> str:
    """Return what runs of the modules that can be compiled (setup.py): `compiled`, or `plain` Python."""
    spec = find_spec("taskservice.http1.parser")
    assert spec is not None and spec.origin is not None
    return "plain" if spec.origin.endswith(".py") else "compiled"


def shared_folder(name: str) -> Path:
    """Return the folder `schema` or `configs`: beside the package in a checkout, inside it where it is installed."""
    package = Path(__file__).resolve().parent
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


def read_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a task (`todoList-v1.0`) or of the config (`config-v1.0`)."""
    schema: dict[str, Any] = json.loads((shared_folder("schema") / f"{name}.json").read_bytes())
    return schema

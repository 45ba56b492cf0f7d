"""Which engine the configuration asks for; a driver is imported only when its engine is chosen."""

from importlib import import_module
from typing import Any, Mapping

from taskservice.database.todolist_db import AbstractTodoListDB
from taskservice.errors import ConfigError

ENGINES = {
    "memory": "taskservice.database.todolist_db:InMemoryTodoListDB",
    "fs": "taskservice.database.todolist_db:FileTodoListDB",
    "sqlite": "taskservice.database.sqlite_db:SQLiteTodoListDB",
    "postgres": "taskservice.database.postgres_db:PostgresTodoListDB",
}
"""Name in the config -> `module:class`; the class has a `from_config` that takes what it holds."""


def create_todolist_db(config: Mapping[str, Any] | None) -> AbstractTodoListDB:
    """Make the engine that `task-db` names, e.g. ``{"fs": "/tmp/taskservice-db"}``; not started.

    None means memory. Raises ConfigError for an unknown engine or one whose package is missing.
    """
    config = config or {"memory": None}
    if len(config) != 1:
        raise ConfigError(f"task-db: expected one engine, got {', '.join(config)}")
    [(name, options)] = config.items()
    if name not in ENGINES:
        raise ConfigError(f"task-db: unknown engine '{name}', expected {' or '.join(ENGINES)}")
    module, class_name = ENGINES[name].split(":")
    try:
        engine: type[AbstractTodoListDB] = getattr(import_module(module), class_name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"task-db: {name} needs the package '{error.name}'") from error
    return engine.from_config(options)

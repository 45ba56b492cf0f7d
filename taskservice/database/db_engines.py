"""Which engine the configuration asks for; a driver is imported only when its engine is chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from taskservice.database.contract import AbstractTodoListDB
from taskservice.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Engine:
    """Where an engine is, and its options in the config."""

    location: str
    """`module:class`."""
    expected: str
    """A description of the engine's options, for errors."""
    main: str | None = None
    """The parameter of the class for an option that is a string alone; None: there is none."""
    options: Sequence[str] = ()
    """The keys of a mapping in the config; the parameters have `_` for `-`."""

    def arguments(self, name: str, value: Any) -> dict[str, Any]:
        """Return the arguments of the class for its options in the config; raises ConfigError."""
        if self.main is None and value is None:
            return {}
        if self.main is not None and isinstance(value, str) and value:
            return {self.main: value}
        if self.main is None or not (
                self.options and isinstance(value, Mapping) and isinstance(value.get(self.main), str)):
            raise ConfigError(f"task-db.{name}: expected {self.expected}")
        keys = (self.main, *self.options)
        for key in value:
            if key not in keys:
                raise ConfigError(f"task-db.{name}.{key}: unknown, expected one of {', '.join(keys)}")
        return {key.replace("-", "_"): option for key, option in value.items()}


ENGINES = {
    "memory": Engine("taskservice.database.memory_db:InMemoryTodoListDB", "null: it takes no options"),
    "fs": Engine("taskservice.database.file_db:FileTodoListDB", "the path of a folder", "folder"),
    "sqlite": Engine(
        "taskservice.database.sqlite.engine:SQLiteTodoListDB",
        "the path of a file, or a mapping with path", "path", ("busy-timeout", "search-index")),
    "postgres": Engine(
        "taskservice.database.postgres.engine:PostgresTodoListDB",
        "postgresql://user@host/database, or a mapping with dsn", "dsn",
        ("pool-size", "acquire-timeout", "statement-timeout", "pgbouncer", "search-index", "schema")),
}
"""The engines by their names in the config."""


def create_todolist_db(config: Mapping[str, Any] | None) -> AbstractTodoListDB:
    """Make the engine that `task-db` names, e.g. ``{"fs": "/tmp/taskservice-db"}``; not started.

    None means memory. Raises ConfigError for an unknown engine, for unknown options, and if its package is missing.
    """
    config = config or {"memory": None}
    if len(config) != 1:
        raise ConfigError(f"task-db: expected one engine, got {', '.join(config)}")
    [(name, value)] = config.items()
    if name not in ENGINES:
        raise ConfigError(f"task-db: unknown engine '{name}', expected {' or '.join(ENGINES)}")
    module, class_name = ENGINES[name].location.split(":")
    try:
        engine: type[AbstractTodoListDB] = getattr(import_module(module), class_name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"task-db: {name} needs the package '{error.name}'") from error
    return engine(**ENGINES[name].arguments(name, value))

"""A live server for the tests of this folder: a process of its own, as a user starts it."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.helpers.processes import ServiceProcess, started


def config(task_db: Mapping[str, Any], level: str = "INFO", **sections: Any) -> str:
    """Return a config with this engine, whose log is on standard output: logfmt alone.

    `sections` are others, such as http.
    """
    handler = {"class": "logging.StreamHandler", "formatter": "bare", "stream": "ext://sys.stdout"}
    return yaml.safe_dump({
        **sections,
        "task-db": dict(task_db),
        "logging": {
            "version": 1,
            "formatters": {"bare": {"format": "%(message)s"}},
            "handlers": {"console": handler},
            "loggers": {"taskservice": {"level": level}},
            "root": {"level": "WARNING", "handlers": ["console"]},
        }})


@contextmanager
def live_server(
    task_db: Mapping[str, Any], level: str = "INFO", **sections: Any
) -> Iterator[ServiceProcess]:
    """Start a server on a free port, with a config of its own; it is gone at the end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(config(task_db, level, **sections), "utf-8")
        with started("python3", "run.py", "serve", "--config", path, "--port", "0") as service:
            yield service

"""Tasks to try the service with: `tasks/*.json`."""

from pathlib import Path

TASKS_FOLDER = Path(__file__).resolve().parent / "tasks"


def task_data_suite() -> tuple[Path, ...]:
    """Return the files of the suite, a task each, in order."""
    return tuple(sorted(TASKS_FOLDER.glob("*.json")))

"""What a test run has left in the project's folder, and what bears the service's name where temporary files go."""

import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHES = {".git", ".hypothesis", ".mypy_cache", "__pycache__", "htmlcov"}
"""Folders that tools keep, and that a run may change."""


def files() -> set[Path]:
    """Return the files and folders that there are, but for caches, virtual environments and coverage's data."""
    temporary = ("/tmp", "/dev/shm", tempfile.gettempdir())
    found = {path for folder in temporary for path in Path(folder).glob("taskservice*")}
    for name, folders, plain in os.walk(ROOT):
        folder = Path(name)
        folders[:] = [each for each in folders if each not in CACHES and not (folder / each / "pyvenv.cfg").exists()]
        found.update(folder / each for each in (*folders, *plain) if not each.startswith(".coverage"))
    return found

"""Folders that stores are kept in."""

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, as far as they are missing; raises OSError.

    It lasts: a new entry is there after a power cut once the folder that it is in is flushed.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

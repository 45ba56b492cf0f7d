"""Folders that stores are kept in."""

import os
from pathlib import Path

from taskservice.errors import StoreReadOnlyError, StoreUnavailableError


def is_usable(folder: Path) -> bool:
    """Return whether a folder exists; raises StoreError if it could not be made, or not be written to."""
    place = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not place.is_dir():
        raise StoreUnavailableError(f"{folder}: {place} is not a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise StoreReadOnlyError(f"{folder}: {place} may not be written to")
    return place == folder


def make_folder(folder: Path) -> None:
    """Make a folder, and its missing parents, durably; raises OSError.

    A new entry survives a power cut only once its parent folder is flushed.
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

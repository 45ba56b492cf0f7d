"""How far an import is, kept in a file beside what it imports until it is done."""

import errno
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from taskservice.client.errors import TransferError, reason
from taskservice.client.files import remove_leftovers, replacing
from taskservice.client.source import MAX_LINES

VERSION = 1
"""The version of the file's form."""


@dataclass(frozen=True)
class Progress:
    """How far an import is."""

    url: str
    offset: int = 0
    """All bytes before it are done."""
    line: int = 0
    """How many lines they are."""
    done: str = sha256().hexdigest()
    """Their SHA-256."""
    most: int = MAX_LINES
    """How many lines the service takes at once, as far as is known."""


class ProgressFile:
    """The file beside `source` in which progress is kept."""

    def __init__(self, source: Path) -> None:
        self.path = source.with_name(f"{source.name}.import")
        self.error = ""
        """Why nothing can be kept, as in a folder that is read-only."""

    def load(self) -> Progress | None:
        """Return what is kept, if anything is; raises TransferError for a file that cannot be used."""
        remove_leftovers(self.path)
        try:
            return _parse(orjson.loads(self.path.read_bytes()))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # nothing can be kept under this name
                return None
            why = reason(error)
        except (ValueError, TypeError):
            why = "it is damaged, or of another version"
        raise TransferError(f"{self.path} says how far an import is, and cannot be used: {why}. {self.anew}")

    @property
    def anew(self) -> str:
        """Return how to begin anew."""
        return f"To import all anew, remove {self.path.name}"

    def save(self, progress: Progress) -> None:
        """Keep this in place of what was kept, or note the error why not."""
        if self.error:
            return
        try:
            with replacing(self.path) as file:
                file.write(orjson.dumps({"version": VERSION, **asdict(progress)}))
        except OSError as error:
            self.error = reason(error)

    def remove(self) -> None:
        """Keep nothing."""
        with suppress(OSError):  # what stays says that all is done
            self.path.unlink()


def _parse(document: Any) -> Progress:
    """Raise ValueError or TypeError for what is not progress in the form of this version."""
    if not isinstance(document, dict) or document.pop("version", None) != VERSION:
        raise ValueError
    progress = Progress(**document)
    numbers = (progress.offset, progress.line, progress.most)
    if not all(type(number) is int and number >= 0 for number in numbers) or not progress.most:
        raise ValueError
    if not (isinstance(progress.url, str) and isinstance(progress.done, str)):
        raise ValueError
    return progress

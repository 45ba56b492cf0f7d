"""The progress of an import, kept in a file beside its source until it is done."""

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
"""The version of the file's format."""


@dataclass(frozen=True)
class Progress:
    """The progress of an import."""

    url: str
    offset: int = 0
    """All bytes before this offset are done."""
    line: int = 0
    """How many lines those are."""
    done: str = sha256().hexdigest()
    """Their SHA-256."""
    most: int = MAX_LINES
    """How many lines the service takes in one request, as far as is known."""


class ProgressFile:
    """The file beside `source` that keeps the progress."""

    def __init__(self, source: Path) -> None:
        self.path = source.with_name(f"{source.name}.import")
        self.error = ""
        """Why progress cannot be kept, as in a read-only folder."""

    def load(self) -> Progress | None:
        """Return the progress that was kept, if any; raises TransferError for a file that cannot be used."""
        remove_leftovers(self.path)
        try:
            return _parse(orjson.loads(self.path.read_bytes()))
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # this name cannot exist
                return None
            why = reason(error)
        except (ValueError, TypeError):
            why = "it is damaged, or of another version"
        raise TransferError(f"{self.path} says how far an import is, and cannot be used: {why}. {self.anew}")

    @property
    def anew(self) -> str:
        """Return how to start over."""
        return f"To import all anew, remove {self.path.name}"

    def save(self, progress: Progress) -> None:
        """Keep this progress in place of the earlier, or note the error."""
        if self.error:
            return
        try:
            with replacing(self.path) as file:
                file.write(orjson.dumps({"version": VERSION, **asdict(progress)}))
        except OSError as error:
            self.error = reason(error)

    def remove(self) -> None:
        """Forget the progress."""
        with suppress(OSError):  # a file that stays says that all is done
            self.path.unlink()


def _parse(document: Any) -> Progress:
    """Raise ValueError or TypeError unless it is progress in this version's format."""
    if not isinstance(document, dict) or document.pop("version", None) != VERSION:
        raise ValueError
    progress = Progress(**document)
    numbers = (progress.offset, progress.line, progress.most)
    if not all(type(number) is int and number >= 0 for number in numbers) or not progress.most:
        raise ValueError
    if not (isinstance(progress.url, str) and isinstance(progress.done, str)):
        raise ValueError
    return progress

"""Why an export or an import failed; each class has the exit code of its command.

::

    TransferError          1    the tasks did not get across, or not all of them; the message says how to go on
    ├── OptionError        2    an option or a variable is wrong; the message names it, and what was expected
    ├── AwayError          1    the service cannot be reached or cannot answer for now: worth trying again
    ├── BrokenAnswerError  1    an answer was cut, or is damaged
    ├── InterruptedByUser  130  Ctrl-C
    └── ReaderLeftError    141  nobody reads standard output any more; needs no message
"""

from typing import ClassVar

from taskservice.errors import TodoListError

MAX_TEXT = 300
"""How many characters of a foreign text a message repeats."""


class TransferError(TodoListError):
    """The tasks did not get across, or not all of them; the message says how to go on."""

    code: ClassVar[int] = 1


class OptionError(TransferError):
    """An option or a variable is wrong; the message names it, and what was expected."""

    code = 2


class AwayError(TransferError):
    """The service cannot be reached or cannot answer for now.

    `retry_after` is the time in seconds that it asks clients to wait.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BrokenAnswerError(TransferError):
    """An answer was cut, or is damaged."""


class InterruptedByUser(TransferError):
    """Ctrl-C."""

    code = 130  # as shells say it: 128 + SIGINT


class ReaderLeftError(TransferError):
    """Nobody reads standard output any more, as behind `| head`."""

    code = 141  # as shells say it: 128 + SIGPIPE


def one_line(text: object) -> str:
    """Return a text from elsewhere as part of a message: one line, printable, not too long."""
    shown = "".join(character if character.isprintable() else " " for character in str(text)).strip()
    return shown if len(shown) <= MAX_TEXT else f"{shown[:MAX_TEXT]}…"


def reason(error: BaseException) -> str:
    """Return the cause in a few words: the system's own, or the error's, or the name of its class."""
    if isinstance(error, OSError) and error.strerror:
        return one_line(error.strerror)
    return one_line(error) or type(error).__name__


def counted(count: int, thing: str) -> str:
    """Return a number with its noun: 1 task, 2 tasks."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"

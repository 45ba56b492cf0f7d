"""What signals do, from the first moment of the process to its last.

================  ===========================================================================
SIGTERM, SIGINT   the first ends the process cleanly, the second at once
SIGHUP            the config is read anew; but where standard input is a terminal it ends the
                  process cleanly, as the window is being closed
SIGUSR1, SIGUSR2  nothing, but for a line in the log: by default each ends the process
================  ===========================================================================

SIGPIPE is ignored by Python itself; SIGQUIT keeps its default, a core dump.

This module imports little, so that a program can make its `Signals` before all else.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_STOPS = (signal.SIGTERM, signal.SIGINT)
_TAKEN = (*_STOPS, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

WINDOW_INTERVAL = 2.0
"""Seconds between two looks at whether the window is there."""


class Signals:
    """Takes the signals of this process; keeps them until `delivered` is entered.

    It uses Python's own handlers, not the loop's: they work before there is a loop, and after it.
    """

    def __init__(self) -> None:
        self.stopping = False
        self._kept: list[int] = []
        self._deliver: Callable[[int], object] = self._kept.append
        self._at_once: Callable[[], object] = lambda: None
        # Under nohup SIGHUP is ignored from the start: the process is meant to outlive its window.
        self._in_window = os.isatty(0) and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        self._window_gone = False
        for number in _TAKEN:
            signal.signal(number, self._take)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _TAKEN)  # see `held_back`

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if number in _STOPS:
            if self.stopping:
                self._at_once()
                os._exit(128 + number)
            self.stopping = True
        elif number == signal.SIGHUP and self._in_window:  # several may come: from the shell, and from the kernel
            if self.stopping:
                return
            self.stopping, number = True, signal.SIGTERM
        self._deliver(number)

    def look_for_window(self, _: object = None) -> None:
        """Find out whether the window has gone and left the process running, as with `disown`: SIGHUP reloads then.

        Call it every `WINDOW_INTERVAL` seconds. It takes two calls that find no terminal, because the
        SIGHUP of a window that is being closed comes just after its terminal has gone.
        """
        if self._in_window:
            before, self._window_gone = self._window_gone, not os.isatty(0)
            if before and self._window_gone:
                self._in_window = False
                _log("TERMINAL GONE")

    @contextmanager
    def delivered(
        self, call: Callable[..., object], stop: Callable[[], object],
        at_once: Callable[[], object] = lambda: None, reload: Callable[[], object] = lambda: None
    ) -> Iterator[None]:
        """In the block call `stop` at the first stop signal, and `reload` at SIGHUP, also if they came before.

        `call` is the loop's `call_soon_threadsafe`. At the second stop signal `at_once` is called,
        wherever the process is, and the process exits with 128 and the signal's number.
        """
        def deliver(number: int) -> None:
            if number in _STOPS:
                call(stop)
            elif number == signal.SIGHUP and not self.stopping:
                call(reload)
            else:
                call(_log_ignored, number)

        self._at_once, self._deliver = at_once, deliver
        while self._kept:
            deliver(self._kept.pop(0))
        try:
            yield
        finally:
            self._at_once, self._deliver = lambda: None, self._kept.append


def _log_ignored(number: int) -> None:
    _log("SIGNAL IGNORED", "WARNING", signal=signal.Signals(number).name)


def _log(message: str, level: str = "INFO", /, **facts: str) -> None:
    import logging  # here, because it is not needed earlier

    from taskservice import LOGGER_NAME
    from taskservice.utils import logutils
    number = logging.getLevelNamesMapping()[level]
    logutils.log(logging.getLogger(LOGGER_NAME), number, context={"message": message, **facts})


@contextmanager
def held_back() -> Iterator[None]:
    """In the block start processes that get no signal before they have their `Signals`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

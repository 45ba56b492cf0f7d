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
    """Takes the signals of this process; keeps them until somebody asks for them by `delivered`.

    Python's own handlers, and not the loop's: they hold before there is a loop, and after it.
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
        elif number == signal.SIGHUP and self._in_window:  # more than one may come, from the shell and the kernel
            if self.stopping:
                return
            self.stopping, number = True, signal.SIGTERM
        self._deliver(number)

    def look_for_window(self, _: object = None) -> None:
        """Find out whether the window has gone and left the process running, as with `disown`: SIGHUP reloads then.

        To be called every `WINDOW_INTERVAL` seconds. Only what two calls find counts: the SIGHUP of a
        window that is closed comes when the terminal has just gone.
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
        """In the block have `stop` called at the first stop signal, `reload` at SIGHUP, also if they came before.

        `call` is the loop's `call_soon_threadsafe`. At the second stop signal `at_once` is called,
        wherever the process is just then, which ends with 128 and the signal's number.
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
    import logging  # here, for it is not needed before

    from taskservice import LOGGER_NAME
    from taskservice.utils import logutils
    number = logging.getLevelNamesMapping()[level]
    logutils.log(logging.getLogger(LOGGER_NAME), number, context={"message": message, **facts})


@contextmanager
def held_back() -> Iterator[None]:
    """Have a process that is started in the block get no signal before it has its `Signals`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

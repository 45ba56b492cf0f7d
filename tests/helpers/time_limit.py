"""A time limit for tests that would hang if the code were wrong."""

import signal
import unittest
from collections.abc import Iterator
from contextlib import contextmanager

from tests.helpers.timing import at_most

_AGAIN = 5.0
"""Seconds after which what goes on in spite of its limit, such as a clean-up, is interrupted again."""


class TookTooLong(SystemExit):
    """A test took longer than it may.

    No Exception, which the code under test might catch; and asyncio ends its loop with it, whichever task it is raised
    in, so that the test fails.
    """


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TookTooLong in what takes longer, even where it blocks the event loop."""
    def ring(number: int, frame: object) -> None:
        raise TookTooLong(f"the test took {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class LimitedTestCase(unittest.IsolatedAsyncioTestCase):
    """Each test of it, with what prepares and ends it, fails when it takes too long."""

    most_seconds = at_most(30)

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        with time_limit(self.most_seconds):
            return super().run(result)

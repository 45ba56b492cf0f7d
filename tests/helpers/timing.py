"""How tests assert that something is fast enough: on an idle machine only; elsewhere the same tests assert the outcome.

    with in_time(self, 3):
        answer = client.ask("GET", "/readyz")

    async with asyncio.timeout(at_most(5)):
        await everything_to_come_back()
"""

import os
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager

IDLE = "TASKSERVICE_IDLE" in os.environ
"""Whether nothing else runs on this machine, as CI says: times can be asserted, new files are the tests' own."""

FULL = os.environ.get("TASKSERVICE_FULL", "") not in ("", "0")
"""Whether to test at full size and by the limits of an idle machine; TASKSERVICE_FULL=1 says so."""

PATIENCE = 60.0
"""Seconds after which a test has failed on a machine of any load: nothing that is right takes so long."""


def at_most(seconds: float) -> float:
    """Return a limit of a time: `seconds` on an idle machine, PATIENCE on others."""
    return seconds if IDLE else max(seconds, PATIENCE)


@contextmanager
def in_time(case: unittest.TestCase, seconds: float) -> Iterator[None]:
    """Fail when the block takes longer than `at_most` allows."""
    started = time.monotonic()
    yield
    case.assertLess(time.monotonic() - started, at_most(seconds))

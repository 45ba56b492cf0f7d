"""Times are asserted on an idle machine only, and nothing shows of them elsewhere."""

import asyncio
import unittest
from unittest import mock

from tests.helpers import timing


class InTimeTest(unittest.TestCase):

    def test_a_limit_holds_on_an_idle_machine(self) -> None:
        with mock.patch.object(timing, "IDLE", True):
            self.assertEqual(timing.at_most(0.5), 0.5)
            with self.assertRaises(AssertionError), timing.in_time(self, 0):
                pass

    def test_on_others_only_what_hangs_fails(self) -> None:
        with mock.patch.object(timing, "IDLE", False):
            self.assertEqual((timing.at_most(0.5), timing.at_most(200)), (60, 200))
            with timing.in_time(self, 0):
                pass
            with mock.patch.object(timing, "PATIENCE", 0), self.assertRaises(AssertionError), timing.in_time(self, 0):
                pass


class QuietTest(unittest.IsolatedAsyncioTestCase):

    async def test_slow_steps_of_a_loop_are_not_reported(self) -> None:
        loop = asyncio.get_running_loop()
        self.assertTrue(loop.get_debug())
        loop.slow_callback_duration = 0
        with self.assertNoLogs("asyncio"):
            for _ in range(3):
                await asyncio.sleep(0)


if __name__ == "__main__":
    unittest.main()

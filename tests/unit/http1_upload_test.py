"""A body on its way: the limits of size, time and memory, on a clock of the test."""

import unittest

from taskservice.http1.limits import Limits
from taskservice.http1.memory import BodyMemory, Claim
from taskservice.http1.request import BadRequest
from taskservice.http1.upload import Upload

LIMITS = Limits(body_bytes=1000, body_timeout=20, body_grace=30, min_body_rate=100)


class TimeTest(unittest.TestCase):
    """When the next of it has to come."""

    def upload(self, length: int = 10_000) -> Upload:
        """Return one that begins at 1,000 s."""
        upload = Upload(length, LIMITS)
        upload.max_bytes = length
        self.assertEqual(upload.begin(1000), 1020)
        return upload

    def test_silence_is_counted_from_the_last_of_it(self) -> None:
        upload = self.upload()
        upload.take(b"x" * 5000)
        self.assertEqual(upload.deadline(1010), 1030)
        self.assertEqual(upload.lateness(), "The body took too long to come")

    def test_one_of_which_nothing_came_is_late_and_not_slow(self) -> None:
        upload = Upload(10_000, Limits())
        self.assertEqual(upload.begin(1000), 1020, "the end of the grace, too")
        self.assertEqual(upload.lateness(), "The body took too long to come")

    def test_the_average_counts_from_the_grace_on(self) -> None:
        upload = self.upload()
        for now in range(1010, 1030):
            upload.take(b"x")
            deadline = upload.deadline(now)
        self.assertEqual(deadline, 1030)
        self.assertEqual(
            upload.lateness(),
            "The body came at less than 100 bytes a second on average (min-body-rate)")

    def test_what_comes_at_that_rate_may_take_any_time(self) -> None:
        upload = self.upload()
        for now in range(1010, 1100, 10):
            upload.take(b"x" * 1100)
            self.assertGreater(upload.deadline(now), now)
        self.assertEqual(upload.deadline(1098), 1099, "9,900 bytes are what has to have come by then")

    def test_what_came_fast_at_first_may_be_slow_for_no_longer_than_the_grace(self) -> None:
        upload = self.upload(1_000_000)
        upload.take(b"x" * 100_000)
        self.assertEqual(upload.deadline(1010), 1030)
        for now, deadline in ((1020, 1040), (1030, 1040), (1039, 1040)):
            upload.take(b"x")
            self.assertAlmostEqual(upload.deadline(now), deadline, delta=0.1)
        self.assertIn("(min-body-rate)", upload.lateness())

    def test_what_was_fast_for_long_is_measured_by_its_recent_past(self) -> None:
        upload = self.upload(1_000_000)
        for now in range(1001, 1400):
            upload.take(b"x" * 1000)
            upload.deadline(now)
        for now in range(1400, 1429, 4):
            upload.take(b"x")
            deadline = upload.deadline(now)
        self.assertAlmostEqual(deadline, 1399 + 30, delta=0.1)

    def test_a_slow_moment_within_the_credit_is_allowed_again_and_again(self) -> None:
        upload = self.upload(1_000_000)
        for start in range(1000, 2000, 20):
            upload.take(b"x" * 2000)
            self.assertGreaterEqual(upload.deadline(start), start + 20)

    def test_the_time_that_the_application_takes_does_not_use_up_what_came(self) -> None:
        upload = self.upload(1_000_000)
        upload.take(b"x" * 100_000)
        upload.deadline(1100)
        upload.pause(500)
        self.assertEqual(upload.deadline(1600), 1620)
        upload.take(b"x")
        self.assertAlmostEqual(upload.deadline(1625), 1630, delta=0.1)

    def test_the_time_that_the_application_takes_does_not_count(self) -> None:
        upload = self.upload()
        upload.take(b"x")
        upload.pause(500)
        self.assertEqual(upload.deadline(1520), 1530)

    def test_a_time_of_its_own_is_for_all_of_it(self) -> None:
        upload = self.upload()
        upload.timeout = 5
        upload.take(b"x" * 5000)
        self.assertEqual(upload.deadline(1004), 1005)
        self.assertEqual(upload.lateness(), "The body took too long to come")


class PermissionTest(unittest.TestCase):

    def test_only_what_may_become_larger_than_any_body_needs_one(self) -> None:
        for length, needs in ((1, False), (1000, False), (1001, True), (-1, True)):
            self.assertEqual(Upload(length, LIMITS).may_grow_large, needs, length)


class SizeTest(unittest.TestCase):

    def test_a_length_that_is_too_large_is_seen_at_once(self) -> None:
        for length, too_large in ((1000, False), (1001, True)):
            self.assertEqual(Upload(length, LIMITS).too_large, too_large)

    def test_chunks_are_when_they_have_come(self) -> None:
        upload = Upload(-1, LIMITS)
        upload.take(b"3e8\r\n%b\r\n" % (b"x" * 1000))
        self.assertFalse(upload.too_large)
        upload.take(b"1\r\nx\r\n")
        self.assertTrue(upload.too_large)


class MemoryTest(unittest.TestCase):
    """The budget of large bodies."""

    def setUp(self) -> None:
        self.seen: list[int] = []
        self.memory = BodyMemory(10_000, self.seen.append)

    def upload(self, owner: str) -> Upload:
        """Return one that may be large."""
        upload = Upload(100_000, LIMITS)
        upload.max_bytes = 100_000
        upload.claim = Claim(self.memory, owner)
        return upload

    def take(self, upload: Upload, size: int) -> None:
        upload.take(b"x" * size)
        upload.hold()

    def assert_refused(self, upload: Upload, size: int) -> None:
        held = self.memory.total
        with self.assertRaisesRegex(BadRequest, r"\(max-body-memory\)\Z") as caught:
            self.take(upload, size)
        self.assertEqual(caught.exception.status, 503)
        self.assertEqual(self.memory.total, held)

    def test_what_is_announced_does_not_count_and_what_is_small_neither(self) -> None:
        self.take(self.upload("a"), 1000)
        self.assertEqual(self.memory.total, 0)

    def test_all_of_what_has_come_counts_once_it_is_large(self) -> None:
        upload = self.upload("a")
        for size in (1000, 1, 500):
            self.take(upload, size)
        self.assertEqual((self.memory.total, self.seen), (1501, [1001, 1501]))

    def test_one_owner_gets_half(self) -> None:
        first, second = self.upload("a"), self.upload("a")
        self.take(first, 3000)
        self.take(second, 2000)
        self.assert_refused(second, 1)
        self.take(self.upload("b"), 5000)

    def test_all_together_get_no_more_than_there_is(self) -> None:
        for owner in "abc":
            self.take(self.upload(owner), 3000)
        self.assert_refused(self.upload("d"), 1001)
        self.assertEqual(self.memory.total, 9000)

    def test_what_is_released_is_there_for_others(self) -> None:
        upload = self.upload("a")
        self.take(upload, 5000)
        for _ in range(2):
            assert upload.claim is not None
            upload.claim.release()
        self.assertEqual((self.memory.total, self.memory._held), (0, {}))
        self.take(self.upload("a"), 5000)


if __name__ == "__main__":
    unittest.main()

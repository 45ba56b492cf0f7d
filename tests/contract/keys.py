"""Idempotency keys: the same create again gives the first outcome, and no second task."""

import asyncio

from taskservice.datamodel import Created, IdempotencyKey, TaskEntry
from taskservice.errors import BadInputError, IdempotencyKeyReusedError, TaskExistsError
from tests.contract.concurrency import kinds, outcomes
from tests.contract.harness import HOUR, Harness

KEY = IdempotencyKey("owner", "key", b"\x00digest\xff")
ENTRY = TaskEntry("t")


def replay(created: Created) -> Created:
    """Return the outcome that a repetition has."""
    return Created(created.tasks, replayed=True)


class KeyContract(Harness):
    """Creates with a key."""

    async def test_the_first_create_with_a_key_is_no_replay(self) -> None:
        created = await self.engine.create_task("a", ENTRY, KEY)
        revision = await self.engine.revision()
        self.assertEqual(created, Created((("a", revision),), replayed=False))

    async def test_a_key_seen_before_replays_the_first_outcome(self) -> None:
        created = await self.engine.create_task("a", ENTRY, KEY)
        for task_id in ["a", "b"]:
            again = await self.engine.create_task(task_id, ENTRY, KEY)
            self.assertEqual(again, replay(created))
        self.assertEqual(set(await self.tasks()), {"a"})
        self.assertEqual(await self.engine.revision(), created.tasks[0][1])

    async def test_a_replay_is_of_the_first_outcome_whatever_became_of_the_task(self) -> None:
        created = await self.engine.create_task("a", ENTRY, KEY)
        await self.engine.update_task("a", TaskEntry("new"))
        self.assertEqual(await self.engine.create_task("b", ENTRY, KEY), replay(created))
        await self.engine.delete_task("a")
        self.assertEqual(await self.engine.create_task("a", ENTRY, KEY), replay(created))
        self.assertEqual(await self.tasks(), {})

    async def test_a_batch_replays_whole(self) -> None:
        created = await self.engine.create_tasks([("b", ENTRY), ("a", ENTRY)], KEY)
        again = await self.engine.create_tasks([("c", ENTRY), ("d", ENTRY)], KEY)
        self.assertEqual(again, replay(created))
        self.assertEqual(set(await self.tasks()), {"a", "b"})

    async def test_an_empty_batch_replays(self) -> None:
        self.assertEqual(await self.engine.create_tasks([], KEY), Created(()))
        self.assertEqual(await self.engine.create_tasks([], KEY), Created((), replayed=True))

    async def test_a_key_with_another_digest_fails(self) -> None:
        await self.engine.create_task("a", ENTRY, KEY)
        other = IdempotencyKey(KEY.owner, KEY.key, b"other")
        for task_id in ["a", "b"]:  # whether or not the id is taken
            with self.assertRaises(IdempotencyKeyReusedError):
                await self.engine.create_task(task_id, ENTRY, other)
        self.assertEqual(set(await self.tasks()), {"a"})

    async def test_keys_of_different_owners_are_different(self) -> None:
        await self.engine.create_task("a", ENTRY, KEY)
        other = IdempotencyKey("another", KEY.key, b"other")
        self.assertFalse((await self.engine.create_task("b", ENTRY, other)).replayed)

    async def test_a_key_without_an_owner_holds_for_each(self) -> None:
        """The service had no tokens when a request got no answer, and has some when it is sent again."""
        unowned = IdempotencyKey("", KEY.key, KEY.digest)
        created = await self.engine.create_task("a", ENTRY, unowned)
        self.assertEqual(await self.engine.create_task("b", ENTRY, KEY), replay(created))
        other = IdempotencyKey("another", KEY.key, b"other")
        with self.assertRaises(IdempotencyKeyReusedError):
            await self.engine.create_task("b", ENTRY, other)

    async def test_an_owners_key_does_not_hold_for_those_without(self) -> None:
        await self.engine.create_task("a", ENTRY, KEY)
        unowned = IdempotencyKey("", KEY.key, b"other")
        self.assertFalse((await self.engine.create_task("b", ENTRY, unowned)).replayed)
        with self.subTest("and then an owner's own comes first"):
            self.assertEqual((await self.engine.create_task("c", ENTRY, KEY)).tasks[0][0], "a")

    async def test_keys_differ_by_every_character(self) -> None:
        for number, name in enumerate(["key ", " key", "KEY", "ke", "keys", "", "k\u00e9y", "😀"]):
            key = IdempotencyKey("", name, b"")
            created = await self.engine.create_task(str(number), ENTRY, key)
            self.assertFalse(created.replayed)

    async def test_a_key_that_no_store_could_hold_fails_alone_if_at_all(self) -> None:
        """HTTP has no such keys."""
        for bad in (IdempotencyKey("owner", "a\0b", b""), IdempotencyKey("a\0b", "key", b"")):
            calls = [self.engine.create_task(None, ENTRY) for _ in range(3)]
            calls.insert(1, self.engine.create_task("bad", ENTRY, bad))
            before, results = set(await self.tasks()), await outcomes(calls)
            if isinstance(results[1], Created):
                await self.engine.delete_task("bad")
            else:
                self.assertIsInstance(results[1], BadInputError)
            self.assertEqual(kinds([*results[:1], *results[2:]]), {"Created": 3})
            self.assertEqual(len(set(await self.tasks()) - before), 3)
            self.assertNotIn("bad", await self.tasks())

    async def test_a_key_is_kept_for_24_hours(self) -> None:
        created = await self.engine.create_task("a", ENTRY, KEY)
        self.clock.now += 24 * HOUR - 1_000_000
        self.assertEqual(await self.engine.create_task("b", ENTRY, KEY), replay(created))
        await self.engine.create_task("c", ENTRY)
        self.assertEqual(await self.engine.create_task("b", ENTRY, KEY), replay(created))

    async def test_a_key_is_forgotten_after_24_hours(self) -> None:
        await self.engine.create_task("a", ENTRY, KEY)
        self.clock.now += 24 * HOUR + 1_000_000
        other = IdempotencyKey(KEY.owner, KEY.key, b"other")
        created = await self.engine.create_task("b", ENTRY, other)
        self.assertEqual((set(await self.tasks()), created.replayed), ({"a", "b"}, False))
        self.assertEqual(await self.engine.create_task("c", ENTRY, other), replay(created))

    async def test_a_replay_does_not_prolong_a_key(self) -> None:
        await self.engine.create_task("a", ENTRY, KEY)
        self.clock.now += 23 * HOUR
        await self.engine.create_task("b", ENTRY, KEY)
        self.clock.now += 2 * HOUR
        self.assertFalse((await self.engine.create_task("c", ENTRY, KEY)).replayed)

    async def test_keys_expire_in_order_of_their_time_though_the_clock_went_back(self) -> None:
        late = IdempotencyKey("", "late", b"")
        created = await self.engine.create_task("late", ENTRY, late)
        self.clock.now -= 10 * HOUR
        await self.engine.create_task("early", ENTRY, KEY)
        self.clock.now += 30 * HOUR
        self.assertFalse((await self.engine.create_task("again", ENTRY, KEY)).replayed)
        self.assertEqual(await self.engine.create_task("again", ENTRY, late), replay(created))

    async def test_a_clock_that_goes_back_a_day_forgets_no_key(self) -> None:
        created = await self.engine.create_task("a", ENTRY, KEY)
        self.clock.now -= 24 * HOUR
        await self.engine.create_task("b", ENTRY)
        self.assertEqual(await self.engine.create_task("c", ENTRY, KEY), replay(created))

    async def test_a_key_of_a_clock_that_was_ahead_counts_as_passed(self) -> None:
        """Or it would be kept for as long as the clock was ahead."""
        self.clock.now += 365 * 24 * HOUR
        await self.engine.create_task("ahead", ENTRY, KEY)
        self.clock.now -= 365 * 24 * HOUR
        created = await self.engine.create_task("right", ENTRY, KEY)
        self.assertFalse(created.replayed)
        self.assertEqual(await self.engine.create_task("again", ENTRY, KEY), replay(created))

    async def test_a_key_counts_from_its_last_use(self) -> None:
        await self.engine.create_task("a", ENTRY, KEY)
        self.clock.now += 25 * HOUR
        again = await self.engine.create_task("b", ENTRY, KEY)
        self.clock.now += 23 * HOUR
        await self.engine.create_task("c", ENTRY)
        self.assertEqual(await self.engine.create_task("d", ENTRY, KEY), replay(again))

    async def test_a_create_that_failed_leaves_no_key(self) -> None:
        [task] = await self.create("a")
        await self.assert_fails(
            TaskExistsError("a", task.revision), self.engine.create_task("a", ENTRY, KEY))
        other = IdempotencyKey(KEY.owner, KEY.key, b"other")
        self.assertFalse((await self.engine.create_task("b", ENTRY, other)).replayed)

    async def test_concurrent_calls_with_one_key_create_once(self) -> None:
        outcomes = await asyncio.gather(
            *(self.engine.create_task(f"{number}", ENTRY, KEY) for number in range(16)))
        self.assertEqual(sum(not outcome.replayed for outcome in outcomes), 1)
        self.assertEqual(len({outcome.tasks for outcome in outcomes}), 1)
        self.assertEqual(list(await self.tasks()), [outcomes[0].tasks[0][0]])

    async def test_concurrent_failures_with_one_key_all_fail(self) -> None:
        await self.create("a")
        outcomes = await asyncio.gather(
            *(self.engine.create_task("a", ENTRY, KEY) for _ in range(8)), return_exceptions=True)
        self.assertEqual({type(outcome) for outcome in outcomes}, {TaskExistsError})

    async def test_concurrent_calls_with_different_keys_create_each(self) -> None:
        outcomes = await asyncio.gather(*(
            self.engine.create_task(f"{number}", ENTRY, IdempotencyKey("", f"{number}", b""))
            for number in range(16)))
        self.assertEqual(sum(not outcome.replayed for outcome in outcomes), 16)
        self.assertEqual(len(await self.tasks()), 16)

"""A coroutine that is started at once does what it does as a task, cancelled whenever it may be."""

import asyncio
import unittest
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from typing import Any

from hypothesis import given, strategies

from taskservice.utils import first_step, taskcontext
from taskservice.utils.first_step import FirstStep
from tests.helpers.strategies import property_settings

VARIABLE = ContextVar("VARIABLE", default="unset")

Execution = Coroutine[Any, Any, None]


def start(execution: Execution) -> "asyncio.Task[None] | None":
    """Start it at once, as a callback of the loop does: no task runs meanwhile."""
    return FirstStep(asyncio.get_running_loop(), execution).run()


async def started(execution: Execution, cancel: bool = False) -> "asyncio.Task[None] | None":
    """Start it at once from a task, and perhaps cancel it at once."""
    done = asyncio.get_running_loop().create_future()

    def call() -> None:
        try:
            task = start(execution)
            if cancel and task is not None:
                task.cancel()
            done.set_result(task)
        except Exception as error:
            done.set_exception(error)

    asyncio.get_running_loop().call_soon(call)
    return await done  # type: ignore[no-any-return]


def run(main: Awaitable[None]) -> None:
    """Run a test's coroutine with the task context."""
    async def with_context() -> None:
        taskcontext.install(asyncio.get_running_loop())
        await asyncio.wait_for(main, 10)
    asyncio.run(with_context())


# --- The same events as in a task ------------------------------------------------------------------------------------

Step = Callable[[list[object]], Awaitable[None]]


async def turn(events: list[object]) -> None:
    """Wait for nothing."""
    await asyncio.sleep(0)


def settle(future: "asyncio.Future[str]", outcome: str | Exception) -> None:
    """End what is waited for, unless it was cancelled."""
    if isinstance(outcome, Exception) and not future.done():
        future.set_exception(outcome)
    elif not future.done():
        future.set_result(str(outcome))


async def wait(events: list[object]) -> None:
    """Wait for a future with a result."""
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(settle, future, "result")
    events.append(await future)


async def fail(events: list[object]) -> None:
    """Wait for a future with an error."""
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(settle, future, KeyError("key"))
    await future


async def time_out(events: list[object]) -> None:
    """Wait longer than a time limit."""
    try:
        async with asyncio.timeout(0):
            await asyncio.sleep(10)
    except TimeoutError:
        events.append("timeout")


async def in_time(events: list[object]) -> None:
    """Wait within a time limit."""
    async with asyncio.timeout(10):
        await asyncio.sleep(0)


async def child(events: list[object]) -> None:
    """Wait for a task that takes its time to end when it is cancelled."""
    async def work() -> None:
        try:
            await asyncio.sleep(0)
            events.append(("child", taskcontext.current().get("name"), VARIABLE.get()))
        finally:
            await asyncio.sleep(0)
            events.append("child ends")
    await asyncio.create_task(work())


async def group(events: list[object]) -> None:
    """Wait for a group, one of which fails."""
    async def bad() -> None:
        raise ValueError("bad")
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bad())
            await asyncio.sleep(10)
    except* ValueError as errors:
        events.append(repr(errors.exceptions))


async def bind(events: list[object]) -> None:
    """Bind the task context and a variable."""
    taskcontext.set("name", "value")
    VARIABLE.set("set")


async def cancel_itself(events: list[object]) -> None:
    """Cancel the current task."""
    task = asyncio.current_task()
    assert task is not None
    events.append((task.cancel(), task.cancelling()))


async def forever(events: list[object]) -> None:
    """Wait until it is cancelled."""
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        events.append("ends")


async def child_forever(events: list[object]) -> None:
    """Wait for a task that takes its time to end when it is cancelled."""
    await asyncio.create_task(slow_to_end(events))


async def slow_to_end(events: list[object]) -> None:
    """Take some turns to end."""
    try:
        await forever(events)
    finally:
        for _ in range(3):
            await asyncio.sleep(0)
        events.append("has ended")


async def suppress(events: list[object]) -> None:
    """Take a cancellation back."""
    try:
        await forever(events)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None
        events.append(("uncancel", task.uncancel()))


STEPS = (turn, wait, fail, time_out, in_time, child, group, bind, cancel_itself, forever, child_forever, suppress)


async def execution(steps: Sequence[Step], events: list[object]) -> None:
    """Take the steps; note what happens."""
    for step in steps:
        try:
            await step(events)
            events.append(step.__name__)
        except KeyError as error:
            events.append(repr(error))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            events.append(("cancelled", task.cancelling()))
            raise
    events.append((dict(taskcontext.current()), VARIABLE.get()))


class SameAsTaskTest(unittest.TestCase):

    @property_settings()
    @given(strategies.lists(strategies.sampled_from(STEPS), max_size=4), strategies.booleans())
    def test_the_same_happens(self, steps: Sequence[Step], cancelled_at_once: bool) -> None:
        """It is cancelled before it goes on, or each time when nothing happens any more.

        In the first case a child would be cancelled a turn of the loop later, and may have begun.
        """
        if cancelled_at_once:
            steps = [step for step in steps if step not in (child, child_forever)]

        async def events_of(at_once: bool) -> list[object]:
            events: list[object] = []
            task: asyncio.Task[None] | None = None
            if at_once:
                task = await started(execution(steps, events), cancelled_at_once)
            else:
                task = asyncio.create_task(execution(steps, events))
                await asyncio.sleep(0)  # its first step
                if cancelled_at_once:
                    task.cancel()
            while task is not None and not task.done():
                for _ in range(20):
                    await asyncio.sleep(0)
                task.cancel()
            events.append(repr(await asyncio.gather(task, return_exceptions=True)) if task else "[None]")
            return events

        async def main() -> None:
            self.assertEqual(await events_of(True), await events_of(False))

        run(main())


class FirstStepTest(unittest.TestCase):

    def test_without_a_wait_there_is_no_task(self) -> None:
        async def work() -> None:
            seen.extend((taskcontext.current().get("name"), VARIABLE.get()))
            taskcontext.set("name", "a")
            VARIABLE.set("a")

        async def main() -> None:
            self.assertIsNone(await started(work()))
            self.assertIsNone(await started(work()))
            self.assertFalse(first_step.running)
            self.assertEqual(VARIABLE.get(), "unset")

        seen: list[object] = []
        run(main())
        self.assertEqual(seen, [None, "unset"] * 2)

    def test_an_error_is_raised(self) -> None:
        async def work() -> None:
            raise KeyError("a")

        async def main() -> None:
            with self.assertRaises(KeyError):
                await started(work())

        run(main())

    def test_a_task_that_waits_is_kept_until_its_end(self) -> None:
        async def main() -> None:
            task = await started(turn([]))
            assert task is not None
            self.assertEqual((first_step.running, task.get_name()), ({task}, first_step.NAME))
            self.assertIn("turn", repr(task.get_coro()))
            await task
            await asyncio.sleep(0)
            self.assertFalse(first_step.running)

        run(main())

    def test_cancelled_before_it_goes_on_it_waits_for_the_end_of_what_it_waits_for(self) -> None:
        async def main() -> None:
            child = asyncio.create_task(slow_to_end(events))
            await asyncio.sleep(0)

            async def work() -> None:
                try:
                    await child
                finally:
                    events.append("goes on")

            task = await started(work(), cancel=True)
            assert task is not None
            await asyncio.wait([task])
            self.assertTrue(task.cancelled())

        events: list[object] = []
        run(main())
        self.assertEqual(events, ["ends", "has ended", "goes on"])

    def test_what_is_asked_of_the_current_task_is_answered_by_the_task(self) -> None:
        async def work() -> None:
            task = asyncio.current_task()
            assert task is not None
            self.assertEqual(task.get_name(), first_step.NAME)
            self.assertFalse(first_step.running)
            task.add_done_callback(ended.append)
            self.assertFalse(task.done())

        async def main() -> None:
            task = await started(work())
            assert task is not None
            await task
            await asyncio.sleep(0)
            self.assertEqual(ended, [task])

        ended: list[object] = []
        run(main())

    def test_a_task_that_was_asked_for_ends_with_the_error(self) -> None:
        async def work() -> None:
            task: Any = asyncio.current_task()
            task.add_done_callback(lambda task: ended.append(repr(task.exception())))
            raise KeyError("a")

        async def main() -> None:
            with self.assertRaises(KeyError):
                await started(work())
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        ended: list[str] = []
        run(main())
        self.assertEqual(ended, ["KeyError('a')"])


if __name__ == "__main__":
    unittest.main()

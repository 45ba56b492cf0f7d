"""A coroutine that is run at once, and goes on as a task, sees and does what one does that is a task from the start."""

import asyncio
import unittest
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from hypothesis import example, given, strategies

from taskservice.tornado import first_step
from taskservice.tornado.first_step import FirstStep
from taskservice.utils import taskcontext
from tests.helpers.strategies import property_settings

VARIABLE: ContextVar[int] = ContextVar("VARIABLE", default=0)

Trace = list[object]


async def _pass(trace: Trace) -> None:
    await asyncio.sleep(0)


async def _wait(trace: Trace) -> None:
    await asyncio.sleep(0.001)


async def _wait_for_what_is_done(trace: Trace) -> None:
    future = asyncio.get_running_loop().create_future()
    future.set_result(1)
    trace.append(await future)


async def _time_out(trace: Trace) -> None:
    try:
        async with asyncio.timeout(0.001):
            await asyncio.sleep(60)
    except TimeoutError:
        trace.append("timed out")


async def _be_in_time(trace: Trace) -> None:
    async with asyncio.timeout(60):
        await asyncio.sleep(0)
    trace.append("in time")


async def _time_out_before_the_wait(trace: Trace) -> None:
    try:
        async with asyncio.timeout(-1):
            await asyncio.sleep(60)
    except TimeoutError:
        trace.append("timed out at once")


async def _fail(trace: Trace) -> None:
    raise ValueError


async def _group(trace: Trace) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_fail(trace))
            await asyncio.sleep(60)
    except* ValueError:
        trace.append("a child failed")


async def _run_in_a_thread(trace: Trace) -> None:
    trace.append(await asyncio.to_thread(lambda: VARIABLE.get()))


async def _set(trace: Trace) -> None:
    VARIABLE.set(VARIABLE.get() + 1)
    taskcontext.set("count", VARIABLE.get())


async def _inherit(trace: Trace) -> None:
    trace.append(await asyncio.create_task(_seen()))


async def _seen() -> object:
    return VARIABLE.get(), dict(taskcontext.current())


async def _cancel_itself(trace: Trace) -> None:
    task = asyncio.current_task()
    assert task is not None
    trace.append(task.cancelling())
    task.cancel("by itself")
    trace.append(task.cancelling())


async def _uncancel_itself(trace: Trace) -> None:
    task = asyncio.current_task()
    assert task is not None
    trace.append((task.uncancel(), task.done(), task.get_loop() is asyncio.get_running_loop()))


async def _shield(trace: Trace) -> None:
    inner = asyncio.ensure_future(asyncio.sleep(0.002, "inner"))
    try:
        await asyncio.shield(inner)
    except asyncio.CancelledError:
        trace.append(await inner)
        raise


CALLS: Mapping[str, Callable[[Trace], Awaitable[None]]] = {
    call.__name__.strip("_"): call for call in (
        _pass, _wait, _wait_for_what_is_done, _time_out, _be_in_time, _time_out_before_the_wait, _group,
        _run_in_a_thread, _set, _inherit, _cancel_itself, _uncancel_itself, _shield)}


async def play(script: Sequence[str], trace: Trace) -> None:
    """Make the calls, and note what happened."""
    for name in script:
        try:
            await CALLS[name](trace)
        except asyncio.CancelledError as error:
            trace.append(f"cancelled {error}")
            task = asyncio.current_task()
            if task is not None and task.cancelling() > 1:
                raise
        trace.append((name, VARIABLE.get(), dict(taskcontext.current())))


async def as_task(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run it as a task from the start, one that inherits nothing."""
    task = asyncio.create_task(coroutine)
    task.context = {}  # type: ignore[attr-defined]
    return task


async def at_once(coroutine: Coroutine[Any, Any, None]) -> FirstStep | asyncio.Task[None] | None:
    """Run it at once, in a callback of the loop."""
    loop = asyncio.get_running_loop()
    begun: asyncio.Future[asyncio.Task[None] | None] = loop.create_future()
    loop.call_soon(lambda: begun.set_result(FirstStep(loop).run(coroutine)))
    return await begun


async def observe(
    run: Callable[[Coroutine[Any, Any, None]], Awaitable[Any]], script: Sequence[str], cancel_after: int | None
) -> Trace:
    """Return what a script does that is run this way, and cancelled after so many turns of the loop."""
    taskcontext.install(asyncio.get_running_loop())
    trace: Trace = []
    task = await run(play(script, trace))
    if cancel_after is not None and task is not None:
        for _ in range(cancel_after):
            await asyncio.sleep(0)
        task.cancel("from outside")
    if task is not None:  # None: it has ended at once, perhaps cancelled by itself, which nobody can tell
        await asyncio.wait([task])
        trace.append(None if task.cancelled() else task.exception())
    else:
        trace.append(None)
    trace.append(VARIABLE.get())
    return trace


class SameAsTaskTest(unittest.TestCase):

    @property_settings()
    @given(strategies.lists(strategies.sampled_from(sorted(CALLS)), max_size=6))
    @example(["time_out"])
    @example(["time_out_before_the_wait", "group"])
    @example(["cancel_itself", "pass", "uncancel_itself"])
    @example(["cancel_itself", "uncancel_itself", "set", "inherit"])
    def test_it_does_what_a_task_does(self, script: Sequence[str]) -> None:
        self.assertEqual(
            asyncio.run(observe(at_once, script, None)), asyncio.run(observe(as_task, script, None)))

    def test_it_is_cancelled_wherever_it_waits(self) -> None:
        for name in ("wait", "time_out", "group", "shield"):
            # A task from the start needs a turn of the loop more to come to its wait.
            for turns in (0, 1, 3):
                with self.subTest(name, turns=turns):
                    self.assertEqual(
                        asyncio.run(observe(at_once, [name, "set"], turns)),
                        asyncio.run(observe(as_task, [name, "set"], turns + 1)))


class FirstStepTest(unittest.IsolatedAsyncioTestCase):

    async def test_what_does_not_wait_makes_no_task(self) -> None:
        made: list[asyncio.Task[Any]] = []

        async def answer() -> None:
            made.extend(asyncio.all_tasks() - before)

        before = asyncio.all_tasks()
        self.assertIsNone(await at_once(answer()))
        self.assertEqual((made, first_step._running), ([], set()))

    async def test_what_waits_is_kept_until_it_has_ended(self) -> None:
        task = await at_once(asyncio.sleep(0.001))
        self.assertEqual(first_step._running, {task})
        self.assertIn("sleep", repr(task))
        await asyncio.wait([task])  # type: ignore[type-var]
        await asyncio.sleep(0)
        self.assertEqual(first_step._running, set())

    async def test_what_it_waits_for_is_cancelled_with_it_also_before_it_has_begun_to_wait(self) -> None:
        future = asyncio.get_running_loop().create_future()

        async def wait() -> None:
            await future

        task: Any = await at_once(wait())
        task.cancel()
        await asyncio.wait([task])
        self.assertTrue(future.cancelled())

    async def test_others_may_wait_for_the_same(self) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        seen: list[int] = []

        async def wait() -> None:
            seen.append(await future)

        loop.call_soon(FirstStep(loop).run, wait())
        loop.call_soon(FirstStep(loop).run, wait())
        task = asyncio.create_task(wait())
        loop.call_later(0.001, future.set_result, 1)
        await asyncio.wait([task])
        self.assertEqual(seen, [1, 1, 1])

    async def test_one_that_is_cancelled_waits_until_its_child_has_ended(self) -> None:
        seen: list[str] = []

        async def child() -> str:
            try:
                return await asyncio.sleep(60, "")
            except asyncio.CancelledError as error:
                await asyncio.sleep(0)
                return f"cancelled {error}"

        waited_for = asyncio.create_task(child())
        await asyncio.sleep(0)

        async def wait() -> None:
            seen.append(await waited_for)

        def run() -> None:
            task = FirstStep(loop).run(wait())
            assert task is not None
            task.cancel("from outside")
            begun.set_result(task)

        loop = asyncio.get_running_loop()
        begun: asyncio.Future[Any] = loop.create_future()
        loop.call_soon(run)
        await asyncio.wait([await begun])
        self.assertEqual(seen, ["cancelled from outside"])

    async def test_what_it_raises_at_once_is_raised(self) -> None:
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[str] = loop.create_future()

        def run() -> None:
            try:
                FirstStep(loop).run(_fail([]))
            except ValueError as error:
                failed.set_result(type(error).__name__)

        loop.call_soon(run)
        self.assertEqual(await failed, "ValueError")
        self.assertIs(asyncio.current_task(), asyncio.current_task(loop))

    async def test_the_current_task_has_a_name_and_the_one_of_the_task_later(self) -> None:
        names = []

        async def name() -> None:
            step = asyncio.current_task()
            assert step is not None
            names.append(step.get_name())
            await asyncio.sleep(0)
            names.append(step.get_name())
            task = asyncio.current_task()
            assert task is not None
            names.append(task.get_name())

        task: Any = await at_once(name())
        await asyncio.wait([task])
        self.assertEqual(names[0], "request")
        self.assertEqual(names[1], names[2])


if __name__ == "__main__":
    unittest.main()

"""The task context: who sees whose values."""

import asyncio
import contextvars
import sys
import threading
import unittest
from collections.abc import Coroutine
from typing import Any

import aiotask_context
import tornado.testing
import tornado.web

from taskservice.utils import taskcontext


def run(coro: Coroutine[Any, Any, Any]) -> Any:
    """Run `coro` in a task of a loop that has the task context."""
    async def main() -> Any:
        taskcontext.install(asyncio.get_running_loop())
        return await asyncio.get_running_loop().create_task(coro)
    return asyncio.run(main())


def get(key: str, default: object = None) -> Any:
    """Return a value of the current task."""
    return taskcontext.current().get(key, default)


async def req_id() -> Any:
    """Return what a task of its own sees."""
    return get("req_id")


async def request(name: str) -> list[Any]:
    """Bind a request id as a handler does; return what was there before and what is there then."""
    before = get("req_id")
    taskcontext.set("req_id", name)
    await asyncio.sleep(0)
    return [before, get("req_id")]


class InheritanceTest(unittest.TestCase):

    def test_two_requests_of_one_connection_do_not_see_each_other(self) -> None:
        async def connection() -> Any:
            create = asyncio.get_running_loop().create_task
            one_by_one = [await create(request("1")), await create(request("2"))]
            both = await asyncio.gather(create(request("3")), create(request("4")))
            return one_by_one + list(both) + [get("req_id")]

        self.assertEqual(
            run(connection()), [[None, "1"], [None, "2"], [None, "3"], [None, "4"], None])

    def test_a_background_task_keeps_the_values_of_its_request(self) -> None:
        """Also where the request ran in the task of its connection, which goes on to the next."""
        async def background(go_on: asyncio.Event) -> Any:
            await go_on.wait()
            return get("req_id")

        async def connection() -> Any:
            go_on = asyncio.Event()
            taskcontext.set("req_id", "first")
            task = asyncio.create_task(background(go_on))
            taskcontext.set("req_id", "second")
            go_on.set()
            return await task

        self.assertEqual(run(connection()), "first")

    def test_a_child_writes_for_itself(self) -> None:
        async def parent() -> Any:
            taskcontext.set("req_id", "parent")
            child = await asyncio.create_task(request("child"))
            return child, get("req_id")

        self.assertEqual(run(parent()), (["parent", "child"], "parent"))

    def test_the_functions_of_aiotask_context_see_the_same_values(self) -> None:
        async def task() -> Any:
            taskcontext.set("a", 1)
            aiotask_context.set("b", 2)
            return aiotask_context.get("a"), get("b")

        self.assertEqual(run(task()), (1, 2))


class AsyncioTest(unittest.TestCase):

    def test_create_task_passes_name_and_context_on(self) -> None:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

        async def child() -> Any:
            task = asyncio.current_task()
            return task and task.get_name(), variable.get(), get("req_id")

        async def parent() -> Any:
            taskcontext.set("req_id", "1")
            context = contextvars.copy_context()
            context.run(variable.set, "given")
            return await asyncio.create_task(child(), name="worker", context=context)

        self.assertEqual(run(parent()), ("worker", "given", "1"))

    def test_the_factory_passes_on_every_keyword(self) -> None:
        """asyncio gives `name` to the factory from 3.13 on, and any keyword from 3.14 on."""
        async def main() -> Any:
            loop: Any = asyncio.get_running_loop()
            factory = loop.get_task_factory()
            task = factory(loop, req_id(), name="worker", context=contextvars.copy_context())
            await task
            with self.assertRaises(TypeError):
                factory(loop, coro := req_id(), unheard_of=1)
            coro.close()
            return task.get_name()

        self.assertEqual(run(main()), "worker")

    def test_task_group(self) -> None:
        async def parent() -> Any:
            taskcontext.set("req_id", "1")
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(req_id()), group.create_task(req_id(), name="named")]
            return [task.result() for task in tasks]

        self.assertEqual(run(parent()), ["1", "1"])

    def test_gather_makes_children(self) -> None:
        async def parent() -> Any:
            taskcontext.set("req_id", "parent")
            children = await asyncio.gather(request("1"), request("2"))
            return children, get("req_id")

        self.assertEqual(run(parent()), ([["parent", "1"], ["parent", "2"]], "parent"))

    def test_wait_for_reads_the_values(self) -> None:
        """What it writes stays in a child up to Python 3.11; later it runs in the same task."""
        async def parent() -> Any:
            taskcontext.set("req_id", "parent")
            return await asyncio.wait_for(request("inner"), 60), get("req_id")

        after = "parent" if sys.version_info < (3, 12) else "inner"
        self.assertEqual(run(parent()), (["parent", "inner"], after))

    def test_a_worker_thread_sees_nothing(self) -> None:
        """to_thread() copies contextvars, not the task: pass what the thread needs."""
        async def parent() -> Any:
            taskcontext.set("req_id", "1")
            with self.assertRaises(RuntimeError):
                await asyncio.to_thread(taskcontext.set, "req_id", "2")
            return await asyncio.to_thread(get, "req_id", "default")

        self.assertEqual(run(parent()), "default")


class OutsideATaskTest(unittest.TestCase):

    def assert_nothing_here(self) -> None:
        self.assertEqual(get("req_id", "default"), "default")
        self.assertEqual(dict(taskcontext.current()), {})
        with self.assertRaisesRegex(RuntimeError, "only inside a task"):
            taskcontext.set("req_id", "1")
        with self.assertRaisesRegex(RuntimeError, "only inside a task"):
            taskcontext.clear()

    def test_without_a_loop(self) -> None:
        self.assert_nothing_here()

    def test_in_a_callback(self) -> None:
        async def main() -> None:
            taskcontext.set("req_id", "1")
            done = asyncio.get_running_loop().create_future()

            def callback() -> None:
                try:
                    self.assert_nothing_here()
                    done.set_result(None)
                except BaseException as error:
                    done.set_exception(error)

            asyncio.get_running_loop().call_soon(callback)
            await done

        run(main())

    def test_in_a_thread(self) -> None:
        seen: list[object] = []
        thread = threading.Thread(target=lambda: seen.append(get("req_id", "default")))
        thread.start()
        thread.join()
        self.assertEqual(seen, ["default"])

    def test_a_task_made_in_a_callback_starts_empty(self) -> None:
        async def main() -> Any:
            loop = asyncio.get_running_loop()
            made = loop.create_future()
            taskcontext.set("req_id", "1")
            loop.call_soon(lambda: made.set_result(loop.create_task(req_id())))
            return await (await made)

        self.assertIsNone(run(main()))

    def test_a_task_made_before_install_has_what_it_sets_itself(self) -> None:
        async def main() -> Any:
            self.assertEqual(get("req_id", "default"), "default")
            self.assertEqual(dict(taskcontext.current()), {})
            taskcontext.install(asyncio.get_running_loop())
            before = await asyncio.create_task(req_id())
            taskcontext.set("req_id", "1")
            return before, get("req_id"), await asyncio.create_task(req_id())

        self.assertEqual(asyncio.run(main()), (None, "1", "1"))


class InstallTest(unittest.TestCase):

    def setUp(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)

    def test_another_factory_gives_way(self) -> None:
        self.loop.set_task_factory(aiotask_context.task_factory)
        taskcontext.install(self.loop)

        async def parent() -> Any:
            taskcontext.set("req_id", "1")
            return await self.loop.create_task(request("2")), get("req_id")

        self.assertEqual(self.loop.run_until_complete(parent()), (["1", "2"], "1"))

    def test_tasks_are_of_the_class_asyncio_is_fast_with(self) -> None:
        async def main() -> Any:
            return type(asyncio.current_task())

        self.assertIs(run(main()), asyncio.Task)


class BindTest(unittest.TestCase):

    def test_several_values_at_once_beside_those_that_are_there(self) -> None:
        async def task() -> Any:
            taskcontext.set("a", 1)
            taskcontext.set("b", 1)
            bound = taskcontext.bind({"b": 2, "c": 3})
            taskcontext.set("d", 4)
            return dict(bound), dict(taskcontext.current())

        expected = {"a": 1, "b": 2, "c": 3, "d": 4}
        self.assertEqual(run(task()), (expected, expected), "what it returns goes on with the task")

    def test_in_the_task_that_is_given(self) -> None:
        async def task() -> Any:
            child = asyncio.create_task(req_id())
            taskcontext.bind({"req_id": "child"}, child)
            return await child, get("req_id")

        self.assertEqual(run(task()), ("child", None))

    def test_not_outside_a_task(self) -> None:
        with self.assertRaisesRegex(RuntimeError, "only inside a task"):
            taskcontext.bind({"a": 1})

    def test_current_is_a_view(self) -> None:
        async def task() -> Any:
            taskcontext.set("a", 1)
            view = taskcontext.current()
            taskcontext.set("a", 2)
            return view["a"]

        self.assertEqual(run(task()), 2)

    def test_current_keeps_the_order_of_insertion(self) -> None:
        async def task() -> Any:
            for key in ("req_id", "method", "uri", "ip"):
                taskcontext.set(key, key)
            taskcontext.set("method", "again")
            return list(taskcontext.current())

        self.assertEqual(run(task()), ["req_id", "method", "uri", "ip"])


class AddTest(unittest.TestCase):

    def test_a_number_begins_at_0(self) -> None:
        async def task() -> Any:
            taskcontext.set("req_id", "1")
            taskcontext.add("seconds", 1.5, asyncio.current_task())
            taskcontext.add("seconds", 2, asyncio.current_task())
            return get("seconds")

        self.assertEqual(run(task()), 3.5)

    def test_nothing_is_added_where_nothing_is_bound(self) -> None:
        async def task() -> Any:
            taskcontext.add("seconds", 1, asyncio.current_task())
            return dict(taskcontext.current())

        self.assertEqual(run(task()), {})
        taskcontext.add("seconds", 1, None)


class ClearTest(unittest.TestCase):

    def test_it_is_for_one_task(self) -> None:
        async def child() -> Any:
            taskcontext.clear()
            return await req_id()

        async def parent() -> Any:
            taskcontext.set("req_id", "1")
            return await asyncio.create_task(child()), get("req_id")

        self.assertEqual(run(parent()), (None, "1"))


class _Handler(tornado.web.RequestHandler):

    async def get(self, name: str) -> None:
        before, after = await request(name)
        self.write(f"{before} {after}")


class KeepAliveTest(tornado.testing.AsyncHTTPTestCase):

    def get_app(self) -> tornado.web.Application:
        # A task factory counts for the tasks made after it: here, before the first connection.
        io_loop: Any = self.io_loop
        taskcontext.install(io_loop.asyncio_loop)
        return tornado.web.Application([("/(.*)", _Handler)])

    @tornado.testing.gen_test
    async def test_requests_of_a_real_connection_do_not_see_each_other(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.get_http_port())
        try:
            bodies = []
            for name in ("first", "second", "third"):
                writer.write(f"GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                self.assertIn(b" 200 OK", head)
                length = int(head.lower().partition(b"content-length: ")[2].split()[0])
                bodies.append(await reader.readexactly(length))
        finally:
            writer.close()
            await writer.wait_closed()
        self.assertEqual(bodies, [b"None first", b"None second", b"None third"])


if __name__ == "__main__":
    unittest.main()

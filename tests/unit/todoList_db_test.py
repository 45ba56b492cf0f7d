"""What is particular to the two engines of the tutorial: a dict, and a folder that people read."""

import asyncio
import gc
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import tracemalloc
import unittest
from pathlib import Path
from stat import S_IMODE
from typing import Any, Callable, Coroutine
from unittest import mock

from taskservice import LOGGER_NAME
from taskservice.database.revisions import new_random_part, new_task_id, next_revisions
from taskservice.database.todolist_db import FileTodoListDB, InMemoryTodoListDB
from taskservice.datamodel import StoredTask, TaskEntry, TaskPriority, TaskQuery, TaskSort
from taskservice.errors import (
    DamagedTaskError, StoreError, StoreInUseError, StoreVersionError, TaskExistsError,
    TaskNotFoundError, TodoListError)
from taskservice.http.representation import joined_members
from taskservice.precondition import Precondition
from taskservice.validation import parse_task
from tests.contract import ManualClock, quick_folder
from tests.contract.harness import noting

ROOT = Path(__file__).parents[2]

ENTRY = TaskEntry("title", "text – 😀", TaskPriority.LOW, False, 1.5)

PREAMBLE = """
import asyncio, os, resource, signal, sys
from taskservice.database.todolist_db import FileTodoListDB
from taskservice.datamodel import TaskEntry
from taskservice.errors import StoreFullError
folder = sys.argv[1]
"""

HOLD = PREAMBLE + """
async def main():
    async with FileTodoListDB(folder):
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""

OPEN = PREAMBLE + """
signal.alarm(5)
async def main():
    async with FileTodoListDB(folder):
        print("open", flush=True)
asyncio.run(main())
"""

DIE_BEFORE_RENAME = PREAMBLE + """
async def main():
    async with FileTodoListDB(folder) as engine:
        os.rename = os.replace = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
        await engine.{call}
asyncio.run(main())
"""

FULL = PREAMBLE + """
def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def is_full(call):
    before = sorted(os.listdir(folder)), await engine.revision()
    try:
        await call
    except StoreFullError:
        assert (sorted(os.listdir(folder)), await engine.revision()) == before, os.listdir(folder)
        return True

async def main():
    small, big = TaskEntry("small"), TaskEntry("x" * 20_000)
    await engine.create_task("a", small)
    room(10_000)
    assert await is_full(engine.update_task("a", big))
    assert await is_full(engine.create_task("b", big))
    assert await is_full(engine.create_tasks([("c", small), ("d", big), ("e", small)]))
    assert (await engine.read_task("a")).entry == small
    await engine.create_task("f", small)
    room(resource.RLIM_INFINITY)
    await engine.update_task("a", big)
    await engine.create_tasks([("c", small), ("d", big), ("e", small)])

async def session():
    global engine
    async with FileTodoListDB(folder) as engine:
        await main()

asyncio.run(session())
"""


async def run_python(script: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a Python script in a process of its own."""
    return await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script, *args], cwd=ROOT, capture_output=True,
        text=True, timeout=60)


class NewTaskIdTest(unittest.TestCase):
    """`new_task_id`."""

    def test_its_parts_are_where_the_rfc_has_them(self) -> None:
        """The time of RFC 9562's own example (§A.6), and 456 microseconds."""
        self.assertRegex(
            new_task_id(0x017F22E279B0 * 1000 + 456, new_random_part()),
            r"\A017f22e279b07%03x[89ab][0-9a-f]{15}\Z" % (456 * 4096 // 1000))
        self.assertEqual(new_task_id(0xF17F22E279B0 * 1000, "")[:12], "f17f22e279b0", "the highest of its 48 bits")

    def test_it_grows_with_every_microsecond(self) -> None:
        for first in (0, 999, 1_752_480_000_000_000):
            made = [new_task_id(revision, "") for revision in range(first, first + 3000)]
            self.assertEqual(made, sorted(set(made)))

    def test_two_stores_do_not_make_the_same(self) -> None:
        self.assertEqual(len({new_task_id(5, new_random_part()) for _ in range(1000)}), 1000)

    def test_it_has_32_digits_whatever_the_clock_says(self) -> None:
        for revision in (1, 2 ** 48 * 1000 - 1, 2 ** 48 * 1000, 2 ** 63 - 1):
            self.assertRegex(
                new_task_id(revision, new_random_part()), r"\A[0-9a-f]{12}7[0-9a-f]{19}\Z")


class NextRevisionsTest(unittest.TestCase):
    """`next_revisions`."""

    def test_they_follow_the_last_and_the_clock_and_each_other(self) -> None:
        for last, now, count, expected in (
                (5, 100, 3, [100, 101, 102]), (100, 5, 2, [101, 102]), (5, 100, 0, [])):
            self.assertEqual(list(next_revisions(last, lambda: now, count)), expected)


class InMemoryTodoListDBTest(unittest.IsolatedAsyncioTestCase):

    async def test_a_task_takes_500_bytes_at_most_also_after_it_was_listed_and_sorted(self) -> None:
        count = 4_000
        self.addCleanup(tracemalloc.stop)
        tracemalloc.start()
        async with InMemoryTodoListDB() as engine:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(count):
                await engine.create_tasks([(None, parse_task(
                    b'{"title": "Buy milk %d", "description": "Two litres", "priority": "high", "completed": true,'
                    b' "due_date": 1663738852}' % number))])
            for sort in TaskSort:
                await engine.read_page(TaskQuery(completed=True, sort=sort))
            joined_members((await engine.read_page(TaskQuery(limit=count))).tasks)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        self.assertLess((after - before) / count, 500)
    """memory: a dict."""

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step

    async def test_two_engines_share_nothing(self) -> None:
        async with InMemoryTodoListDB() as one, InMemoryTodoListDB() as other:
            await one.create_task("a", ENTRY)
            with self.assertRaises(TaskNotFoundError):
                await other.read_task("a")

    async def test_it_never_hands_out_what_a_caller_could_change(self) -> None:
        async with InMemoryTodoListDB() as engine:
            await engine.create_task("a", ENTRY)
            task = await engine.read_task("a")
            task.entry.to_dict()["title"] = "changed"
            for thing, name in [(task, "member"), (task.entry, "title")]:
                with self.assertRaises(AttributeError):
                    setattr(thing, name, "changed")
            self.assertEqual((await engine.read_task("a")).entry, ENTRY)

    async def test_long_lists_leave_the_loop_free_and_say_the_same(self) -> None:
        async with InMemoryTodoListDB() as engine:
            tasks = [(f"{number:05}", TaskEntry(f"{number % 97:02}")) for number in range(5000)]
            await engine.create_tasks(tasks)
            query = TaskQuery(sort=TaskSort.TITLE, words=("7",), limit=5000)
            page = await engine.read_page(query)
            expected = sorted((entry.title, name) for name, entry in tasks if "7" in entry.title)
            self.assertEqual([(task.entry.title, task.id) for task in page.tasks], expected)


class FolderTestCase(unittest.IsolatedAsyncioTestCase):
    """A test with a folder and an engine on it."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(quick_folder())) / "tasks"
        self.clock = ManualClock()
        logging.getLogger(LOGGER_NAME).addHandler(handler := logging.NullHandler())
        self.addCleanup(logging.getLogger(LOGGER_NAME).removeHandler, handler)

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step
        self.engine = await self.open()

    async def open(self) -> FileTodoListDB:
        """Start an engine on the folder, and stop it in the end."""
        engine = FileTodoListDB(self.folder, clock=self.clock)
        await engine.start()
        self.addAsyncCleanup(engine.stop)
        return engine

    async def reopen(self, meanwhile: Callable[[], Any] = lambda: None) -> None:
        """Stop the engine, do something to the folder, and go on with a new one."""
        await self.engine.stop()
        meanwhile()
        self.engine = await self.open()

    async def ids(self) -> set[str]:
        """Return the ids of all tasks in the list."""
        return {task.id for task in (await self.engine.read_page(TaskQuery())).tasks}

    def files(self) -> set[str]:
        """Return the names that `ls` shows."""
        return {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}

    def file(self, task_id: str) -> Path:
        """Return the file of a task."""
        return self.folder / f"{task_id}.json"


class FileTest(FolderTestCase):
    """fs: the files."""

    async def test_the_folder_is_made_with_its_parents(self) -> None:
        deeper = self.folder / "a" / "b"
        async with FileTodoListDB(deeper) as engine:
            await engine.create_task("a", ENTRY)
        self.assertTrue((deeper / "a.json").is_file())

    async def test_the_umask_says_who_may_read_and_only_the_owner_may_write(self) -> None:
        self.addCleanup(os.umask, os.umask(0))
        await self.engine.create_task("a", ENTRY)
        self.assertEqual(S_IMODE(self.file("a").stat().st_mode), 0o644)
        async with FileTodoListDB(self.folder / "b"):
            self.assertEqual(S_IMODE((self.folder / "b" / ".lock").stat().st_mode), 0o644)

    async def test_there_is_one_file_a_task_and_nothing_else_to_see(self) -> None:
        await self.engine.create_tasks([("a", ENTRY), ("B-2", ENTRY), ("c", ENTRY)])
        await self.engine.update_task("a", TaskEntry("new"))
        await self.engine.delete_task("c")
        self.assertEqual(self.files(), {"a.json", "B-2.json"})
        await self.engine.stop()
        self.assertEqual(self.files(), {"a.json", "B-2.json"})

    async def test_a_file_is_the_plain_json_of_its_task(self) -> None:
        await self.engine.create_task("a", ENTRY)
        text = self.file("a").read_text(encoding="utf-8")
        self.assertEqual(json.loads(text), ENTRY.to_dict())
        self.assertIn("😀", text)

    async def test_a_file_has_no_more_than_what_was_sent(self) -> None:
        await self.engine.create_task("a", ENTRY)
        await self.engine.update_task("a", TaskEntry("t"))
        self.assertEqual(json.loads(self.file("a").read_bytes()), {"title": "t"})

    async def test_the_time_of_a_file_is_the_revision_in_whole_microseconds(self) -> None:
        await self.engine.create_tasks([("a", ENTRY), ("b", ENTRY)])
        await self.engine.update_task("a", ENTRY)
        for name in "ab":
            revision = (await self.engine.read_task(name)).revision
            self.assertEqual(self.file(name).stat().st_mtime_ns, revision * 1000)

    async def test_the_files_are_touched_in_worker_threads_only(self) -> None:
        threads: set[int] = set()
        for name in ("open", "fsync", "rename", "unlink"):
            self.enterContext(mock.patch.object(os, name, noting(getattr(os, name), threads)))
        await self.engine.create_task("a", ENTRY)
        await self.engine.update_task("a", ENTRY)
        await self.engine.delete_task("a")
        self.assertTrue(threads)
        self.assertNotIn(threading.get_ident(), threads)

    async def test_other_files_are_left_alone(self) -> None:
        others = ["notes.txt", "a.b.json", ".hidden", "json", ".json", "x.json.bak", "ü.json"]
        for name in others:
            (self.folder / name).write_text('{"title": "t"}')
        (self.folder / "sub").mkdir()
        await self.reopen()
        self.assertEqual(await self.ids(), set())
        self.assertEqual((self.folder / "notes.txt").read_text(), '{"title": "t"}')
        self.assertLessEqual({*others, "sub"}, {path.name for path in self.folder.iterdir()})

    async def test_no_id_leaves_the_folder(self) -> None:
        outside = self.folder.parent / "x.json"
        outside.write_text('{"title": "outside"}')
        stem = str(outside.with_suffix(""))
        for task_id in ["../x", stem, "a/../../x", ".", "..", "", "x\0y", "a/b", ".lock", "x\n"]:
            with self.subTest(id=task_id):
                await self.assert_refused(task_id)
        self.assertEqual(outside.read_text(), '{"title": "outside"}')
        self.assertEqual(self.files(), set())
        self.assertEqual({path.name for path in self.folder.parent.iterdir()}, {"tasks", "x.json"})

    async def assert_refused(self, task_id: str) -> None:
        """Nothing can be done with the id."""
        for call in [
            self.engine.read_task(task_id), self.engine.update_task(task_id, ENTRY),
            self.engine.delete_task(task_id), self.engine.create_task(task_id, ENTRY),
            self.engine.create_tasks([("good", ENTRY), (task_id, ENTRY)]),
        ]:
            with self.assertRaises(TodoListError):
                await call
        self.assertEqual(await self.ids(), set())


class HandEditedTest(FolderTestCase):
    """fs: what people do to the files while the service is down."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.engine.create_tasks([("a", ENTRY), ("b", ENTRY)])
        self.before = await self.engine.read_task("a")

    async def test_an_edited_task_is_read_with_a_new_revision(self) -> None:
        await self.reopen(lambda: self.file("a").write_text('{\n  "title": "by hand"\n}\n'))
        task = await self.engine.read_task("a")
        self.assertEqual(task.entry, TaskEntry("by hand"))
        self.assertNotEqual(task.revision, self.before.revision)
        self.assertEqual((await self.engine.read_task("b")).entry, ENTRY)

    async def test_an_edited_task_is_handed_out_as_the_service_writes_it(self) -> None:
        await self.reopen(lambda: self.file("a").write_text('{"due_date":1,  "title":"\\u00e9"}'))
        task = await self.engine.read_task("a")
        self.assertEqual(task, StoredTask.of("a", task.revision, task.entry))

    async def test_an_edited_task_can_be_written_on_its_new_revision(self) -> None:
        await self.reopen(lambda: self.file("a").write_text('{"title": "by hand"}'))
        task = await self.engine.read_task("a")
        updated = await self.engine.update_task("a", ENTRY, Precondition(match={task.revision}))
        self.assertGreater(updated.revision, task.revision)

    async def test_a_file_put_there_is_a_task(self) -> None:
        await self.reopen(lambda: self.file("new").write_text('{"title": "by hand"}'))
        self.assertEqual(await self.ids(), {"a", "b", "new"})

    async def test_a_file_taken_away_is_no_task_any_more(self) -> None:
        await self.reopen(self.file("a").unlink)
        self.assertEqual(await self.ids(), {"b"})
        await self.engine.create_task("a", ENTRY)

    async def test_the_store_has_a_new_revision_after_any_of_it(self) -> None:
        """Or a client would take its list for unchanged."""
        revisions = {await self.engine.revision()}
        deeds: list[Callable[[], Any]] = [
            lambda: self.file("a").write_text('{"title": "by hand"}'),
            lambda: self.file("new").write_text('{"title": "by hand"}'), self.file("a").unlink,
        ]
        for deed in deeds:
            await self.reopen(deed)
            revisions.add(await self.engine.revision())
        self.assertEqual(len(revisions), 4)

    async def test_a_file_from_the_future_does_not_stop_the_revisions(self) -> None:
        future = (self.clock.now + 10 ** 12) * 1000
        await self.reopen(lambda: os.utime(self.file("a"), ns=(future, future)))
        task = await self.engine.read_task("a")
        self.assertGreaterEqual(await self.engine.revision(), task.revision)
        updated = await self.engine.update_task("b", ENTRY)
        self.assertGreater(updated.revision, task.revision)

    async def test_tasks_that_were_copied_with_their_times_can_be_distinguished(self) -> None:
        """As `cp -p a.json copy.json` does."""
        await self.reopen(lambda: shutil.copy2(self.file("a"), self.file("copy")))
        page = await self.engine.read_page(TaskQuery(sort=TaskSort.UPDATED))
        revisions = [task.revision for task in page.tasks]
        self.assertEqual(len(set(revisions)), 3)
        await self.reopen()
        again = await self.engine.read_page(TaskQuery(sort=TaskSort.UPDATED))
        self.assertEqual(again.tasks, page.tasks)

    async def test_a_folder_of_a_later_version_is_refused_and_left_alone(self) -> None:
        await self.reopen(lambda: self.file("a").with_name(".version").write_text("1\n"))
        await self.engine.stop()
        self.file("a").with_name(".version").write_text("2\n")
        times = {path: path.stat().st_mtime_ns for path in self.folder.iterdir()}
        with self.assertRaisesRegex(StoreVersionError, "of version '2'.*upgrade taskservice"):
            await FileTodoListDB(self.folder).start()
        self.assertEqual({path: path.stat().st_mtime_ns for path in self.folder.iterdir()}, times)

    async def test_files_of_before_1970_get_revisions_as_others_have(self) -> None:
        """No cursor and no tag has a negative one."""
        for name in "abc":
            self.file(name).write_text('{"title": "t"}')
            os.utime(self.file(name), ns=(-10 ** 18, -10 ** 18 * (name == "a")))
        await self.reopen()
        walked: list[int] = []
        after = None
        for _ in range(3):
            page = await self.engine.read_page(TaskQuery(sort=TaskSort.UPDATED, after=after, limit=1))
            walked.append(page.tasks[0].revision)
            after = TaskQuery(sort=TaskSort.UPDATED).sort_key(page.tasks[0])
        self.assertEqual(walked, [1, 2, 3])
        await self.reopen()
        self.assertEqual((await self.engine.read_task("a")).revision, 1)

    async def test_twins_are_distinguished_on_disk(self) -> None:
        """Each keeps its tag over restarts, whatever becomes of the other."""
        for gone in ("a", "copy"):
            await self.reopen(lambda: shutil.copy2(self.file("a"), self.file("copy")))
            twins = {name: await self.engine.read_task(name) for name in ("a", "copy")}
            self.assertNotEqual(twins["a"].revision, twins["copy"].revision)
            for name, task in twins.items():
                self.assertEqual(self.file(name).stat().st_mtime_ns, task.revision * 1000)
            await self.reopen(self.file(gone).unlink)
            [(kept, task)] = [(name, task) for name, task in twins.items() if name != gone]
            self.assertEqual(await self.engine.read_task(kept), task)
            if gone == "a":
                await self.reopen(lambda: os.rename(self.file("copy"), self.file("a")))

    async def test_of_several_twins_each_has_its_own_revision(self) -> None:
        def copy() -> None:
            for name in ("c1", "c2", "c3"):
                shutil.copy2(self.file("a"), self.file(name))

        await self.reopen(copy)
        page = await self.engine.read_page(TaskQuery(sort=TaskSort.UPDATED))
        self.assertEqual(len({task.revision for task in page.tasks}), 5)
        self.assertGreaterEqual(page.revision, page.tasks[-1].revision)


class CancelledTest(FolderTestCase):
    """fs: who asked for a write leaves while the disk is at it."""

    async def test_a_write_that_has_begun_is_carried_through(self) -> None:
        await self.engine.create_tasks([("a", ENTRY), ("b", ENTRY)])
        new = TaskEntry("new")
        calls: list[Callable[[], Coroutine[Any, Any, Any]]] = [
            lambda: self.engine.create_task("c", new), lambda: self.engine.update_task("a", new),
            lambda: self.engine.delete_task("b"),
            lambda: self.engine.create_tasks([("d", new), ("e", new)])]
        for call in calls:
            await self.cancel_on_disk(call())
            await self.engine.create_task(None, ENTRY)  # it takes its turn after the other
            shown = await self.tasks()
            await self.reopen()
            self.assertEqual(await self.tasks(), shown)
        self.assertEqual(
            {name: shown[name].entry.title for name in "abcde" if name in shown},
            dict.fromkeys("acde", "new"))

    async def tasks(self) -> dict[str, StoredTask]:
        """Return all tasks."""
        return {task.id: task for task in (await self.engine.read_page(TaskQuery())).tasks}

    async def cancel_on_disk(self, call: Coroutine[Any, Any, Any]) -> None:
        """Cancel a call while its first flush to disk takes its time."""
        flushing, go_on, real = threading.Event(), threading.Event(), os.fsync

        def fsync(fd: int) -> None:
            flushing.set()
            self.assertTrue(go_on.wait(30))
            real(fd)

        with mock.patch.object(os, "fsync", fsync):
            task = asyncio.create_task(call)
            self.assertTrue(await asyncio.to_thread(flushing.wait, 30))
            task.cancel()
            await asyncio.wait([task])
            self.assertTrue(task.cancelled())
            go_on.set()
            await self.engine.create_task(None, ENTRY)

    async def test_stop_waits_for_a_write_whose_caller_has_left(self) -> None:
        await self.engine.create_task("a", ENTRY)
        flushing, go_on = threading.Event(), threading.Event()

        def fsync(_: int) -> None:
            flushing.set()
            self.assertTrue(go_on.wait(30))

        with mock.patch.object(os, "fsync", fsync):
            task = asyncio.create_task(self.engine.update_task("a", TaskEntry("new")))
            self.assertTrue(await asyncio.to_thread(flushing.wait, 30))
            task.cancel()
            stopping = asyncio.create_task(self.engine.stop())
            await asyncio.wait([task])
            self.assertFalse(stopping.done())
            go_on.set()
            await stopping
        self.engine = await self.open()
        self.assertEqual((await self.engine.read_task("a")).entry.title, "new")


class DamagedTest(FolderTestCase):
    """fs: files that are not tasks."""

    DAMAGES: dict[str, bytes] = {
        "empty": b"", "torn": b'{"title": "t', "text": b"not JSON", "list": b"[]",
        "no title": b"{}", "wrong type": b'{"title": 1}', "unknown": b'{"title": "t", "x": 1}',
        "latin-1": '{"title": "é"}'.encode("latin-1"), "nan": b'{"title": "t", "due_date": NaN}',
        "deep": b"[" * 100_000, "nul": b'{"title": "\\u0000"}', "zeros": b"\0" * 4096}

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.engine.create_tasks([("good", ENTRY), ("bad", ENTRY)])

    async def damage(self, content: bytes) -> None:
        """Put this into the file of the task "bad", while the service is down."""
        with self.assertLogs(LOGGER_NAME, logging.ERROR) as logs:
            await self.reopen(lambda: self.file("bad").write_bytes(content))
        self.assertIn("bad.json", "".join(logs.output))

    async def assert_damaged(self) -> None:
        """The one task is an error that names the file; the other is as ever."""
        with self.assertRaisesRegex(DamagedTaskError, "bad.json"):
            await self.engine.read_task("bad")
        self.assertEqual((await self.engine.read_task("good")).entry, ENTRY)
        self.assertEqual(await self.ids(), {"good"})

    async def test_damage_is_an_error_naming_the_file_and_hides_nothing_else(self) -> None:
        for damage, content in self.DAMAGES.items():
            with self.subTest(damage=damage):
                await self.damage(content)
                await self.assert_damaged()

    async def test_a_damaged_file_is_left_as_it_is(self) -> None:
        await self.damage(b"not JSON")
        await self.engine.update_task("good", ENTRY)
        await self.engine.stop()
        self.assertEqual(self.file("bad").read_bytes(), b"not JSON")

    async def test_a_damaged_id_is_taken(self) -> None:
        await self.damage(b"not JSON")
        with self.assertRaises(TaskExistsError):
            await self.engine.create_task("bad", ENTRY)
        self.assertEqual(self.file("bad").read_bytes(), b"not JSON")

    async def test_an_update_mends_it(self) -> None:
        await self.damage(b"not JSON")
        updated = await self.engine.update_task("bad", ENTRY)
        for _ in range(2):
            self.assertEqual(await self.engine.read_task("bad"), updated)
            self.assertEqual(await self.ids(), {"good", "bad"})
            await self.reopen()

    async def test_a_deletion_mends_it(self) -> None:
        await self.damage(b"not JSON")
        await self.engine.delete_task("bad")
        for _ in range(2):
            with self.assertRaises(TaskNotFoundError):
                await self.engine.read_task("bad")
            await self.reopen()

    async def test_it_can_be_created_again_after_its_deletion(self) -> None:
        await self.damage(b"not JSON")
        await self.engine.delete_task("bad")
        await self.engine.create_task("bad", ENTRY)
        self.assertEqual(await self.ids(), {"good", "bad"})

    async def test_a_folder_in_the_place_of_a_file_is_damage(self) -> None:
        self.file("bad").unlink()
        self.file("bad").mkdir()
        await self.reopen()
        await self.assert_damaged()

    async def test_a_link_to_nowhere_is_damage(self) -> None:
        self.file("bad").unlink()
        self.file("bad").symlink_to("nowhere")
        await self.reopen()
        await self.assert_damaged()
        await self.engine.update_task("bad", ENTRY)
        self.assertFalse(self.file("bad").is_symlink())

    async def test_a_link_in_a_circle_is_damage(self) -> None:
        """Nobody can read it, not even root."""
        self.file("bad").unlink()
        self.file("bad").symlink_to("bad.json")
        await self.reopen()
        await self.assert_damaged()
        await self.engine.delete_task("bad")
        self.assertEqual(self.files(), {"good.json"})

    @unittest.skipIf(os.geteuid() == 0, "root may read everything")
    async def test_a_file_that_may_not_be_read_is_damage(self) -> None:
        await self.reopen(lambda: self.file("bad").chmod(0))
        await self.assert_damaged()

    async def test_a_pipe_in_the_place_of_a_file_is_damage(self) -> None:
        """To read it would be to wait for ever."""
        await self.engine.stop()
        self.file("bad").unlink()
        os.mkfifo(self.file("bad"))
        opened = await run_python(OPEN, str(self.folder))
        self.assertEqual(opened.stdout, "open\n")
        self.engine = await self.open()
        await self.assert_damaged()


class CrashTest(FolderTestCase):
    """fs: what a killed process leaves behind."""

    async def test_a_write_that_was_killed_before_it_was_there_leaves_nothing(self) -> None:
        await self.engine.create_task("a", ENTRY)
        await self.engine.stop()
        for call in [
            'create_task("b", TaskEntry("new"))', 'update_task("a", TaskEntry("new"))',
            'create_tasks([("b", TaskEntry("new")), ("c", TaskEntry("new"))])',
        ]:
            with self.subTest(call=call):
                done = await run_python(DIE_BEFORE_RENAME.replace("{call}", call), str(self.folder))
                self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr)
                await self.assert_swept()

    async def assert_swept(self) -> None:
        """There is more in the folder than the task, until the engine is started."""
        self.assertGreater(len(list(self.folder.iterdir())), 2)
        self.engine = await self.open()
        self.assertEqual((await self.engine.read_task("a")).entry, ENTRY)
        self.assertEqual(await self.ids(), {"a"})
        await self.engine.stop()
        self.assertEqual({path.name for path in self.folder.iterdir()}, {".lock", "a.json"})

    async def test_a_folder_that_is_in_use_is_refused_until_its_holder_is_killed(self) -> None:
        await self.engine.create_task("a", ENTRY)
        await self.engine.stop()
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, self.folder], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with holder:
            assert holder.stdout is not None
            self.assertEqual(holder.stdout.readline(), "open\n")
            with self.assertRaisesRegex(StoreInUseError, str(self.folder)):
                await FileTodoListDB(self.folder).start()
            holder.kill()
        self.engine = await self.open()
        self.assertEqual(await self.ids(), {"a"})

    async def test_a_folder_has_one_engine_at_a_time_in_one_process_too(self) -> None:
        other = FileTodoListDB(self.folder)
        with self.assertRaises(StoreInUseError):
            await other.start()
        await other.stop()
        await self.engine.create_task("a", ENTRY)
        await self.engine.stop()
        async with other:
            self.assertEqual((await other.read_task("a")).entry, ENTRY)


class FullDiskTest(FolderTestCase):
    """fs: no room."""

    async def test_a_write_without_room_does_not_happen_and_later_ones_do(self) -> None:
        await self.engine.stop()
        done = await run_python(FULL, str(self.folder))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.engine = await self.open()
        self.assertEqual(await self.ids(), {"a", "c", "d", "e", "f"})
        self.assertEqual((await self.engine.read_task("a")).entry, TaskEntry("x" * 20_000))

    async def test_a_place_that_cannot_be_a_folder_is_an_error(self) -> None:
        (self.folder / "file").write_text("")
        with self.assertRaisesRegex(StoreError, "file"):
            await FileTodoListDB(self.folder / "file").start()

    async def test_a_disk_that_fails_is_an_error_and_changes_nothing(self) -> None:
        await self.engine.create_task("a", ENTRY)
        before = await self.engine.read_task("a")
        with mock.patch.object(os, "fsync", side_effect=OSError(5, "Input/output error")):
            for call in [
                self.engine.update_task("a", TaskEntry("new")), self.engine.delete_task("a"),
                self.engine.create_task("b", ENTRY),
            ]:
                with self.assertRaises(StoreError):
                    await call
        self.assertEqual(await self.engine.read_task("a"), before)
        self.assertEqual(await self.ids(), {"a"})
        await asyncio.gather(*(self.engine.create_task(name, ENTRY) for name in "bc"))
        self.assertEqual(self.files(), {"a.json", "b.json", "c.json"})


if __name__ == "__main__":
    unittest.main()

"""The parent of workers, with programs in their place that die, hang, or cannot be started."""

import asyncio
import os
import signal
import sys
import tempfile
import unittest
from collections import defaultdict
from pathlib import Path
from unittest import mock

from taskservice.errors import TodoListError
from taskservice.tornado.metrics_folder import MetricsFolder
from taskservice.tornado.workers import Supervisor
from tests.helpers.api import until, wait_until
from tests.helpers.app import journal
from tests.helpers.processes import alive
from tests.helpers.time_limit import LimitedTestCase
from tests.helpers.timing import in_time

DELAY = 0.1

WAITING = """
import os, pathlib, signal, sys, time
signal.pthread_sigmask(signal.SIG_SETMASK, %s)
(pathlib.Path(sys.argv[1]) / str(os.getpid())).touch()
time.sleep(60)
"""


class SupervisorTest(LimitedTestCase):

    most_seconds = 100.0

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(tempfile, "tempdir", str(self.folder)))
        self.metrics = MetricsFolder(2)
        self.addCleanup(self.metrics.remove)
        self.journal = self.enterContext(journal())

    def supervise(self, *command: str, workers: int = 1, grace: float = 60) -> None:
        """Begin to keep workers running a command."""
        self.supervisor = Supervisor(command, workers, [], self.metrics, grace, DELAY)
        self.over = asyncio.create_task(self.supervisor.run())

    def supervise_waiting(self, masked: str = "()", workers: int = 1, grace: float = 60) -> None:
        """Begin with a program that waits, and gets every signal but the masked ones."""
        (self.folder / "pids").mkdir(exist_ok=True)
        self.supervise(
            sys.executable, "-c", WAITING % masked, str(self.folder / "pids"), workers=workers, grace=grace)

    def workers(self) -> set[int]:
        """Return the waiting programs that run."""
        return {pid for file in (self.folder / "pids").iterdir() if alive(pid := int(file.name))}

    def times(self, message: str) -> dict[int, list[float]]:
        """Return when a message was logged, by the number of the worker."""
        found = defaultdict(list)
        for record, line in zip(self.journal.records, self.journal.lines, strict=True):
            if line.values["message"] == message:
                found[line.values["worker"]].append(record.created)
        return found

    async def stop(self) -> None:
        """Stop, and wait for the end, after which no signal is handled any more."""
        self.supervisor.stop()
        await asyncio.wait_for(self.over, 60)
        self.assertFalse(asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD))

    async def test_one_that_cannot_be_started_is_tried_again_each_time_later(self) -> None:
        pauses = self.enterContext(mock.patch.object(
            Supervisor, "_pause", autospec=True, side_effect=Supervisor._pause))
        self.supervise(str(self.folder / "none"), workers=2)
        message = "WORKER NOT STARTED"
        await until(lambda: all(len(self.times(message)[n]) > 4 for n in (1, 2)), "five tries of each")
        await self.stop()
        for number in (1, 2):
            tries = self.times(message)[number]
            waits = [later - earlier for earlier, later in zip(tries, tries[1:])]
            for wait, factor in zip(waits, (1, 2, 4, 4)):
                self.assertGreaterEqual(wait, 0.99 * factor * DELAY)  # two clocks
        asked = [call.args[1] for call in pauses.call_args_list]
        self.assertEqual([asked.count(factor * DELAY) for factor in (1, 2)], [2, 2], "once each")
        self.assertEqual(set(asked), {DELAY, 2 * DELAY, 4 * DELAY})
        self.assertEqual(self.journal.lines[0].level, "ERROR")
        self.assertEqual(self.journal.lines[0].values["reason"], "No such file or directory")

    async def test_one_that_could_not_be_started_runs_once_it_can(self) -> None:
        self.supervise(str(self.folder / "worker"))
        await until(lambda: self.times("WORKER NOT STARTED"), "a try")
        (self.folder / "worker").symlink_to("/bin/false")
        await until(lambda: self.times("WORKER DIED"), "its start")
        await self.stop()
        self.assertEqual(self.journal.lines[-1].values["code"], 1)

    async def test_one_that_dies_at_once_is_not_started_again_at_once(self) -> None:
        self.supervise("false", workers=2)
        await until(lambda: all(len(self.times("WORKER DIED")[n]) > 2 for n in (1, 2)), "three deaths of each")
        await self.stop()
        for number in (1, 2):
            deaths = self.times("WORKER DIED")[number]
            for earlier, later in zip(deaths, deaths[1:]):
                self.assertGreaterEqual(later - earlier, 0.99 * DELAY)
        self.assertEqual({line.values["code"] for line in self.journal.lines}, {1})

    async def test_the_ctrl_c_of_a_terminal_does_not_reach_them(self) -> None:
        """It goes to a process group; the parent passes it on, and a second one would end them at once."""
        self.supervise_waiting(workers=2)
        await until(lambda: len(self.workers()) == 2, "their start")
        for worker in self.workers():
            self.assertNotEqual(os.getpgid(worker), os.getpgid(0))
        await self.stop()

    async def test_one_that_does_not_end_is_killed(self) -> None:
        self.supervise_waiting("{signal.SIGTERM}", grace=0.2)
        await until(self.workers, "its start")
        with in_time(self, 30), self.assertRaisesRegex(TodoListError, "did not end within 0.2 s"):
            await self.stop()
        self.assertFalse(self.workers())
        self.assertFalse(self.times("WORKER DIED"), "it was asked for")

    async def test_a_stop_while_one_that_died_is_seen_to(self) -> None:
        for turns in range(8):  # of the loop: the stop comes between any two of what is done
            self.supervise_waiting(workers=2)
            await until(lambda: len(self.workers()) == 2, "their start")
            died = min(self.workers())
            os.kill(died, signal.SIGKILL)
            wait_until(lambda: not alive(died), "its death, while the loop stands")
            for _ in range(turns):
                await asyncio.sleep(0)
            await self.stop()
            self.assertFalse(self.workers())

    async def test_a_stop_while_the_first_are_being_started(self) -> None:
        for turns in range(8):
            self.supervise_waiting(workers=2)
            for _ in range(turns):
                await asyncio.sleep(0)
            await self.stop()
            self.assertFalse(self.workers())
        self.assertFalse(self.times("WORKER DIED"))

    async def test_a_stop_does_not_wait_for_the_next_try(self) -> None:
        self.supervise(str(self.folder / "none"))
        await until(lambda: self.times("WORKER NOT STARTED"), "a try")
        await self.stop()
        self.assertEqual(len(self.times("WORKER NOT STARTED")[1]), 1)


if __name__ == "__main__":
    unittest.main()

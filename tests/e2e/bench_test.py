"""The benchmark runs: a second of it, for what it needs to go on working."""

import shutil
import tempfile
import unittest
from pathlib import Path

from benchmarks.candidates import everyone, ours
from benchmarks.check import check
from benchmarks.client import seed
from benchmarks.environment import is_prepared
from benchmarks.load import by_asyncio, write_requests
from benchmarks.processes import running
from benchmarks.workloads import WORKLOADS
from tests.helpers.processes import copy_project, run


@unittest.skipUnless(shutil.which("taskset"), "taskset is missing (Debian: util-linux)")
class BenchTest(unittest.TestCase):
    """`run.py bench`, and its peers where they are installed."""

    def test_quick_run_shows_what_a_request_costs(self) -> None:
        with tempfile.TemporaryDirectory() as folder:  # for it leaves its results in var/ of the project
            done = run("python3", "run.py", "bench", "--quick", "--only", "get,start",
                       "--candidates", "taskservice", cwd=copy_project(Path(folder)))
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertRegex(done.stdout, r"\| taskservice \| [0-9,]+ \| [0-9.]+ \| 1\.00 \|")
        self.assertIn("start to first answer: seconds", done.stdout)

    def test_generator_that_stands_in_for_wrk_sends_the_same(self) -> None:
        [mix] = [each for each in WORKLOADS if each.name == "mix"]
        with tempfile.TemporaryDirectory() as name, running(ours()[0], Path(name)) as server:
            port, file = server.place.port, Path(name) / "requests"
            write_requests(file, mix.requests(seed(port, mix.tasks), port))
            load = by_asyncio(port, file, 4, 0.2)
        self.assertEqual(0, load.errors)
        self.assertGreater(load.requests, 4)
        self.assertGreaterEqual(load.p99, load.p50)

    def test_what_there_is_not_is_reported(self) -> None:
        done = run("python3", "run.py", "bench", "--only", "got")
        self.assertEqual(2, done.returncode)
        self.assertIn("no got", done.stderr)

    @unittest.skipUnless(is_prepared(), "the peers are not installed (run.py bench does it)")
    def test_peers_do_the_work_that_is_measured(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for peer in everyone():
                with self.subTest(peer.name), running(peer, Path(folder) / peer.name) as server:
                    check(server)

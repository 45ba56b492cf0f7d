"""The folder that workers share: nobody's is removed, somebody's is not."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from taskservice.errors import TodoListError
from taskservice.tornado.metrics_folder import PREFIX, MetricsFolder
from tests.helpers.app import ROOT

MAKING = """
from taskservice.tornado.metrics_folder import MetricsFolder
for _ in range(30):
    folder = MetricsFolder(1)
    open(f"{folder.path}/file", "x").close()
    folder.remove()
"""


class MetricsFolderTest(unittest.TestCase):

    def setUp(self) -> None:
        self.temporary = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(tempfile, "tempdir", str(self.temporary)))

    def make(self) -> MetricsFolder:
        """Make a folder; it is gone at the end."""
        folder = MetricsFolder(1)
        self.addCleanup(folder.remove)
        return folder

    def nobodys(self, name: str = "left") -> Path:
        """Return a folder with a file in it, as a service leaves it that was killed."""
        folder = self.temporary / f"{PREFIX}{name}"
        folder.mkdir(0o700)
        (folder / "gauge_max_1.db").touch()
        return folder

    def test_it_is_there_for_this_user_alone_until_it_is_removed(self) -> None:
        folder = MetricsFolder(1)
        path = Path(folder.path)
        self.assertEqual((path.parent, path.stat().st_mode & 0o777), (self.temporary, 0o700))
        (path / "file").touch()
        folder.remove()
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_files_of_each_worker_are_there_and_a_full_disk_takes_none_of_them(self) -> None:
        folder = MetricsFolder(2)
        self.addCleanup(folder.remove)
        files = list(Path(folder.path).iterdir())
        self.assertEqual({file.name for file in files}, {
            f"{kind}_{number}.db" for kind in ("histogram", "counter", "gauge_livesum", "gauge_max", "gauge_min")
            for number in (1, 2)} | {"restarts"})
        for file in files:
            self.assertGreaterEqual(file.stat().st_blocks * 512, file.stat().st_size, file)

    def test_one_that_nobody_has_is_removed(self) -> None:
        self.nobodys()
        made = self.make().path
        self.assertEqual([str(path) for path in self.temporary.iterdir()], [made])

    def test_one_that_another_service_has_is_not(self) -> None:
        first, second = self.make(), self.make()
        self.assertEqual(
            {str(path) for path in self.temporary.iterdir()}, {first.path, second.path})

    def test_one_that_just_a_worker_has_is_not(self) -> None:
        """The parent was killed, and its workers are still about to end."""
        folder = MetricsFolder(1)
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[folder.fd]) as worker:
            os.close(folder.fd)
            self.make()
            self.assertTrue(Path(folder.path).exists())
            worker.communicate()
        self.make()
        self.assertFalse(Path(folder.path).exists())

    def test_what_is_no_folder_is_left_alone(self) -> None:
        target = self.temporary / "target"
        target.mkdir()
        link, file = self.temporary / f"{PREFIX}link", self.temporary / f"{PREFIX}file"
        link.symlink_to(target)
        file.touch()
        self.make()
        self.assertTrue(link.is_symlink() and target.is_dir() and file.is_file())

    @unittest.skipIf(os.getuid() != 0, "only root can make a folder that is another user's")
    def test_another_users_is_left_alone(self) -> None:
        folder = self.nobodys()
        os.chown(folder, 12345, 12345)
        self.make()
        self.assertTrue((folder / "gauge_max_1.db").exists())

    def test_services_that_start_together_do_not_remove_each_others(self) -> None:
        makers = [subprocess.Popen(
            [sys.executable, "-c", MAKING], cwd=ROOT, stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": str(self.temporary)}) for _ in range(3)]
        for maker in makers:
            self.assertEqual((maker.communicate(timeout=60)[1], maker.returncode), (b"", 0))
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_no_temporary_directory_is_reported_in_one_line(self) -> None:
        with mock.patch.object(tempfile, "tempdir", str(self.temporary / "none")):
            with self.assertRaisesRegex(TodoListError, r"\Ano temporary directory .*No such file.*TMPDIR"):
                MetricsFolder(1)


if __name__ == "__main__":
    unittest.main()

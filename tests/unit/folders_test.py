"""A store's folder is made with those above it, lasts, and may be made by several processes at once."""

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from taskservice.database.folders import make_folder


class MakeFolderTest(unittest.TestCase):

    def setUp(self) -> None:
        self.above = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.folder = self.above / "a" / "b"

    def flushed(self) -> list[Path]:
        """Make the folder; return the folders that were flushed to disk, in order."""
        found: list[Path] = []
        real = os.fsync

        def fsync(descriptor: int) -> None:
            found.extend(path for path in (self.above, *self.above.rglob("*"))
                         if os.path.samestat(path.stat(), os.fstat(descriptor)))
            real(descriptor)

        with mock.patch.object(os, "fsync", fsync):
            make_folder(self.folder)
        self.assertTrue(self.folder.is_dir())
        return found

    def test_the_name_of_each_new_folder_is_flushed(self) -> None:
        self.assertEqual(self.flushed(), [self.above, self.folder.parent])

    def test_one_that_is_there_is_left_alone(self) -> None:
        self.folder.mkdir(parents=True)
        self.assertEqual(self.flushed(), [])

    def test_another_process_makes_it_at_the_same_moment(self) -> None:
        real = os.mkdir

        def mkdir(path: str | os.PathLike[str], mode: int = 0o777) -> None:
            real(path, mode)  # by the other
            real(path, mode)

        with mock.patch.object(os, "mkdir", mkdir):
            self.assertEqual(self.flushed(), [self.above, self.folder.parent])

    def test_no_descriptor_stays_open_when_the_disk_fails(self) -> None:
        opened: list[int] = []
        real = os.open

        def noted(*args: object, **kwargs: object) -> int:
            opened.append(real(*args, **kwargs))  # type: ignore[arg-type]  # as they came
            return opened[-1]

        with mock.patch.object(os, "fsync", side_effect=OSError(5, "Input/output error")):
            with mock.patch.object(os, "open", noted), self.assertRaises(OSError):
                make_folder(self.folder)
        [descriptor] = opened
        with self.assertRaises(OSError):
            os.fstat(descriptor)


if __name__ == "__main__":
    unittest.main()

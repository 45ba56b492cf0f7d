"""A process that dies while it writes a file: what is left of what was there?"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def write_in_place(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text[:len(text) // 2])
        file.flush()
        die_here()
        file.write(text[len(text) // 2:])


def write_beside(path: Path, text: str) -> None:
    """Replace the file whole or not at all, and return when that is on the disk."""
    beside = path.with_suffix(".new")
    with beside.open("w") as file:
        file.write(text[:len(text) // 2])
        file.flush()
        die_here()
        file.write(text[len(text) // 2:])
        file.flush()
        os.fsync(file.fileno())  # the content, or a power cut may leave an empty file
    beside.replace(path)  # atomic, also for those who read meanwhile
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)  # and the name
    os.close(folder)


def die_here() -> None:
    os.kill(os.getpid(), 9)


if len(sys.argv) > 1:
    {"in place": write_in_place, "beside": write_beside}[sys.argv[1]](Path(sys.argv[2]), '{"title": "Buy bread"}')
else:
    for how in ("in place", "beside"):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "task.json")
            path.write_text('{"title": "Buy milk"}')
            subprocess.run([sys.executable, __file__, how, str(path)])
            print(f"{how}: {path.read_text()}")

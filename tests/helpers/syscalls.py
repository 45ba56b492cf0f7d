"""System calls as strace writes them."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

CALLS = ("read", "recvfrom", "recvmsg", "write", "sendto", "sendmsg", "writev", "pwrite64", "fsync",
         "fdatasync", "rename", "renameat", "renameat2", "unlink", "unlinkat")
SENDS = ("write", "sendto", "sendmsg", "writev")
RECEIVES = ("read", "recvfrom", "recvmsg")
RENAMES = ("rename", "renameat", "renameat2")
FLUSHES = ("fsync", "fdatasync")

_LINE = re.compile(r"(\d+) +(?:(\w+)\((.*?)(?: <unfinished \.\.\.>|\) += ([-?\d].*))|"
                   r"<\.\.\. (\w+) resumed>(.*)\) += (.*))")


@dataclass
class Call:
    """A system call: its arguments as strace shows them, its result, when it began and ended."""

    name: str
    arguments: str
    start: int
    end: int
    result: str

    def has(self, text: str) -> bool:
        """Return whether its arguments contain this."""
        return text in self.arguments


def parse(lines: Sequence[str]) -> list[Call]:
    """Read what strace wrote; a call that never ended is left out."""
    calls: list[Call] = []
    unfinished: dict[str, Call] = {}
    for index, line in enumerate(lines):
        if (match := _LINE.match(line)) is None:
            continue
        thread, name, arguments, result, resumed, rest, late_result = match.groups()
        if resumed is not None and thread in unfinished:
            begun = unfinished.pop(thread)
            calls.append(Call(resumed, begun.arguments + rest, begun.start, index, late_result))
        elif name is not None and result is None:
            unfinished[thread] = Call(name, arguments, index, index, "")
        elif name is not None:
            calls.append(Call(name, arguments, index, index, result))
    return sorted(calls, key=lambda call: call.start)


def why_no_strace() -> str | None:
    """Return why nothing can be traced here."""
    if shutil.which("strace") is None:
        return "needs the program strace (Debian: apt-get install strace)"
    traced = subprocess.run(["strace", "-e", "trace=none", "true"], capture_output=True)
    return None if traced.returncode == 0 else f"strace does not work here: {traced.stderr!r}"

"""The virtual environment of run.py: finds missing packages, installs them, and reports progress.

It needs only Python. If packages are missing, it makes ``.venv`` in the project's folder, installs them there and goes
on inside it; else it stays in the interpreter that started it.
"""
import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / "run.py"
LOCK = ROOT / "requirements.lock"
"""The versions of all packages, dependencies included; ``run.py lock`` renews it."""

VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "run.py-stamp"  # which sets of packages, by their hashes, are installed in VENV
UNFINISHED = "unfinished\n"    # what STAMP says while they are being installed

JUST_INSTALLED = "RUN_PY_JUST_INSTALLED"  # an environment variable that prevents a loop of installations

SERVICE, ALL, DEVELOPMENT = "service", "requirements.txt", "requirements-dev.txt"
"""Sets of packages: the first is the part of requirements.txt above its tests and tools."""

TOOLS_BEGIN = "# Tests and tools"
"""The line of requirements.txt that ends what the service itself imports (deploy/Dockerfile goes by it too)."""

IMPORT_NAMES = {"pyyaml": "yaml"}  # where it is not the package's name with underscores

NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|name resolution|Network is unreachable|No route to host|Connection refused"
    r"|Max retries exceeded|Read timed out|ProxyError")
"""What pip says when it cannot reach a package index."""

COLLECTING = re.compile(r"(?:Collecting|Processing|Requirement already satisfied:|Looking in links:) *([\w.-]*)")


def need(*sets: str) -> None:
    """Return if the first of these sets can be imported here; else install all of them in VENV, and go on there.

    Exits with a message when they cannot be installed.
    """
    just_installed = os.environ.pop(JUST_INSTALLED, None)
    if not missing(sets[0]):
        return
    if just_installed:
        sys.exit(f"run.py: cannot import {', '.join(missing(sets[0]))}, though installed in {VENV}; remove that folder")
    try:
        if not is_installed(sets) or inside_venv():
            install(sets)
            os.environ[JUST_INSTALLED] = "yes"
        os.execv(VENV_PYTHON, [str(VENV_PYTHON), str(RUN), *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"run.py: cannot install in {VENV}: {reason_of(error)}")


def missing(name: str) -> list[str]:
    """Return the packages of a set that cannot be imported; those that only hold types do not count."""
    code = [name for name in packages(name) if not name.startswith("types-") and not name.endswith("-stubs")]
    modules = [IMPORT_NAMES.get(name, name.replace("-", "_")) for name in code]
    return [module for module in modules if importlib.util.find_spec(module) is None]


def packages(name: str) -> list[str]:
    """Return the names of a set's packages."""
    matches = [re.match(r"[A-Za-z0-9][\w.-]*", line) for line in requirements(name).splitlines()]
    return [match[0].lower() for match in matches if match]


def requirements(name: str) -> str:
    """Return the lines of a set, as pip reads them."""
    text = (ROOT / (ALL if name == SERVICE else name)).read_text("utf-8")
    return text.partition(TOOLS_BEGIN)[0] if name == SERVICE else text


def inside_venv() -> bool:
    """Return whether the running interpreter is that of VENV."""
    return Path(sys.prefix).resolve() == VENV


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"run.py: {text}", file=sys.stderr, flush=True)


# --- Installing ------------------------------------------------------------------------------------------------------

def install(sets: Sequence[str]) -> None:
    """Make VENV where there is none that works, and install the sets in it; exits with a message when that fails."""
    with ending_quietly(), own_temporary_directory(), one_at_a_time() as lock:
        if is_installed(sets) and not inside_venv():
            return  # another run did it while this one waited
        if read_stamp() == UNFINISHED or not has_pip():
            make_venv(lock)
        for name in sets:
            install_set(name, lock)


def make_venv(lock: int) -> None:
    """Make VENV anew; exits with a message when that fails."""
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        sys.exit("run.py: this Python has no venv module (Debian: apt install python3-venv)")
    VENV.mkdir(exist_ok=True)  # says in an OSError whether it may
    say(f"making {VENV}")
    said, code = holding(lock, [sys.executable, "-m", "venv", "--clear", str(VENV)])
    if code:
        sys.exit(f"{said}\nrun.py: could not make {VENV}: the reason is above")


def install_set(name: str, lock: int) -> None:
    """Install one set in VENV and stamp it; exits with a message when that fails.

    If pip fails, VENV is as before. If it is killed, VENV is in doubt, and STAMP says so.
    """
    others = [line for line in read_stamp().splitlines(keepends=True) if not line.startswith(f"{name} ")]
    what = "the service's packages" if name == SERVICE else f"the packages of {name}"
    say(f"installing {what} in {VENV} (once; takes a minute)")
    STAMP.write_text(UNFINISHED, "utf-8")
    with requirements_file(name) as file:
        command = [str(VENV_PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-color",
                   "--progress-bar=off", "-r", file, *(["-c", str(LOCK)] if LOCK.exists() else [])]
        said, code = holding(lock, command, Progress(len(packages(name))).show)
    if code >= 0:
        STAMP.write_text("".join(others + [stamp_line(name)] * (code == 0)), "utf-8")
    if code:
        why = "there is no network, or no package index" if NO_NETWORK.search(said) else "the reason is above"
        sys.exit(f"{said}\nrun.py: pip could not install {what} in {VENV}: {why}")


@contextlib.contextmanager
def requirements_file(name: str) -> Iterator[str]:
    """Give the path of a file with the requirements of a set, in the folder that their own paths are relative to."""
    whole = ROOT / (ALL if name == SERVICE else name)
    if requirements(name) == whole.read_text("utf-8"):
        yield str(whole)
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(requirements(name))
        file.flush()
        yield file.name


class Progress:
    """A bar on a terminal that counts the packages that pip collects; nothing elsewhere."""

    WIDTH = 24

    def __init__(self, expected: int) -> None:
        """Expect at least so many packages; their dependencies are added as they come."""
        self.expected = expected
        self.seen = 0
        self.terminal = sys.stderr.isatty()

    def show(self, line: str) -> None:
        """Show a line of pip's; an empty one ends the bar."""
        if not self.terminal:
            return
        if match := COLLECTING.match(line):
            self.seen += 1
            self.expected = max(self.expected, self.seen)
            done = "#" * (self.WIDTH * self.seen // self.expected)
            text = f"[{done:<{self.WIDTH}}] {self.seen}/{self.expected} {match[1][:40]}"
        elif line.startswith("Installing collected"):
            text = f"[{'#' * self.WIDTH}] unpacking {self.seen} packages"
        elif line:
            return
        else:
            text = ""
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def reason_of(error: OSError) -> str:
    """Return why a folder cannot be written."""
    if error.errno == errno.EROFS:
        return "it is on a read-only file system; copy the project to another folder"
    if error.errno in (errno.EACCES, errno.EPERM):
        folder = VENV if VENV.exists() else ROOT
        owner = folder.stat().st_uid
        with contextlib.suppress(KeyError):
            return f"{folder} is not yours but {pwd.getpwuid(owner).pw_name}'s"
        return f"{folder} is not yours but of the user {owner}"
    if error.errno == errno.ENOSPC:
        return "the disk is full"
    return str(error)


# --- One at a time, and to the end -----------------------------------------------------------------------------------

@contextlib.contextmanager
def ending_quietly() -> Iterator[None]:
    """In the block let SIGTERM and SIGHUP end this script and its children silently, as Ctrl-C does."""
    def end(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def own_temporary_directory() -> Iterator[None]:
    """Give child processes a temporary directory that is removed even when they are killed."""
    before = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory(prefix="taskservice-install-", ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = folder
        try:
            yield
        finally:
            os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)


@contextlib.contextmanager
def one_at_a_time() -> Iterator[int]:
    """Hold a lock, so that one of several runs installs and the others wait; yields its descriptor."""
    with open(ROOT / ALL, "rb") as lock:  # a file of the project, so that none is left behind
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run.py, which installs in {VENV}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def holding(
    lock: int, command: Sequence[str], show: Callable[[str], None] = lambda line: None
) -> tuple[str, int]:
    """Run a command that holds the lock until it ends, even when this script is killed earlier.

    Returns the last lines of its output, and its exit code. It has a session of its own, so that Ctrl-C does not reach
    it, which it would report at length: it is killed.
    """
    said: list[str] = []
    with subprocess.Popen(
        command, cwd=ROOT, pass_fds=[lock], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                said.append(line.rstrip())
                show(line)
            process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            show("")
            if process.wait() < 0 and VENV.is_dir():
                STAMP.write_text(UNFINISHED, "utf-8")
    return "\n".join(said[-20:]), process.returncode


def has_pip() -> bool:
    """Return whether VENV is there and can install something."""
    command = [str(VENV_PYTHON), "-m", "pip", "--version"]
    return VENV_PYTHON.exists() and subprocess.run(command, capture_output=True).returncode == 0


def is_installed(sets: Sequence[str]) -> bool:
    """Return whether these sets, as they are now, have been installed in VENV."""
    stamped = read_stamp().splitlines(keepends=True)
    whole = stamp_line(ALL) in stamped  # of which the service's packages are a part
    return VENV_PYTHON.exists() and all(
        stamp_line(name) in stamped or (whole and name == SERVICE) for name in sets)


def read_stamp() -> str:
    """Return what STAMP says; nothing where there is none."""
    return STAMP.read_text("utf-8") if STAMP.exists() else ""


def stamp_line(name: str) -> str:
    """Return the line in STAMP that says that a set, as it is now, is installed."""
    versions = LOCK.read_bytes() if LOCK.exists() else b""
    return f"{name} {hashlib.sha256(requirements(name).encode() + versions).hexdigest()}\n"

#!/usr/bin/env python3
"""The project's commands: ``./run.py serve``, ``./run.py test`` and the tools beside them.

It needs nothing but Python. Where the packages of requirements.txt are missing it makes ``.venv`` beside itself,
installs them there and goes on inside it; where they are there it stays in the interpreter it was started with.
It works from any directory: paths that the user names are relative to where the user is.
"""
import sys

if sys.version_info < (3, 11):  # checked before anything that an older Python 3 could not import or run
    sys.exit("run.py: needs Python 3.11 or newer, and this is %d.%d" % sys.version_info[:2])

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parent
TESTS = ROOT / "tests"
DEFAULT_CONFIG = ROOT / "configs" / "todoList-serve.yaml"
LEAST_COVERAGE = 97  # percent, branches included

SUITES = {
    "all": ("unit", "integration", "e2e"),
    "unit": ("unit",),
    "integration": ("integration",),
    "e2e": ("e2e",),
    "browser": ("browser",),
    "reliability": ("reliability",),  # these three take long, so they are no part of "all"
    "tutorial": ("tutorial",),
}


# --- The commands ----------------------------------------------------------------------------------------------------

def serve(args: Sequence[str]) -> int:
    """Serve in this process; the options are the server's own."""
    parser = Parser(prog="run.py serve", add_help=False)
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG)
    options, server_options = parser.parse_known_args(args)
    need("requirements.txt")
    config = options.config.absolute()
    os.chdir(ROOT)  # the default config stores under ./var/, which is the project's wherever the user is
    from taskservice.tornado.signals import Signals
    signals = Signals()  # before the imports that follow, which take their time
    from taskservice.tornado.server import main as server_main
    return server_main(["--config", str(config), *server_options], parser.prog, DEFAULT_CONFIG, signals)


def transfer(command: str) -> Callable[[Sequence[str]], int]:
    """Make the command that exports or imports tasks over the network."""
    def run(args: Sequence[str]) -> int:
        options = transfer_options(command, args)
        need("requirements.txt")
        sys.path.insert(0, str(ROOT))
        from taskservice.client.commands import main as transfer_main
        return transfer_main(command, options.url, options.file)
    return run


def token(args: Sequence[str]) -> int:
    """Make a token, and print it, this once, with what the config is to have of it."""
    parser = Parser(prog="run.py token", description="Make a token for the service's clients.")
    parser.add_argument("name", metavar="NAME", help="whose it is, for the log: 1-64 letters, digits, '.', '_', '-'")
    parser.add_argument("--scope", choices=("read", "write"), required=True, help="what it is good for")
    options = parser.parse_args(args)
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", options.name):
        parser.error(f"argument NAME: expected 1-64 letters, digits, '.', '_' or '-', got {options.name!r}")
    need("requirements.txt")
    sys.path.insert(0, str(ROOT))
    from taskservice.tornado.access import hash_token, new_token
    secret = new_token()
    entry = f"{{name: '{options.name}', scope: {options.scope}, sha256: '{hash_token(secret).hex()}'}}"
    print(f"The token, which is shown this once:\n\n    {secret}\n")
    print(f"What the config is to have of it:\n\nauth:\n  tokens:\n  - {entry}")
    return 0


def bench(args: Sequence[str]) -> int:
    """Measure the service beside its peers."""
    need("requirements.txt")
    sys.path.insert(0, str(ROOT))
    from benchmarks.bench import main as bench_main
    return bench_main(args)


def profile(args: Sequence[str]) -> int:
    """Show where the service's time goes."""
    need("requirements.txt")
    sys.path.insert(0, str(ROOT))
    from benchmarks.profiling import main as profile_main
    return profile_main(args)


def test(args: Sequence[str]) -> int:
    """Run tests in this process, so that ``coverage run ./run.py test`` measures them."""
    options = test_options(args)
    need("requirements.txt", "requirements-dev.txt")
    sys.path[:0] = [str(TESTS), str(ROOT)]
    from tests.runner import run_tests
    named = [name for target in options.tests for name in names_of(target)]
    os.chdir(ROOT)
    return run_tests(named if options.tests else suite_names(options.suite), verbosity=2 if options.verbose else 1)


def matrix(args: Sequence[str]) -> int:
    """Run tests on every Python that there is, each with a virtual environment of its own under var/."""
    test_options(args)  # a slip in the options, or --help, ends here
    codes = {}
    for version, python in pythons().items():
        venv = ROOT / "var" / f"python-{version}"
        print(f"run.py: Python {version}", file=sys.stderr, flush=True)
        if not (venv / "bin" / "pip").exists():
            subprocess.check_call([python, "-m", "venv", "--clear", str(venv)])
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.check_call([*pip, "-r", str(ROOT / "requirements-dev.txt")])
        codes[version] = subprocess.call([str(venv / "bin" / "python"), __file__, "test", *args])
    print(", ".join(f"Python {version}: {'failed' if code else 'passed'}" for version, code in codes.items()))
    return 1 if any(codes.values()) else 0


def coverage(args: Sequence[str]) -> int:
    """Run tests under coverage and report it; to cover less than LEAST_COVERAGE is to fail."""
    args = args[1:] if args[:1] == ["--"] else args
    test_options(args)  # a slip in the options, or --help, ends here
    need("requirements.txt", "requirements-dev.txt")
    files = [f"--rcfile={ROOT / 'pyproject.toml'}", f"--data-file={ROOT / '.coverage'}"]
    source = ["--branch", f"--source={ROOT / 'taskservice'}"]
    tested = tool("coverage", "run", *files, *source, __file__, "test", *args, cwd=None)
    left_out = not_testable()
    for file, reason in left_out.items():
        print(f"run.py coverage: {file} is left out: its tests need what is missing ({reason})", file=sys.stderr)
    omitted = [f"--omit={','.join(left_out)}"] if left_out else []
    reported = tool("coverage", "report", *files, *omitted, f"--fail-under={LEAST_COVERAGE}")
    return tested or reported


def mutants(args: Sequence[str]) -> int:
    """Make deliberate changes to the code, and see whether tests notice."""
    need("requirements.txt", "requirements-dev.txt")
    if importlib.util.find_spec("cosmic_ray") is None:
        sys.exit("run.py mutants: needs the package cosmic-ray (requirements-dev.txt)")
    sys.path.insert(0, str(ROOT))
    from tests.mutants import main as mutants_main
    return mutants_main(args)


def lint(args: Sequence[str]) -> int:
    """Check the style with flake8."""
    options = paths_options("run.py lint", args)
    need("requirements.txt")
    return tool("flake8", *sources(options.paths))


def typecheck(args: Sequence[str]) -> int:
    """Check the types with mypy."""
    options = paths_options("run.py typecheck", args)
    need("requirements.txt")
    return tool("mypy", *sources(options.paths))


class Command(NamedTuple):
    """A command of this script: what runs it, and its line in the help."""

    run: Callable[[Sequence[str]], int]
    arguments: str
    help: str


COMMANDS = {
    "serve": Command(serve, "[server options]", "start the service (serve --help: its options)"),
    "export": Command(transfer("export"), "FILE [--url URL]", "write all tasks of a running service to a file"),
    "import": Command(transfer("import"), "FILE [--url URL]", "create the tasks of a file; goes on where it stopped"),
    "token": Command(token, "NAME --scope read|write", "make a token for the service's clients"),
    "test": Command(test, "[-v] [--suite NAME] [tests]", "run all tests, a suite, or the files, folders, names given"),
    "matrix": Command(matrix, "[test arguments]", "run tests on every Python there is, from 3.11 on"),
    "bench": Command(bench, "[--quick] [--only PARTS]", "measure it beside its peers (bench --help)"),
    "profile": Command(profile, "[workload]", "show where its time goes: a flame graph, and the hottest functions"),
    "mutants": Command(mutants, "[modules]", "change the code, and see whether tests notice (mutants --help)"),
    "lint": Command(lint, "[paths]", "check the style with flake8"),
    "typecheck": Command(typecheck, "[paths]", "check the types with mypy"),
    "coverage": Command(coverage, "[-- test arguments]", f"test and report coverage; below {LEAST_COVERAGE}% fails"),
}


def main(argv: Sequence[str]) -> int:
    """Run the command that argv names; return the exit code: 0 done, 1 it failed, 2 it was not understood."""
    name, args = (argv[0], argv[1:]) if argv else ("--help", [])
    if name in ("-h", "--help", "help"):
        print(usage())
        return 0 if argv else 2
    if name not in COMMANDS:
        print(f"run.py: no command {name!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        return COMMANDS[name].run(args)
    except KeyboardInterrupt:
        return 130  # what a shell says of a command that Ctrl-C ended


def usage() -> str:
    """The help: a line for each command."""
    lines = [f"  {name + ' ' + command.arguments:<36} {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: run.py COMMAND [arguments]", "", *lines])


# --- Options and paths -----------------------------------------------------------------------------------------------

class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and exit with code 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def transfer_options(command: str, args: Sequence[str]) -> argparse.Namespace:
    """The options of ``export`` and ``import``: file, url."""
    parser = Parser(
        prog=f"run.py {command}", description=TRANSFERS[command].description,
        epilog="A token is read from TASKSERVICE_TOKEN; SSL_CERT_FILE names the authorities to trust.")
    parser.add_argument("file", metavar="FILE", help=TRANSFERS[command].file)
    parser.add_argument(
        "--url", default="http://localhost:8080", help="the service, with its base path (default: %(default)s)")
    return parser.parse_args(args)


class Transfer(NamedTuple):
    """The help of ``export`` or ``import``: what it does, and what its FILE is."""

    description: str
    file: str


TRANSFERS = {
    "export": Transfer(
        "Write all tasks of a running service to a file, one line of JSON each. The file is replaced at the end, by a"
        " whole answer alone, and stays as it was otherwise.",
        "where to write; - is standard output, and a FIFO or a device is written as the tasks come"),
    "import": Transfer(
        "Create the tasks of a file in a running service. All lines are checked first. A task with an id is created"
        " once, and passed over where it is there already and the same; lines without ids create nothing more when"
        " they are imported again within 24 hours. The same command goes on where an earlier one stopped: FILE.import"
        " says where, and is removed at the end.",
        "the tasks, one line of JSON each, as export writes them or without ids, or the JSON of GET /tasks;"
        " - is standard input, which cannot be resumed"),
}


def test_options(args: Sequence[str]) -> argparse.Namespace:
    """The options of ``test``: tests, suite, verbose."""
    parser = Parser(prog="run.py test", description="Run tests: all of a suite, or those named.")
    parser.add_argument("tests", nargs="*", help="files, folders, or dotted names such as unit.datamodel_test")
    parser.add_argument("--suite", choices=SUITES, default="all", help="all (the default) is unit, integration and e2e")
    parser.add_argument("-v", "--verbose", action="store_true", help="name each test")
    return parser.parse_args(args)


def paths_options(prog: str, args: Sequence[str]) -> argparse.Namespace:
    """The options of a checker: paths."""
    parser = Parser(prog=prog)
    parser.add_argument("paths", nargs="*", help="files or folders; without any, all of the project's code")
    return parser.parse_args(args)


def sources(paths: Sequence[str]) -> list[str]:
    """The Python code to check, as seen from ROOT: the user's paths, or all of the project's."""
    if paths:
        return [os.path.relpath(path, ROOT) for path in paths]
    return [name for name in ("./taskservice", "./tests", "./benchmarks", "run.py") if (ROOT / name).exists()]


def tool(module: str, *args: str, cwd: Path | None = ROOT) -> int:
    """Run a Python tool (``python -m module``) at ROOT, where its config is; return its exit code."""
    return subprocess.call([sys.executable, "-m", module, *args], cwd=cwd)


# --- Tests -----------------------------------------------------------------------------------------------------------

def pythons() -> dict[str, str]:
    """The Pythons, from 3.11 on, on the PATH and of pyenv: version, and the program; one of each version."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for minor in range(11, 20):
        name = f"python3.{minor}"
        for python in (shutil.which(name), *sorted(map(str, pyenv.glob(f"3.{minor}.*/bin/{name}")))):
            if python and subprocess.run([python, "-c", "import ensurepip"], capture_output=True).returncode == 0:
                found[f"3.{minor}"] = python
    return found


def not_testable() -> dict[str, str]:
    """The modules whose tests skip here, for they need a server of some kind; and why."""
    sys.path.insert(0, str(ROOT))
    from tests import postgres
    reason = postgres.available()
    files = sorted(ROOT.glob("taskservice/database/postgres_*.py")) if reason else []
    return {str(file.relative_to(ROOT)): str(reason) for file in files}


def suite_names(suite: str) -> list[str]:
    """The dotted names of all test modules of a suite."""
    return [name for folder in SUITES[suite] for name in module_names(TESTS / folder)]


def names_of(target: str) -> list[str]:
    """The dotted names that a file, a folder or a dotted name stands for; exits with code 2 at a path that is not."""
    path = Path(target).resolve()
    if path == TESTS:
        return suite_names("all")
    if path.exists():
        return module_names(path)
    if "/" in target or target.endswith(".py"):
        print(f"run.py test: {target}: no such file or folder", file=sys.stderr)
        sys.exit(2)
    name = target.removeprefix("tests.")  # one name for a module, so that it is not imported twice
    folder = TESTS.joinpath(*name.split("."))
    return module_names(folder) if folder.is_dir() else [name]


def module_names(path: Path) -> list[str]:
    """The dotted names of a test file, or of those in a folder."""
    return [module_name(file) for file in ([path] if path.is_file() else sorted(path.rglob("*_test.py")))]


def module_name(file: Path) -> str:
    """The name to import a test file by: the one that ``unittest discover tests`` gives it.

    A file from elsewhere is named by itself, and its folder put on sys.path.
    """
    if file.is_relative_to(TESTS):
        return ".".join(file.relative_to(TESTS).with_suffix("").parts)
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    return file.stem


# --- The environment -------------------------------------------------------------------------------------------------

VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
STAMP = VENV / "run.py-stamp"  # which requirements files, by their hashes, are installed in VENV
UNFINISHED = "unfinished\n"    # what STAMP says while they are being installed

JUST_INSTALLED = "RUN_PY_JUST_INSTALLED"  # the environment variable that keeps it from doing so again and again

IMPORT_NAMES = {"pyyaml": "yaml"}  # where it is not the package's name with underscores


def need(*requirements: str) -> None:
    """Go on where the packages of requirements.txt can be imported: here, or else in VENV, installed there first.

    ``requirements`` are the files to install, should that be needed. Exits with a message when it fails.
    """
    just_installed = os.environ.pop(JUST_INSTALLED, None)
    if not missing():
        return
    if just_installed:
        sys.exit(f"run.py: cannot import {', '.join(missing())}, though installed in {VENV}; remove that folder")
    try:
        if not is_installed(requirements) or inside_venv():
            install(requirements)
            os.environ[JUST_INSTALLED] = "yes"
        os.execv(VENV_PYTHON, [str(VENV_PYTHON), __file__, *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"run.py: cannot install in {VENV}: {error}")


def missing() -> list[str]:
    """The packages of requirements.txt that cannot be imported; those that only hold types do not count."""
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    matches = [re.match(r"[A-Za-z0-9][\w.-]*", line) for line in lines]
    packages = [match[0].lower() for match in matches if match]
    code = [name for name in packages if not name.startswith("types-") and not name.endswith("-stubs")]
    modules = [IMPORT_NAMES.get(name, name.replace("-", "_")) for name in code]
    return [module for module in modules if importlib.util.find_spec(module) is None]


def inside_venv() -> bool:
    """Whether the running interpreter is that of VENV."""
    return Path(sys.prefix).resolve() == VENV


def install(requirements: Sequence[str]) -> None:
    """Make VENV where there is none that works, and install the files in it; exits with a message when that fails."""
    with ending_quietly(), own_temporary_directory(), one_at_a_time() as lock:
        if is_installed(requirements) and not inside_venv():
            return  # another run did it while this one waited
        print(f"run.py: installing {' and '.join(requirements)} in {VENV} (once; takes a minute)", file=sys.stderr)
        if read_stamp() == UNFINISHED or not has_pip():
            make_venv(lock)
        for file in requirements:
            install_file(file, lock)


def make_venv(lock: int) -> None:
    """Make VENV anew; exits with a message when that fails."""
    if holding(lock, [sys.executable, "-m", "venv", "--clear", str(VENV)]):
        sys.exit(f"run.py: could not make {VENV} (the reason is above; without venv: apt install python3-venv)")


def install_file(file: str, lock: int) -> None:
    """Install one requirements file in VENV and stamp it; exits with a message when that fails.

    A pip that fails leaves what was there; only one that was killed leaves VENV in doubt, and STAMP saying so.
    """
    others = [line for line in read_stamp().splitlines(keepends=True) if not line.startswith(f"{file} ")]
    STAMP.write_text(UNFINISHED, "utf-8")
    pip = [str(VENV_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    code = holding(lock, [*pip, "-r", str(ROOT / file)])
    if code >= 0:
        STAMP.write_text("".join(others + [stamp_line(file)] * (code == 0)), "utf-8")
    if code:
        sys.exit(f"run.py: pip could not install {file} in {VENV} (is the network there?)")


@contextlib.contextmanager
def ending_quietly() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end this script as Ctrl-C does: with what it has started, and without a word."""
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
    """Have what is started put its temporary files where they go with it, even when it is killed."""
    before = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory(prefix="taskservice-install-", ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = folder
        try:
            yield
        finally:
            os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)


@contextlib.contextmanager
def one_at_a_time() -> Iterator[int]:
    """Hold a lock, so that of runs started together one installs and the others wait; yields its descriptor."""
    with open(ROOT / "requirements.txt", "rb") as lock:  # a file of the project, so that none is left behind
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def holding(lock: int, command: Sequence[str]) -> int:
    """Run a command that holds the lock to its own end, even when this script is killed before; return its code.

    It has a session of its own, so that Ctrl-C does not reach it, which it would tell of at length: it is killed.
    """
    with subprocess.Popen(
        command, pass_fds=[lock], stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
    ) as process:
        try:
            process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            if process.wait() < 0 and VENV.is_dir():
                STAMP.write_text(UNFINISHED, "utf-8")
    return process.returncode


def has_pip() -> bool:
    """Whether VENV is there and can install something."""
    command = [str(VENV_PYTHON), "-m", "pip", "--version"]
    return VENV_PYTHON.exists() and subprocess.run(command, capture_output=True).returncode == 0


def is_installed(requirements: Sequence[str]) -> bool:
    """Whether these files, as they are now, have been installed in VENV."""
    stamped = read_stamp().splitlines(keepends=True)
    return VENV_PYTHON.exists() and all(stamp_line(file) in stamped for file in requirements)


def read_stamp() -> str:
    """What STAMP says; nothing where there is none."""
    return STAMP.read_text("utf-8") if STAMP.exists() else ""


def stamp_line(file: str) -> str:
    """The line in STAMP that says that a requirements file, as it is now, is installed."""
    return f"{file} {hashlib.sha256((ROOT / file).read_bytes()).hexdigest()}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The commands of run.py: serving, testing, and the tools beside them.

It works from any directory: the user's paths are relative to the current one.
"""
import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.environment import ALL, DEVELOPMENT, LOCK, ROOT, RUN, SERVICE, need
from taskservice.__main__ import COMMANDS as SERVICE_COMMANDS
from taskservice.__main__ import run as run_service_command
from taskservice.utils.arguments import Parser

TESTS = ROOT / "tests"
MIN_COVERAGE = 97  # percent, branches included
AUDIT_PATIENCE = 180  # seconds

SUITES = {
    "all": ("unit", "integration", "e2e"),
    "unit": ("unit",),
    "integration": ("integration",),
    "e2e": ("e2e",),
    "browser": ("browser",),
    "clients": ("clients",),
    "company": ("company",),
    "reliability": ("reliability",),  # these five take long, so they are no part of "all"
    "tutorial": ("tutorial",),
}


# --- The commands ----------------------------------------------------------------------------------------------------

def service_command(name: str) -> Callable[[Sequence[str]], int]:
    """Return a command that runs one of the service's own (`taskservice/__main__.py`)."""
    def run(args: Sequence[str]) -> int:
        if not {"-h", "--help"}.intersection(args):
            need(SERVICE)
        return run_service_command("run.py", name, args)
    return run


def serve(args: Sequence[str]) -> int:
    """Serve in this process, in the project's folder: the default config stores under ./var/."""
    parser = Parser(prog="run.py serve", add_help=False)
    parser.add_argument("--config", type=Path)
    options, server_options = parser.parse_known_args(args)
    if options.config is not None:
        server_options = ["--config", str(options.config.absolute()), *server_options]
    need(SERVICE)
    os.chdir(ROOT)
    return run_service_command("run.py", "serve", server_options)


def bench(args: Sequence[str]) -> int:
    """Measure the service beside its peers."""
    need(ALL)
    sys.path.insert(0, str(ROOT))
    from benchmarks.bench import main as bench_main
    return bench_main(args)


def profile(args: Sequence[str]) -> int:
    """Show where the service's time goes."""
    need(ALL)
    sys.path.insert(0, str(ROOT))
    from benchmarks.profiling import main as profile_main
    return profile_main(args)


def build(args: Sequence[str]) -> int:
    """Make the package with its hot modules compiled, in an environment of its own."""
    from scripts.build import build as build_package
    return build_package(args)


def test(args: Sequence[str]) -> int:
    """Run tests; ``coverage run ./run.py test`` measures them, also where they run in worker processes."""
    options = test_options(args)
    need(ALL, DEVELOPMENT)
    if options.compiled:
        from scripts.build import test_compiled
        return test_compiled([arg for arg in args if arg != "--compiled"])
    sys.path[:0] = [str(TESTS), str(ROOT)]
    from tests.runner import run_tests
    named = [name for target in options.tests for name in names_of(target)]
    os.chdir(ROOT)
    names = named if options.tests else suite_names(options.suite)
    return run_tests(names, verbosity=2 if options.verbose else 1, jobs=options.jobs)


def matrix(args: Sequence[str]) -> int:
    """Run tests on every installed Python, each with a virtual environment of its own under var/."""
    test_options(args)  # wrong options, and --help, end here
    codes = {}
    for version, python in pythons().items():
        venv = ROOT / "var" / f"python-{version}"
        print(f"run.py: Python {version}", file=sys.stderr, flush=True)
        if not (venv / "bin" / "pip").exists():
            subprocess.check_call([python, "-m", "venv", "--clear", str(venv)])
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.check_call([*pip, "-r", str(ROOT / DEVELOPMENT), "-c", str(LOCK)])
        codes[version] = subprocess.call([str(venv / "bin" / "python"), str(RUN), "test", *args])
    print(", ".join(f"Python {version}: {'failed' if code else 'passed'}" for version, code in codes.items()))
    return 1 if any(codes.values()) else 0


def coverage(args: Sequence[str]) -> int:
    """Run tests under coverage and report it; less than MIN_COVERAGE fails."""
    args = args[1:] if args[:1] == ["--"] else args
    test_options(args)  # wrong options, and --help, end here
    need(ALL, DEVELOPMENT)
    files = [f"--rcfile={ROOT / 'pyproject.toml'}", f"--data-file={ROOT / '.coverage'}"]
    source = ["--branch", f"--source={ROOT / 'taskservice'}"]
    tested = tool("coverage", "run", *files, *source, str(RUN), "test", *args, cwd=None)
    left_out = not_testable()
    for file, reason in left_out.items():
        print(f"run.py coverage: {file} is left out: its tests need what is missing ({reason})", file=sys.stderr)
    omitted = [f"--omit={','.join(left_out)}"] if left_out else []
    reported = tool("coverage", "report", *files, *omitted, f"--fail-under={MIN_COVERAGE}")
    return tested or reported


def mutants(args: Sequence[str]) -> int:
    """Make deliberate changes to the code, and see whether tests notice."""
    need(ALL, DEVELOPMENT)
    if importlib.util.find_spec("cosmic_ray") is None:
        sys.exit("run.py mutants: needs the package cosmic-ray (requirements-dev.txt)")
    sys.path.insert(0, str(ROOT))
    from tests.mutants import main as mutants_main
    return mutants_main(args)


def lock(args: Sequence[str]) -> int:
    """Renew requirements.lock: the newest versions that the requirements files allow, for every Python from 3.11 on."""
    Parser(prog="run.py lock", description="Renew requirements.lock.").parse_args(args)
    need(ALL, DEVELOPMENT)
    return tool(
        "uv", "pip", "compile", "--universal", "--python-version", "3.11", "--upgrade", "--no-annotate", "--quiet",
        "--custom-compile-command", "python3 run.py lock", DEVELOPMENT, "--output-file", LOCK.name)


def audit(args: Sequence[str]) -> int:
    """Report known vulnerabilities of the versions in requirements.lock; exit code 0 even if there are some."""
    Parser(prog="run.py audit", description="Report known vulnerabilities of what is installed.").parse_args(args)
    need(ALL, DEVELOPMENT)
    command = [sys.executable, "-m", "pip_audit", "--requirement", LOCK.name, "--no-deps", "--disable-pip",
               "--progress-spinner", "off"]
    try:
        subprocess.call(command, cwd=ROOT, timeout=AUDIT_PATIENCE)
    except subprocess.TimeoutExpired:
        print(f"run.py audit: no answer within {AUDIT_PATIENCE} s", file=sys.stderr)
    return 0


def lint(args: Sequence[str]) -> int:
    """Check the style with flake8."""
    options = paths_options("run.py lint", args)
    need(ALL)
    return tool("flake8", *sources(options.paths))


def typecheck(args: Sequence[str]) -> int:
    """Check the types with mypy."""
    options = paths_options("run.py typecheck", args)
    need(ALL)
    return tool("mypy", *sources(options.paths))


class Command(NamedTuple):
    """A command of this script: what runs it, and its line in the help."""

    run: Callable[[Sequence[str]], int]
    arguments: str
    help: str


COMMANDS = {
    **{name: Command(service_command(name), command.arguments, command.help)
       for name, command in SERVICE_COMMANDS.items()},
    "serve": Command(serve, *SERVICE_COMMANDS["serve"][1:]),
    "test": Command(test, "[-v] [--suite NAME] [tests]", "run all tests, a suite, or the files, folders, names given"),
    "build": Command(build, "", "compile the package: a wheel in dist, and installed in var/compiled"),
    "matrix": Command(matrix, "[test arguments]", "run tests on every Python there is, from 3.11 on"),
    "bench": Command(bench, "[--quick] [--only PARTS]", "measure it beside its peers (bench --help)"),
    "profile": Command(profile, "[workload]", "show where its time goes: a flame graph, and the hottest functions"),
    "mutants": Command(mutants, "[modules]", "change the code, and see whether tests notice (mutants --help)"),
    "lint": Command(lint, "[paths]", "check the style with flake8"),
    "typecheck": Command(typecheck, "[paths]", "check the types with mypy"),
    "lock": Command(lock, "", "renew requirements.lock, the versions of everything that is installed"),
    "audit": Command(audit, "", "report known vulnerabilities of these versions; never fails"),
    "coverage": Command(coverage, "[-- test arguments]", f"test and report coverage; below {MIN_COVERAGE}% fails"),
}


def main(argv: Sequence[str]) -> int:
    """Run the command that argv names; return the exit code: 0 done, 1 failed, 2 wrong arguments."""
    try:
        code = run(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130  # the shell's code for Ctrl-C
    except BrokenPipeError:  # the reader of standard output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def run(argv: Sequence[str]) -> int:
    """Run the command that argv names; return its exit code."""
    name, args = (argv[0], argv[1:]) if argv else ("--help", [])
    if name in ("-h", "--help", "help"):
        print(usage())
        return 0 if argv else 2
    if name not in COMMANDS:
        print(f"run.py: no command {name!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return COMMANDS[name].run(args)


def usage() -> str:
    """The help: a line for each command."""
    lines = [f"  {name + ' ' + command.arguments:<36} {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: run.py COMMAND [arguments]", "", *lines])


# --- Options and paths -----------------------------------------------------------------------------------------------

def test_options(args: Sequence[str]) -> argparse.Namespace:
    """The options of ``test``: tests, suite, verbose."""
    parser = Parser(prog="run.py test", description="Run tests: all of a suite, or those named.")
    parser.add_argument("tests", nargs="*", help="files, folders, or dotted names such as unit.datamodel_test")
    parser.add_argument("--suite", choices=SUITES, default="all", help="all (the default) is unit, integration and e2e")
    parser.add_argument("--jobs", type=int, metavar="N", help="modules to run at a time; without it, four on two CPUs")
    parser.add_argument("--compiled", action="store_true", help="compile the hot modules first, in a copy")
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
    code = ("./taskservice", "./tests", "./benchmarks", "./docs", "./scripts", "run.py", "setup.py")
    return [name for name in code if (ROOT / name).exists()]


def tool(module: str, *args: str, cwd: Path | None = ROOT) -> int:
    """Run a Python tool (``python -m module``) at ROOT, where its config is; return its exit code."""
    return subprocess.call([sys.executable, "-m", module, *args], cwd=cwd)


# --- Tests -----------------------------------------------------------------------------------------------------------

def pythons() -> dict[str, str]:
    """Return the Pythons from 3.11 on, on the PATH and of pyenv: a program for each version."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for minor in range(11, 20):
        name = f"python3.{minor}"
        for python in (shutil.which(name), *sorted(map(str, pyenv.glob(f"3.{minor}.*/bin/{name}")))):
            if python and subprocess.run([python, "-c", "import ensurepip"], capture_output=True).returncode == 0:
                found[f"3.{minor}"] = python
    return found


def not_testable() -> dict[str, str]:
    """Return the modules whose tests are skipped here for want of a server, and the reason."""
    sys.path.insert(0, str(ROOT))
    from tests.helpers import postgres
    reason = postgres.available()
    files = sorted(ROOT.glob("taskservice/database/postgres/*.py")) if reason else []
    return {str(file.relative_to(ROOT)): str(reason) for file in files}


def suite_names(suite: str) -> list[str]:
    """The dotted names of all test modules of a suite."""
    return [name for folder in SUITES[suite] for name in module_names(TESTS / folder)]


def names_of(target: str) -> list[str]:
    """Return the dotted names of a file, a folder or a dotted name; exits with code 2 if the path does not exist."""
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
    """Return the name to import a test file by, as ``unittest discover tests`` names it.

    For a file from elsewhere it is the file's own name, and its folder is put on sys.path.
    """
    if file.is_relative_to(TESTS):
        return ".".join(file.relative_to(TESTS).with_suffix("").parts)
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    return file.stem

"""`run.py build`: the package with its hot modules compiled (setup.py), as a wheel and in an environment of its own."""
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from scripts.environment import LOCK, ROOT, SERVICE, ending_quietly, own_temporary_directory, requirements_file
from taskservice.utils.arguments import Parser

SOURCES = ("taskservice", "configs", "schema", "setup.py", "pyproject.toml", "README.md", "LICENSE")
"""What the package is made of."""

NOT_COPIED = (".git", ".venv*", "var", "dist", ".hypothesis", ".mypy_cache", "__pycache__", "htmlcov", ".coverage*")

WHEELS = ROOT / "dist"
ENVIRONMENT = ROOT / "var" / "compiled"


def build(args: Sequence[str]) -> int:
    """Make the compiled wheel, install it in ENVIRONMENT, and say how to serve from there; return the exit code."""
    Parser(prog="run.py build", description="Compile the package into a wheel, and install that in var/compiled.",
           ).parse_args(args)
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        print(f"run.py build: needs a C compiler, and there is no {compiler} (Debian: apt install gcc libc6-dev"
              " python3-dev); everything works without, in plain Python", file=sys.stderr)
        return 1
    python = ENVIRONMENT / "bin" / "python"
    try:
        with ending_quietly():
            if not (ENVIRONMENT / "bin" / "pip").exists():
                subprocess.check_call([sys.executable, "-m", "venv", "--clear", ENVIRONMENT])
            wheel = make_wheel(WHEELS, python)
            with requirements_file(SERVICE) as needed:
                pip(python, "install", "-r", needed, "-c", LOCK)
            pip(python, "install", "--no-deps", "--force-reinstall", wheel)
    except subprocess.CalledProcessError as error:
        print("run.py build: the reason is above", file=sys.stderr)
        return error.returncode
    program = ENVIRONMENT / "bin" / "taskservice"
    print(f"Made {wheel}, and installed it. Serve with:\n\n    {program} serve", flush=True)
    return 0


def test_compiled(args: Sequence[str]) -> int:
    """Run `run.py test` with these arguments in a copy of the project whose hot modules are compiled."""
    with ending_quietly(), tempfile.TemporaryDirectory(prefix="taskservice-compiled-") as temporary:
        os.chmod(temporary, 0o755)  # some tests run as another user
        copy = Path(temporary, "project")
        shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
        # Tests run where all packages are, so the build needs no network.
        wheel = make_wheel(Path(temporary), sys.executable, "--no-build-isolation", "--no-index")
        zipfile.ZipFile(wheel).extractall(copy)
        return subprocess.call([sys.executable, copy / "run.py", "test", *args], cwd=copy)


def make_wheel(folder: Path, python: str | Path, *options: str) -> Path:
    """Compile a copy of the sources, to keep extensions out of the checkout; return the wheel's path in `folder`.

    `options` are for `pip wheel`, which `python` runs. Raises CalledProcessError.
    """
    with (ending_quietly(), own_temporary_directory(),
          tempfile.TemporaryDirectory(prefix="taskservice-build-") as temporary):
        copy, made = Path(temporary, "source"), Path(temporary, "wheel")
        copy.mkdir()
        for name in SOURCES:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, copy / name)
        pip(python, "wheel", "--no-deps", *options, "--wheel-dir", made, copy, TASKSERVICE_COMPILE="1")
        [wheel] = made.iterdir()
        folder.mkdir(exist_ok=True)
        return Path(shutil.move(wheel, folder / wheel.name))


def pip(python: str | Path, command: str, *arguments: str | Path, **variables: str) -> None:
    """Run a pip command; it and its children end with this script. Raises CalledProcessError."""
    words = [python, "-m", "pip", command, "--quiet", "--disable-pip-version-check", *arguments]
    with subprocess.Popen(words, env={**os.environ, **variables}, start_new_session=True) as process:
        try:
            code = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if code:
        raise subprocess.CalledProcessError(code, words)

"""The environment of the peers, apart from the service's: `.venv-bench`, and other tools.

Standard library only.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "benchmarks" / "requirements.txt"
PACKAGE = ROOT / "benchmarks" / "peers" / "package.json"
VENV = ROOT / ".venv-bench"
PYTHON = VENV / "bin" / "python"
RESULTS = ROOT / "var" / "bench"
"""The folder of results, logs and stores of a run, on the disk that the service would use."""


class MissingTool(Exception):
    """A tool is missing that cannot be installed here; the text says what to do."""


def prepare() -> None:
    """Install the packages of the peers if they are missing; raises MissingTool."""
    if not _is_installed("python", REQUIREMENTS):
        _install_python()
    if not _is_installed("node", PACKAGE) and shutil.which("npm"):
        _install_node()


def is_prepared() -> bool:
    """Whether the Python peers can be run as they are."""
    return _is_installed("python", REQUIREMENTS)


def has_node_peer() -> bool:
    """Whether the peer on Node can be run."""
    return shutil.which("node") is not None and _is_installed("node", PACKAGE)


def _install_python() -> None:
    print(f"bench: installing {REQUIREMENTS.name} in {VENV} (once; takes minutes)", file=sys.stderr)
    if not PYTHON.exists():
        _run(sys.executable, "-m", "venv", "--clear", str(VENV))
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run(*pip, "-r", str(REQUIREMENTS))
    _stamp("python", REQUIREMENTS).write_text(_digest(REQUIREMENTS), "utf-8")


def _install_node() -> None:
    shutil.copy(PACKAGE, VENV / "package.json")
    try:
        _run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(VENV))
    except MissingTool as error:
        print(f"bench: without the peer on Node: {error}", file=sys.stderr)
    else:
        _stamp("node", PACKAGE).write_text(_digest(PACKAGE), "utf-8")


def _run(*command: str) -> None:
    if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode:
        raise MissingTool(f"could not run {' '.join(command)} (is the network there?)")


def _stamp(kind: str, file: Path) -> Path:
    return VENV / f"{kind}-stamp"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _is_installed(kind: str, file: Path) -> bool:
    stamp = _stamp(kind, file)
    return stamp.exists() and stamp.read_text("utf-8") == _digest(file)


def machine() -> str:
    """Return a description of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2 ** 30
    return (f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
            f"Linux {platform.release()}, Python {platform.python_version()}")


def processor() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def versions() -> Mapping[str, str]:
    """Return the versions of the measured packages."""
    [site] = (VENV / "lib").glob("python*/site-packages")
    names = ("fastapi", "uvicorn", "starlette", "pydantic", "msgspec", "aiohttp", "blacksheep",
             "tornado", "uvloop", "httptools", "aiosqlite")
    found = {dist.name.lower(): dist.version for dist in metadata.distributions(path=[str(site)])}
    known = {name: found[name] for name in names if name in found}
    return {**known, **({"node": _output("node", "--version")} if has_node_peer() else {})}


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def commit() -> str:
    """Return the measured commit, marked if the work tree has changes."""
    described = _output("git", "-C", str(ROOT), "describe", "--always", "--dirty=+changes")
    return described or "unknown"

"""Packages of npm, for the tests that run programs of others."""

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from unittest import SkipTest, addModuleCleanup

PATIENCE = 300
"""Seconds that an installation may take."""

OLDEST_NODE = 20
"""The major version of Node.js that the packages need."""


def need_command(name: str, package: str) -> str:
    """Return the path of a program; raise SkipTest, which names Debian's package, if it is missing."""
    if (path := shutil.which(name)) is None:
        raise SkipTest(f"needs {name} (apt-get install {package})")
    return path


def node_modules(folder: Path) -> Path:
    """Return the folder of what a folder's package.json names, which npm installs until the module's tests have ended.

    Raises SkipTest with npm's own words if they cannot be installed.
    """
    npm, node = need_command("npm", "npm"), need_command("node", "nodejs")
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        raise SkipTest(f"needs Node.js {OLDEST_NODE} or newer, and this is {version}")
    installed, problem = _npm_ci(npm, folder)
    if problem:
        raise SkipTest(problem)
    return installed / "node_modules"


@cache
def _npm_ci(npm: str, source: Path) -> tuple[Path, str]:
    """Install what package-lock.json names; return where, and why it failed if it did."""
    holder = tempfile.TemporaryDirectory(prefix="taskservice-npm-")
    addModuleCleanup(_npm_ci.cache_clear)
    addModuleCleanup(holder.cleanup)
    folder = Path(holder.name)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error",
               "--fetch-retries=1", "--fetch-timeout=60000"]
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return folder, f"npm ci did not end within {PATIENCE} s: the registry does not answer"
    return folder, f"npm ci failed: {' '.join(done.stderr.split())[:300]}" if done.returncode else ""

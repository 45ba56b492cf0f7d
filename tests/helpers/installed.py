"""The package, installed from a copy of the project that is removed afterwards."""

import re
import shutil
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from unittest import SkipTest

from tests.helpers.app import ROOT
from tests.helpers.processes import run

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def install(project: Path, site: Path) -> None:
    """Install a copy of the project into `site`, with nothing from the network, and remove the copy.

    Skips where setuptools is missing, or older than needed.
    """
    [required] = PROJECT["build-system"]["requires"]
    try:
        there = int(version("setuptools").partition(".")[0])
    except PackageNotFoundError:
        there = 0
    if there < int(re.sub(r"\D", "", required)):
        raise SkipTest(f"needs the package {required} (requirements-dev.txt)")
    done = run(
        sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
        "--disable-pip-version-check", "--target", site, project)
    assert done.returncode == 0, done
    shutil.rmtree(project)

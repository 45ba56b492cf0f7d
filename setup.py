"""Compiles the modules that requests spend their time in, where TASKSERVICE_COMPILE=1 asks for it.

Only a wheel is compiled, from the source that plain Python runs: an extension beside that source would go on running
after it was edited. So an editable install stays plain. Everything else about the package is in pyproject.toml.
"""
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

from setuptools import setup

HOT = """
    task validation folding
    http/access http/conditions http/dates http/etag http/fields http/forwarded http/identity http/listing http/ndjson
    http/negotiation http/parameters http/problems http/representation
    http1/answer http1/body http1/connection http1/exchange http1/headers http1/limits http1/memory http1/owner
    http1/parser http1/request http1/server http1/upload http1/wire
    utils/logfmt utils/taskcontext
""".split()
"""Handlers and engines are not among them: both are open to subclasses, and handlers to instrumentation, which
replaces `prepare` and `on_finish` on the class. The callers of a compiled method would not see another in its place."""

COMPILER = "mypy>=2.4,<2.5"
OPTIONS = ("--follow-imports=silent", "--ignore-missing-imports")  # the types of what else there is: run.py typecheck


def compilation() -> dict[str, Any]:
    """Return what setup() needs to compile: the packages for it, and, once they are there, the extensions."""
    if os.environ.get("TASKSERVICE_COMPILE", "0") in ("", "0"):
        return {}
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    asked: dict[str, Any] = {"setup_requires": [COMPILER, *project["dependencies"]]}  # mypyc reads their types
    if "bdist_wheel" in sys.argv:
        from mypyc.build import mypycify
        asked["ext_modules"] = mypycify([*OPTIONS, *(f"taskservice/{name}.py" for name in HOT)], opt_level="3")
    return asked


setup(**compilation())

"""`run.py mutants`: deliberate changes to the code, each of which a test should notice.

cosmic-ray makes them, by operators of its own and two of ours, which drop a statement or a part of a condition:
that is how mistakes of maintainers look. Each change is tried in a copy of the project, with the tests that
tests/mutants_map.py names for its module, until the first failure or the end of a time limit. The tree itself is never
changed.
"""

import argparse
import difflib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator
from parso.python.tree import Keyword

from tests.helpers.app import ROOT
from tests.helpers.processes import copy_project, environment
from tests.mutants_map import TESTS

OPERATORS = (
    "AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak", "ExceptionReplacer", "NumberReplacer", "ZeroIterationForLoop",
    *(f"ReplaceComparisonOperator_{pair}" for pair in (
        "Eq_NotEq", "NotEq_Eq", "Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Is_IsNot", "IsNot_Is")),
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("Add_Sub", "Sub_Add", "Mul_FloorDiv")))
"""Those of cosmic-ray's that make a change which can be meant; its others fail at once, as a rule."""

SPARE_TIME = 60.0
"""Seconds that a changed module's tests may take beyond three times what they take with the module as it is: longer
than the time limits of single tests."""

LINES_OF_A_FAILURE = 40
"""How much of what the tests print is shown when they fail without a change."""


class DropStatement(Operator):  # type: ignore[misc]  # cosmic-ray has no types
    """Drops a call, an assignment to a member, or another statement that a function can do without."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """Give the position of the statement, if it is one."""
        if node.type == "simple_stmt" and _can_go(node.children[0]):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Put `pass` in its place."""
        first = node.get_first_leaf()
        node.children[0] = Keyword("pass", first.start_pos, first.prefix)
        return node

    @classmethod
    def examples(cls) -> Sequence[Any]:
        """Give none."""
        return ()


class DropOperand(Operator):  # type: ignore[misc]  # cosmic-ray has no types
    """Drops an operand of `and` or `or`."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """Give a position for each operand."""
        if node.type in ("and_test", "or_test"):
            for operand in node.children[::2]:
                yield operand.start_pos, operand.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Leave it out, with the `and` or `or` beside it."""
        prefix = node.get_first_leaf().prefix
        at = max(0, 2 * index - 1)
        rest = node.children[:at] + node.children[at + 2:]
        changed = rest[0] if len(rest) == 1 else type(node)(node.type, rest)
        changed.get_first_leaf().prefix = prefix
        return changed

    @classmethod
    def examples(cls) -> Sequence[Any]:
        """Give none."""
        return ()


def _can_go(statement: Any) -> bool:
    if statement.get_code().lstrip().startswith(("'", '"')) or not _inside(statement, "funcdef"):
        return False  # a docstring; or without it nothing could be imported
    if statement.type == "expr_stmt":
        return statement.children[0].type in ("atom_expr", "power") or "=" not in statement.children[1].get_code()
    return statement.type in ("atom_expr", "power", "await", "raise_stmt", "del_stmt")


def _inside(node: Any, *kinds: str) -> bool:
    while node is not None:
        if node.type in kinds:
            return True
        node = node.parent
    return False


@dataclass(frozen=True)
class Mutant:
    """A change: the module, by its path, and what becomes of its code."""

    module: Path
    before: str
    after: str

    @property
    def diff(self) -> str:
        """What is changed."""
        name = str(self.module)
        lines = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), name, name, lineterm="", n=2)
        return "\n".join(lines)


def places(code: str) -> list[tuple[Any, int]]:
    """Return every change that the operators can make: the operator, and the number of the place among its own."""
    operators = [DropStatement(), DropOperand(), *(get_operator(f"core/{name}")() for name in OPERATORS)]
    nodes = list(ast_nodes(get_ast(code)))
    return [
        (operator, number) for operator in operators
        for number, node in enumerate(node for node in nodes for _ in operator.mutation_positions(node))
        if not _is_annotation(node)]


def _is_annotation(node: Any) -> bool:
    while (parent := node.parent) is not None:
        before = parent.children[:[id(child) for child in parent.children].index(id(node))]
        if parent.type in ("annassign", "tfpdef") and len(before) in (1, 2) and before[-1] == ":":
            return True
        if parent.type == "funcdef" and before and before[-1] == "->" or parent.type == "decorator":
            return True
        node = parent
    return False


def mutants_of(module: Path, sample: int, seed: int) -> tuple[list[Mutant], int]:
    """Return so many changes to a module, chosen by the seed; and how many there can be."""
    code = (ROOT / module).read_text("utf-8")
    found = places(code)
    chosen = random.Random(f"{seed} {module}").sample(found, min(sample, len(found)))
    changed = [mutate_code(code, operator, number) for operator, number in chosen]
    tried = [after for after in changed if after not in (None, code) and _compiles(after)]
    return [Mutant(module, code, after) for after in tried], len(found)


def _compiles(code: str) -> bool:
    """Return whether Python takes the code: what it does not is no mistake that a test has to notice."""
    try:
        compile(code, "changed", "exec")
    except SyntaxError:
        return False
    return True


def tests_of(module: Path) -> list[Path]:
    """Return the test files that should notice a change in a module; exits with code 2 where TESTS has none."""
    if (pattern := _pattern_of(module)) is None:
        print(f"run.py mutants: {module}: tests/mutants_map.py names no tests for it", file=sys.stderr)
        sys.exit(2)
    files = [file for glob in TESTS[pattern].split() for file in sorted((ROOT / "tests").glob(glob))]
    return list(dict.fromkeys(files))  # several globs may name one


def _pattern_of(module: Path) -> str | None:
    name = str(module.with_suffix("").relative_to("taskservice"))
    return next((pattern for pattern in TESTS if fnmatch(name, pattern)), None)


def modules(names: Sequence[str]) -> list[Path]:
    """Return the modules of these paths, names or patterns, such as `http1/*`; without any, all that TESTS has.

    Exits with code 2 where one stands for no module.
    """
    everything = sorted(path.relative_to(ROOT) for path in (ROOT / "taskservice").rglob("*.py"))
    if not names:
        return [path for path in everything if path.stem != "__init__" and _pattern_of(path)]
    for name in names:
        if not any(_is_named(path, name) for path in everything):
            print(f"run.py mutants: no module {name}", file=sys.stderr)
            sys.exit(2)
    return [path for path in everything if any(_is_named(path, name) for name in names)]


def _is_named(path: Path, name: str) -> bool:
    inside = str(path.with_suffix("").relative_to("taskservice"))
    return name in (str(path), path.stem, ".".join(path.with_suffix("").parts)) or fnmatch(inside, name)


class Copy:
    """A copy of the project in which one change at a time is tried."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)  # PostgreSQL, which does not run as root, has its files in there
        self._project = copy_project(folder)
        self._temporary = folder / "temporary"
        self._temporary.mkdir()
        self._printed = folder / "printed"

    def try_out(self, mutant: Mutant, tests: Sequence[Path], limit: float) -> str:
        """Return "noticed", "survived" or "timed out"."""
        file = self._project / mutant.module
        file.write_text(mutant.after, "utf-8")
        try:
            return {0: "survived", None: "timed out"}.get(self.run(tests, limit), "noticed")
        finally:
            file.write_text(mutant.before, "utf-8")

    def run(self, tests: Sequence[Path], limit: float) -> int | None:
        """Run tests to the first failure; return the exit code, None where they took too long."""
        names = [".".join(test.relative_to(ROOT).with_suffix("").parts) for test in tests]
        with self._printed.open("wb") as printed:
            process = subprocess.Popen(
                [sys.executable, "-B", "-m", "unittest", "-f", *names], cwd=self._project, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT,
                env={**environment(), "TMPDIR": str(self._temporary)})
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def printed(self) -> str:
        """Return the last lines that the latest run printed: its failure, if it has one."""
        lines = self._printed.read_text("utf-8", "replace").splitlines()
        return "\n".join(lines[-LINES_OF_A_FAILURE:])


def limit_of(tests: Sequence[Path], copy: Copy) -> float | None:
    """Return how many seconds tests may take on a changed module; None, after a word, where they fail without one."""
    began = time.monotonic()
    if copy.run(tests, 3_600) != 0:
        print(f"the tests fail without a change:\n{copy.printed()}")
        return None
    return 3 * (time.monotonic() - began) + SPARE_TIME


def run(
    module: Path, sample: int, seed: int, copies: Sequence[Copy], limits: dict[tuple[Path, ...], float | None]
) -> Counter[str]:
    """Try changes to a module, and print what was not noticed; return how many had which end.

    `limits` keeps the time limits of tests from one module to the next that has the same.
    """
    tests, (chosen, possible) = tuple(tests_of(module)), mutants_of(module, sample, seed)
    if tests not in limits:
        limits[tests] = limit_of(tests, copies[0])
    if (limit := limits[tests]) is None:
        print(f"{module}: not tried")
        return Counter({"not tried": len(chosen)})
    free: SimpleQueue[Copy] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def try_out(mutant: Mutant) -> str:
        copy = free.get()
        try:
            return copy.try_out(mutant, tests, limit)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as pool:
        outcomes = list(pool.map(try_out, chosen))
    for mutant, outcome in zip(chosen, outcomes):
        if outcome != "noticed":
            print(f"\n{outcome}:\n{mutant.diff}\n")
    counts = Counter(outcomes)
    print(f"{module}: {summary(counts)}, of {possible} possible changes", flush=True)
    return counts


def summary(counts: Counter[str]) -> str:
    """Return the counts in one line."""
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("noticed", "survived", "timed out"))


def main(args: Sequence[str]) -> int:
    """Run it; return 0 when at least 90 % of the changes were noticed."""
    parser = argparse.ArgumentParser(prog="run.py mutants", description="Do the tests notice changes to the code?")
    parser.add_argument(
        "modules", nargs="*", help="paths, names, patterns such as 'http1/*'; without any, all that have tests named")
    parser.add_argument("--sample", type=int, default=30, help="changes of each module (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="chooses other changes (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at once (default: %(default)s)")
    options = parser.parse_args(args)
    counts: Counter[str] = Counter()
    limits: dict[tuple[Path, ...], float | None] = {}
    with ExitStack() as stack:
        copies = [Copy(Path(stack.enter_context(tempfile.TemporaryDirectory()))) for _ in range(options.jobs)]
        for module in modules(options.modules):
            counts += run(module, options.sample, options.seed, copies, limits)
    noticed = counts["noticed"] + counts["timed out"]
    print(f"all: {summary(counts)}: {noticed} of {counts.total()} did not go unnoticed")
    return 0 if counts.total() and noticed >= 0.9 * counts.total() else 1

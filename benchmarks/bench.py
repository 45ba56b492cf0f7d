"""`run.py bench`: measures the service beside its peers, and writes docs/performance.md."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import candidates as known
from benchmarks.check import CheckError
from benchmarks.client import ClientError
from benchmarks.environment import PYTHON, RESULTS, ROOT, MissingTool, is_prepared, prepare
from benchmarks.load import LoadError
from benchmarks.measure import (
    FULL, QUICK, Plan, check_all, measure, memory, say, start_seconds)
from benchmarks.processes import LOAD_CORE, Candidate
from benchmarks.report import Results, document, tables
from benchmarks.streams import measure_streams
from benchmarks.workloads import WORKLOADS

SCALE = ("start", "memory", "streams", "page", "lists")
PARTS = (*(workload.name for workload in WORKLOADS), *SCALE)
DOCS = ROOT / "docs"


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="run.py bench",
        description="Measure the service beside its peers. A full run writes docs/performance.md; "
                    "a quick one, or one of a part, prints its tables and leaves them in var/.")
    parser.add_argument("--quick", action="store_true", help="one round of one second each")
    parser.add_argument("--only", type=_names(PARTS), default=PARTS, metavar="PARTS",
                        help=f"comma-separated, of {', '.join(PARTS)}")
    parser.add_argument("--candidates", type=_names(None), metavar="NAMES",
                        help="comma-separated, of taskservice, blacksheep, fastapi, …")
    parser.add_argument("--against", type=lambda text: Path(text).resolve(), metavar="FOLDER",
                        help="another checkout of this service, to measure as well")
    parser.add_argument("--rounds", type=int, help=f"default: {FULL.rounds}")
    parser.add_argument("--seconds", type=int, help=f"of each load; default: {FULL.seconds}")
    return parser.parse_args(argv)


def _names(allowed: Sequence[str] | None) -> Callable[[str], Sequence[str]]:
    def names(text: str) -> Sequence[str]:
        found = tuple(text.split(","))
        if allowed is not None and (unknown := set(found) - set(allowed)):
            raise argparse.ArgumentTypeError(f"no {', '.join(sorted(unknown))}")
        return found
    return names


def plan_of(options: argparse.Namespace) -> Plan:
    """Return how much to measure."""
    plan = asdict(QUICK if options.quick else FULL)
    given = {name: getattr(options, name) for name in ("rounds", "seconds")}
    return Plan(**{**plan, **{name: value for name, value in given.items() if value}})


class Bench:
    """A run: the candidates, how much to measure, and the results."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._only = options.only
        self._plan = plan_of(options)
        self._folder = folder
        self._wanted = options.candidates
        self._in_memory = self._chosen(known.everyone(options.against))
        self._durable = self._chosen(known.durable(options.against))
        self._ours = self._chosen(known.ours(options.against))
        everyone = [*self._durable, *self._in_memory]  # the plain labels of the latter win
        self.results = Results(self._plan, {each.name: each.label for each in everyone})

    def _chosen(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        return [each for each in candidates if not self._wanted or each.name in self._wanted]

    def run(self) -> Results:
        """Check the candidates, then measure them."""
        chosen = {each.name: each for each in [*self._durable, *self._in_memory]}
        check_all([*chosen.values()], self._folder)
        for workload in WORKLOADS:
            if workload.name in self._only:
                whom = self._durable if workload.durable else self._in_memory
                self.results.samples += measure(workload, whom, self._plan, self._folder)
                shutil.rmtree(self._folder / workload.name)  # the logs are large
        self._scale()
        return self.results

    def _scale(self) -> None:
        results, plan, folder = self.results, self._plan, self._folder
        if "start" in self._only:
            results.start = start_seconds(self._in_memory, plan, folder)
        if "memory" in self._only:
            results.memory = memory(self._in_memory, plan, folder)
        if "streams" in self._only:
            results.streams = {each.name: measure_streams(each, plan.streams, folder)
                               for each in self._ours}
        if "page" in self._only:
            say(f"a page among {plan.page_rows:,}")
            results.pages = _script("pages.py", "--rows", str(plan.page_rows))
        if "lists" in self._only:
            say(f"lists among {plan.list_sizes} tasks")
            results.lists = _script("lists.py", "--sizes", plan.list_sizes)


def _script(name: str, *options: str) -> str:
    """Run a benchmark that is a script of its own on SQLite, and return its output."""
    command = [sys.executable, str(ROOT / "benchmarks" / name), "--engines", "sqlite", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return f"```text\n{done.stdout.strip()}\n```\n"


def write(results: Results, whole: bool) -> Sequence[Path]:
    """Write results, tables and plot, those of a whole run to docs/; return their paths."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    data, where = RESULTS / "results.json", DOCS if whole else RESULTS
    data.write_text(json.dumps(asdict(results), indent=1), "utf-8")
    text, plot = where / "performance.md", where / "performance.svg"
    text.write_text(document(results) if whole else tables(results), "utf-8")
    if not (results.samples and is_prepared()):
        return [text]
    command = [str(PYTHON), "-m", "benchmarks.plot", str(data), str(plot)]
    subprocess.run(command, cwd=ROOT, check=True)
    return [text, plot]


def main(argv: Sequence[str]) -> int:
    """Measure, print, write; return the exit code."""
    options = parse_arguments(argv)
    try:
        _prepare(options.candidates)
        RESULTS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=RESULTS) as folder:
            os.sched_setaffinity(0, {LOAD_CORE})  # inherited by the load generator
            results = Bench(options, Path(folder)).run()
    except (CheckError, ClientError, LoadError, MissingTool) as error:
        print(f"run.py bench: {error}", file=sys.stderr)
        return 1
    whole = not options.quick and options.only == PARTS and not options.candidates
    written = write(results, whole)  # before printing, as the reader of the output may leave
    print(tables(results))
    print("written:", *written)
    return 0


def _prepare(wanted: Sequence[str] | None) -> None:
    if shutil.which("taskset") is None:
        raise MissingTool("taskset is missing (Debian: apt install util-linux)")
    if wanted is None or any(not name.startswith("taskservice") for name in wanted):
        prepare()

"""`run.py profile`: a workload under a sampling profiler; gives a flame graph, and the hottest functions.

The profiler is py-spy. It reads the stacks from outside, so the service runs unchanged, on its own
event loop, at full speed. A tracing profiler makes small functions look expensive; pyinstrument
samples from inside, and the service would have to import it. `--native` shows frames of C, too.

The share of a function is multiplied by the CPU time of a request, which is measured, too.
"""

import argparse
import html
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import candidates as known
from benchmarks.client import ClientError
from benchmarks.environment import RESULTS, VENV, MissingTool, prepare
from benchmarks.load import LoadError
from benchmarks.measure import Target, say
from benchmarks.processes import LOAD_CORE, Candidate, running
from benchmarks.workloads import WORKLOADS, Workload

RATE = 400
"""Samples a second."""

ROWS = 45

Frames = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hot:
    """A function: its share of the samples, on its own and with what it calls."""

    name: str
    own: float
    total: float


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    names = [workload.name for workload in WORKLOADS]
    parser = argparse.ArgumentParser(
        prog="run.py profile", description="Profile the service under a workload with py-spy.")
    parser.add_argument("workload", nargs="?", choices=names, default="get", metavar="workload",
                        help=f"one of {', '.join(names)} (default: %(default)s)")
    parser.add_argument("--candidate", default="taskservice", metavar="NAME",
                        help="a candidate of bench (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--native", action="store_true", help="show frames of C too (slower)")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FOLDER",
                        help="where to write the results (default: var/bench)")
    return parser.parse_args(argv)


def profile(
    workload: Workload, candidate: Candidate, options: argparse.Namespace, folder: Path
) -> str:
    """Run the workload; leave a flame graph, and return the table of the hottest functions."""
    stem = options.output / f"profile-{candidate.name}-{workload.name}"
    with running(candidate, folder / candidate.name) as server:
        target = Target(server, workload)
        target.load(1)
        cpu = target.sample(0, max(options.seconds / 3, 1)).cpu
        graph = folder / "graph.svg"
        for format_, file in (("flamegraph", graph), ("raw", Path(f"{stem}.stacks"))):
            with _under_load(target, options.seconds + 2):
                _record(server.pid, options, format_, file)
    stacks = read_stacks(Path(f"{stem}.stacks").read_text("utf-8"))
    title = f"{workload.label}: {candidate.label}, {cpu * 1e6:.1f} µs of CPU a request"
    text = "\n".join((title, "", *rows(hottest(stacks), cpu)))
    Path(f"{stem}.txt").write_text(f"{text}\n", "utf-8")
    Path(f"{stem}.html").write_text(page(title, graph.read_text("utf-8"), text), "utf-8")
    return f"{text}\n\nwritten: {stem}.html {stem}.txt {stem}.stacks"


def page(title: str, graph: str, text: str) -> str:
    """Return flame graph (SVG, with its own script) and table as one HTML page."""
    title, text = html.escape(title), html.escape(text)
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            "<style>svg { width: 100% }</style>"
            f"</head><body>\n{graph[graph.index('<svg'):]}\n<pre>{text}</pre>\n</body></html>\n")


@contextmanager
def _under_load(target: Target, seconds: float) -> Iterator[None]:
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(target.load, seconds)
        yield
        load.result()


def _record(pid: int, options: argparse.Namespace, format_: str, file: Path) -> None:
    say(f"py-spy for {options.seconds} s: {file.name}")
    command = [str(VENV / "bin" / "py-spy"), "record", "--pid", str(pid), "--rate", str(RATE),
               "--duration", str(options.seconds), "--format", format_, "--output", str(file),
               "--function", *(["--native"] if options.native else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise MissingTool(f"py-spy: {done.stderr.strip()[-500:]} (it needs ptrace)")


def read_stacks(text: str) -> Mapping[Frames, int]:
    """Return the number of samples of each stack, outermost frame first."""
    stacks: Counter[Frames] = Counter()
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        stacks[tuple(frames.split(";"))] += int(count)
    return stacks


def hottest(stacks: Mapping[Frames, int]) -> Sequence[Hot]:
    """Return the functions, in the order of their own time."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for frames, count in stacks.items():
        own[frames[-1]] += count
        for name in set(frames):
            total[name] += count
    seen = sum(stacks.values()) or 1
    return [Hot(name, own[name] / seen, total[name] / seen)
            for name, _ in sorted(total.items(), key=lambda item: -own[item[0]])]


def rows(found: Sequence[Hot], cpu: float) -> Iterator[str]:
    """Give the lines of the table: by own time, then by total time."""
    yield "own µs  with calls µs  function"
    for hot in found[:ROWS]:
        yield _row(hot, cpu)
    yield "\nwith what they call:"
    for hot in sorted(found, key=lambda each: -each.total)[:ROWS]:
        yield _row(hot, cpu)


def _row(hot: Hot, cpu: float) -> str:
    return f"{hot.own * cpu * 1e6:>6.1f}  {hot.total * cpu * 1e6:>13.1f}  {hot.name}"


def main(argv: Sequence[str]) -> int:
    """Profile, print; return the exit code."""
    options = parse_arguments(argv)
    [workload] = [each for each in WORKLOADS if each.name == options.workload]
    try:
        prepare()
        chosen = [each for each in [*known.everyone(), *known.durable()]
                  if each.name == options.candidate]
        if not chosen:
            raise MissingTool(f"no candidate {options.candidate}")
        options.output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            os.sched_setaffinity(0, {LOAD_CORE})
            print(profile(workload, chosen[0], options, Path(folder)))
    except (ClientError, LoadError, MissingTool) as error:
        print(f"run.py profile: {error}", file=sys.stderr)
        return 1
    return 0

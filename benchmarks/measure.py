"""Rounds: every candidate under the same load, one after the other, again and again."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import load
from benchmarks.check import check
from benchmarks.client import seed
from benchmarks.processes import Candidate, Server, running
from benchmarks.workloads import Workload


ENOUGH = 500
"""The least requests of a sample, unless it takes LONGEST."""

LONGEST = 15
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure: rounds, and seconds of load for each candidate in each."""

    rounds: int = 5
    seconds: int = 3
    memory_tasks: int = 100_000
    streams: int = 10_000
    page_rows: int = 1_000_000
    list_sizes: str = "1000,10000,100000,1000000"


FULL = Plan()
QUICK = Plan(rounds=1, seconds=1, memory_tasks=5_000, streams=1_000, page_rows=20_000,
             list_sizes="1000,10000")


@dataclass(frozen=True, slots=True)
class Sample:
    """One candidate under one workload in one round; seconds, `cpu` of the server a request."""

    workload: str
    candidate: str
    round: int
    rate: float
    cpu: float
    p50: float
    p90: float
    p99: float


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def check_all(candidates: Sequence[Candidate], folder: Path) -> None:
    """Raise CheckError unless every candidate does the work that is measured."""
    for candidate in candidates:
        say(f"checking {candidate.name}")
        with running(candidate, folder / "check" / candidate.name) as server:
            check(server)


class Target:
    """A server with the tasks of a workload, and the file of its requests."""

    def __init__(self, server: Server, workload: Workload) -> None:
        self.server = server
        self.workload = workload
        port = server.place.port
        requests = workload.requests(seed(port, workload.tasks), port)
        workload.prove(port, requests)
        self._file = server.place.folder / "requests"
        load.write_requests(self._file, requests)

    def load(self, seconds: float) -> load.Load:
        """Put load on it."""
        return load.run(self.server.place.port, self._file, self.workload.connections, seconds)

    def sample(self, number: int, seconds: float) -> Sample:
        """Put load on it, and return what it cost.

        Take longer if the machine is so busy that hardly a request is answered.
        """
        before = self.server.cpu_seconds()
        done = self.load(seconds)
        cpu = (self.server.cpu_seconds() - before) / max(done.requests, 1)
        if done.requests < ENOUGH and seconds < LONGEST:
            return self.sample(number, 2 * seconds)
        return Sample(self.workload.name, self.server.candidate.name, number,
                      done.requests / done.seconds, cpu, done.p50, done.p90, done.p99)


def measure(
    workload: Workload, candidates: Sequence[Candidate], plan: Plan, folder: Path
) -> list[Sample]:
    """Run all candidates at the same time, and put load on one after the other, in rounds."""
    samples = []
    with ExitStack() as stack:
        targets = [Target(stack.enter_context(running(each, folder / workload.name / each.name)),
                          workload) for each in candidates]
        for target in targets:
            target.load(1)  # to be warm
        for number in range(plan.rounds):
            for target in [*targets[number % len(targets):], *targets[:number % len(targets)]]:
                samples.append(target.sample(number, plan.seconds))
                say(_told(samples[-1]))
    return samples


def _told(sample: Sample) -> str:
    return (f"{sample.workload} {sample.round + 1}: {sample.candidate} {sample.rate:.0f}/s, "
            f"{sample.cpu * 1e6:.1f} µs of CPU a request")


def typical(
    samples: Sequence[Sample], workload: str, candidate: str, of: Callable[[Sample], float]
) -> float:
    """Return the median over the rounds."""
    return median(of(each) for each in _of(samples, workload, candidate))


def ratio(
    samples: Sequence[Sample], of: Callable[[Sample], float],
    one: tuple[str, str], other: tuple[str, str]
) -> float:
    """Return the figure of (workload, candidate) `one` divided by that of `other`.

    They are compared round by round: within one workload a slow moment of the machine affects both.
    """
    pairs = zip(_of(samples, *one), _of(samples, *other))
    return median(of(mine) / of(theirs) for mine, theirs in pairs)


def _of(samples: Sequence[Sample], workload: str, candidate: str) -> list[Sample]:
    found = [each for each in samples
             if each.workload == workload and each.candidate == candidate]
    return sorted(found, key=lambda each: each.round)


def start_seconds(candidates: Sequence[Candidate], plan: Plan, folder: Path) -> dict[str, float]:
    """Return the seconds that each takes from its start to its first answer."""
    taken: dict[str, list[float]] = {each.name: [] for each in candidates}
    for number in range(max(plan.rounds, 2)):
        for candidate in candidates:
            with Server(candidate, folder / "start" / f"{number}-{candidate.name}") as server:
                taken[candidate.name].append(server.wait_until_ready())
            say(f"start {number + 1}: {candidate.name} {taken[candidate.name][-1]:.3f} s")
    return {name: median(times) for name, times in taken.items()}


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in memory: after the start, and with very many tasks."""

    tasks: int
    before: int
    after: int


def memory(candidates: Sequence[Candidate], plan: Plan, folder: Path) -> dict[str, Memory]:
    """Return the memory of each before and after the tasks of the plan."""
    found = {}
    for candidate in candidates:
        with running(candidate, folder / "memory" / candidate.name) as server:
            before = server.resident_bytes()
            seed(server.place.port, plan.memory_tasks)
            time.sleep(0.2)
            found[candidate.name] = Memory(plan.memory_tasks, before, server.resident_bytes())
        say(f"memory: {candidate.name} {found[candidate.name]}")
    return found

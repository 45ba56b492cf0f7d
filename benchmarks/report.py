"""Tables in Markdown of the results, and of the goals of the design."""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from string import Template

from benchmarks import candidates as known
from benchmarks import load
from benchmarks.environment import ROOT, commit, machine, versions
from benchmarks.measure import Memory, Plan, Sample, ratio, typical
from benchmarks.streams import Streams
from benchmarks.workloads import WORKLOADS, Workload

OURS, COMPILED = "taskservice", "taskservice-compiled"
TEMPLATE = ROOT / "benchmarks" / "performance.md"
HTTP_WORKLOADS = ("get", "304", "mix", "post", "put", "list")
PYTHON_PEERS = [peer.name for peer in known.PEERS]
NODE_PEERS = [known.NODE_PEER.name, f"{known.NODE_PEER.name}-lean"]
NODE_LIMITS = {"get": 1.2, "304": 1.2, "list": 1.0}

_PAGE_RATIO = re.compile(r"HTTP: ratio .* in the median, ([0-9.]+) at most")


@dataclass
class Results:
    """All results of a run; those that were not measured are empty."""

    plan: Plan
    labels: dict[str, str]
    samples: list[Sample] = field(default_factory=list)
    start: dict[str, float] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
    streams: dict[str, Streams] = field(default_factory=dict)
    pages: str = ""
    lists: str = ""

    def names(self, workload: str) -> list[str]:
        """Return the candidates of a workload, the fastest first."""
        found = {each.candidate for each in self.samples if each.workload == workload}
        return sorted(found, key=lambda name: typical(self.samples, workload, name, cpu))

    def workloads(self) -> list[Workload]:
        """Return the workloads that were measured."""
        return [each for each in WORKLOADS if self.names(each.name)]


def cpu(sample: Sample) -> float:
    """Return the CPU time a request."""
    return sample.cpu


def rate(sample: Sample) -> float:
    """Return the requests a second."""
    return sample.rate


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; all but the first column are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def workload_table(results: Results, workload: Workload) -> str:
    """Return the table of a workload."""
    head = ("", "requests/s", "CPU µs a request", "CPU by taskservice's", "CPU µs, least–most", "p50 ms", "p90", "p99")
    rows = (_workload_row(results, workload.name, name) for name in results.names(workload.name))
    return f"### {workload.label}\n\n{table(head, rows)}\n"


def _workload_row(results: Results, workload: str, name: str) -> list[str]:
    samples = results.samples
    latencies = [typical(samples, workload, name, of) * 1000 for of in (
        lambda each: each.p50, lambda each: each.p90, lambda each: each.p99)]
    spread = [each.cpu * 1e6 for each in samples if (each.workload, each.candidate) == (workload, name)]
    by_ours = "–"
    if OURS in results.names(workload):
        by_ours = f"{ratio(samples, cpu, (workload, name), (workload, OURS)):.2f}"
    return [results.labels[name], f"{typical(samples, workload, name, rate):,.0f}",
            f"{typical(samples, workload, name, cpu) * 1e6:.1f}", by_ours, f"{min(spread):.1f}–{max(spread):.1f}",
            *(f"{each:.2f}" for each in latencies)]


def summary_table(results: Results) -> str:
    """Return the CPU time a request of each candidate under each workload."""
    shown = [each for each in results.workloads() if not each.durable]
    if not shown:
        return ""
    names = results.names(shown[0].name)
    rows = ([results.labels[name], *(_cpu(results, each.name, name) for each in shown)]
            for name in names)
    return table(["CPU µs a request", *(each.name for each in shown)], rows) + "\n"


def _cpu(results: Results, workload: str, name: str) -> str:
    if name not in results.names(workload):
        return "–"
    return f"{typical(results.samples, workload, name, cpu) * 1e6:.1f}"


def scale_table(results: Results) -> str:
    """Return start, memory and streams of each candidate."""
    names = [*dict.fromkeys([*results.start, *results.memory, *results.streams])]
    if not names:
        return ""
    tasks = next((each.tasks for each in results.memory.values()), 0)
    count = next((each.count for each in results.streams.values()), 0)
    head = ("", "start to first answer, s", "memory at start, MiB", f"with {tasks:,} tasks, MiB",
            f"a stream of {count:,}, KiB", "one write to all streams, s", "its CPU time, s")
    return table(head, (_scale_row(results, name) for name in names)) + "\n"


def _scale_row(results: Results, name: str) -> list[str]:
    memory, streams = results.memory.get(name), results.streams.get(name)
    mib = [f"{each / 2 ** 20:.1f}" for each in (memory.before, memory.after)] if memory else []
    told = [f"{streams.bytes_each / 1024:.1f}", f"{streams.seconds:.3f}",
            f"{streams.cpu:.3f}"] if streams else []
    start = f"{results.start[name]:.3f}" if name in results.start else "–"
    return [results.labels[name], start, *(mib or ["–", "–"]), *(told or ["–"] * 3)]


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure to reach, what was measured, and whether less is better."""

    text: str
    limit: float
    value: float
    at_most: bool = True

    @property
    def reached(self) -> bool:
        """Whether the goal is reached."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def row(self) -> list[str]:
        """Return its row in the table."""
        sign = "≤" if self.at_most else "≥"
        return [self.text, f"{sign} {self.limit:g}", f"{self.value:.2f}",
                "reached" if self.reached else "**missed**"]


def goals(results: Results) -> Iterator[Goal]:
    """Give the goals of the design that the run has figures for."""
    for workload in HTTP_WORKLOADS:
        yield from _cpu_goals(results, workload)
    yield from _durable_goals(results)
    yield from _scale_goals(results)


def _cpu_goals(results: Results, workload: str) -> Iterator[Goal]:
    names = results.names(workload)
    python = [name for name in names if name in PYTHON_PEERS]
    node = [name for name in names if name in NODE_PEERS]
    limits = [(OURS, python[:1], 1.0 if workload in ("get", "304", "mix") else 1.25, "the fastest Python peer's"),
              (COMPILED, python[:1], 0.9, "the fastest Python peer's"),
              (COMPILED, node[:1], NODE_LIMITS.get(workload, 1.5), "the fastest on Node's"),
              (OURS, ["fastapi"], 0.45, "FastAPI's"), (OURS, ["tornado"], 0.40, "plain Tornado's")]
    for mine, peers, limit, whose in limits:
        for peer in peers:
            if mine in names and peer in names:
                text = f"{workload}{', compiled' if mine == COMPILED else ''}: CPU time by {whose}"
                value = ratio(results.samples, cpu, (workload, mine), (workload, peer))
                yield Goal(f"{text} ({results.labels[peer]})", limit, value)


def _durable_goals(results: Results) -> Iterator[Goal]:
    names = results.names("durable")
    mine = f"{OURS}-sqlite"
    for other, limit, whose in ((OURS, 0.5, "the memory engine's"),
                                ("fastapi-aiosqlite", 5.0, "FastAPI + aiosqlite's")):
        if mine in names and other in names:
            value = ratio(results.samples, rate, ("durable", mine), ("durable", other))
            yield Goal(f"durable post: requests/s by {whose}", limit, value, at_most=False)
    for other in ("starlette-sqlite", "starlette-sqlite-lean"):
        if mine in names and other in names:
            value = ratio(results.samples, cpu, ("durable", mine), ("durable", other))
            yield Goal(f"durable post: CPU time by that of {results.labels[other]}", 1.0, value)
    if OURS in results.names("unchanged-list") and OURS in results.names("304"):
        value = ratio(results.samples, cpu, ("unchanged-list", OURS), ("304", OURS))
        yield Goal("unchanged list of 10,000: CPU time by that of one task", 1.2, value)


def _scale_goals(results: Results) -> Iterator[Goal]:
    if OURS in results.streams:
        streams = results.streams[OURS]
        yield Goal("an idle event stream: KiB", 12.0, streams.bytes_each / 1024)
        yield Goal(f"one write to {streams.count:,} event streams: seconds", 1.0, streams.seconds)
    if found := _PAGE_RATIO.search(results.pages):
        rows = f"{results.plan.page_rows:,}"
        yield Goal(f"a page of 50 among {rows}: by that among 1,000, the worst", 1.2,
                   float(found[1]))
    if results.lists:
        yield Goal(f"lists among {results.plan.list_sizes.rpartition(',')[2]}: beyond 50 ms with one "
                   "filter, 250 ms with two", 0, results.lists.count("!"))
    if OURS in results.start:
        yield Goal("start to first answer: seconds", 0.4, results.start[OURS])


def goals_table(results: Results) -> str:
    """Return the goals, and whether they are reached."""
    rows = [goal.row() for goal in goals(results)]
    return table(("goal", "limit", "measured", ""), rows) + "\n" if rows else ""


def tables(results: Results) -> str:
    """Return all tables, to print."""
    parts = [summary_table(results), *(workload_table(results, w) for w in results.workloads()),
             scale_table(results), results.pages, results.lists, goals_table(results)]
    return "\n".join(part for part in parts if part)


def document(results: Results) -> str:
    """Return docs/performance.md: the template, with the tables in it."""
    plan = results.plan
    facts = {
        "machine": machine(), "date": time.strftime("%Y-%m-%d"), "commit": commit(),
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
        "generator": load.generator(), "rounds": str(plan.rounds), "seconds": str(plan.seconds),
        "goals": goals_table(results), "summary": summary_table(results),
        "workloads": "\n".join(workload_table(results, w) for w in results.workloads()),
        "scale": scale_table(results), "pages": results.pages,
        "lists": results.lists,
    }
    return Template(TEMPLATE.read_text("utf-8")).substitute(facts)

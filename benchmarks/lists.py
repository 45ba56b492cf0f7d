#!/usr/bin/env python3
"""What a page of each list costs, and how that grows with the store, on SQLite and PostgreSQL.

Each sort × {no filter, each filter, pairs of filters, a search}, in stores of 1,000 to 1,000,000
tasks. A cell is the median of whole requests, in milliseconds, in the dearer direction of the sort:
one GET /tasks on a keep-alive connection of loopback, to a service in a process of its own. Stores
are warm. A cell with "!" is beyond its limit, which holds for the largest store.

The tasks are a hard case. A task is due within 30 days after its creation, so that the first tasks of
a sort by creation may have none of the due dates of the query. The word "early" is in the older half
of all tasks only.

    benchmarks/lists.py [--sizes N,…] [--engines sqlite,postgres] [--search-index] [--output FILE]
"""

import argparse
import os
import platform
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.pages import (  # noqa: E402  # after the path
    PAGE, Client, places, prepare, processor, run_script, serving, tasks)
from taskservice.datamodel import TaskEntry, TaskSort  # noqa: E402

SIZES = (1_000, 10_000, 100_000, 1_000_000)

BEGAN, YEARS, MONTH = 1.7e9, 2 * 365 * 86_400, 30 * 86_400
"""When the first task was created, how long before the last one, and until when a task is due."""

MIDDLE = int(BEGAN + YEARS / 2)

REQUESTS = 9
SECONDS = 1.0
"""Requests for a page, and the seconds they may take; three are made in any case."""


@dataclass(frozen=True)
class Filter:
    """A row of the matrix: a name, the query, and the limit in milliseconds, if there is one."""

    name: str
    query: str
    limit: float | None = None


SINGLE, PAIR = 50.0, 250.0

FILTERS = (
    Filter("none", "", SINGLE),
    Filter("completed", "completed=true", SINGLE),
    Filter("open", "completed=false", SINGLE),
    Filter("urgent", "priority=urgent", SINGLE),
    Filter("low, high", "priority=low&priority=high", SINGLE),
    Filter("due before all", "due_before=1", SINGLE),
    Filter("due: first 0.1 %", f"due_before={int(BEGAN + MONTH / 40)}", SINGLE),
    Filter("due: first half", f"due_before={MIDDLE}", SINGLE),
    Filter("due: second half", f"due_after={MIDDLE}", SINGLE),
    Filter("due: 2 weeks", f"due_after={MIDDLE}&due_before={MIDDLE + MONTH // 2}", SINGLE),
    Filter("urgent, completed", "priority=urgent&completed=true", PAIR),
    Filter("first half, open", f"due_before={MIDDLE}&completed=false", PAIR),
    Filter("second half, completed", f"due_after={MIDDLE}&completed=true", PAIR),
    Filter("first half, urgent", f"due_before={MIDDLE}&priority=urgent", PAIR),
    Filter("second half, low, high", f"due_after={MIDDLE}&priority=low&priority=high", PAIR),
    Filter("q in 1 of 1,000", "q=needle"),
    Filter("q in 1 of 3", "q=common"),
    Filter("q in the older half", "q=early"),
    Filter("q in none", "q=nosuchword"),
    Filter("q in 1 of 1,000, open", "q=needle&completed=false"),
)

Cells = dict[tuple[Filter, TaskSort], float]
"""Milliseconds, by row and column."""


def listed_tasks(rows: int) -> Iterator[tuple[str, TaskEntry]]:
    """Make the tasks of a store, the same ones every time, with what the filters ask for."""
    rng = random.Random(rows)
    for number, (task_id, entry) in enumerate(tasks(rows)):
        words = [entry.title]
        words += ["needle"] if number % 1000 == 7 else []
        words += ["common"] if number % 3 == 0 else []
        words += ["early"] if number < rows // 2 else []
        due = round(BEGAN + YEARS * number / rows + rng.randrange(MONTH))
        yield task_id, entry._replace(
            title=" ".join(words), due_date=None if entry.due_date is None else due)


def measure(client: Client, filters: Sequence[Filter] = FILTERS) -> Cells:
    """Ask for each page a few times."""
    return {(each, sort): max(_median(client, each, f"{sign}{sort.value}") for sign in ("", "-"))
            for each in filters for sort in TaskSort}


def _median(client: Client, filtered: Filter, sort: str) -> float:
    target = f"/tasks?sort={sort}&limit={PAGE}" + f"&{filtered.query}" * bool(filtered.query)
    client.get(target)
    taken = [client.get(target) for _ in range(3)]
    while len(taken) < REQUESTS and sum(taken) < SECONDS:
        taken.append(client.get(target))
    return median(taken) * 1000


def table(cells: Cells, judged: bool) -> Iterator[str]:
    """Give the lines of the matrix of a store; if `judged`, cells beyond their limit are marked."""
    yield f"{'ms':<24}" + "".join(f"{sort.value:>10} " for sort in TaskSort)
    for each in dict.fromkeys(row for row, _ in cells):
        line = f"{each.name:<24}"
        for sort in TaskSort:
            taken = cells[each, sort]
            beyond = judged and each.limit is not None and taken > each.limit
            line += f"{taken:>10.2f}{'!' if beyond else ' '}"
        yield line.rstrip()


BAR_FROM, BAR_STEPS = 0.5, 8
"""Milliseconds at which a bar begins, and characters for ten times as much."""


def growth(stores: Mapping[int, Cells]) -> Iterator[str]:
    """Draw how the cost of each row, in its dearest sort, grows with the store."""
    yield f"how it grows: the dearest sort, ms; a bar is logarithmic, {BAR_STEPS} signs are 10 times"
    rows = dict.fromkeys(row for cells in stores.values() for row, _ in cells)
    for each in rows:
        for number, (size, cells) in enumerate(stores.items()):
            dearest = max(cells[each, sort] for sort in TaskSort)
            yield (f"{each.name if number == 0 else '':<24}{size:>10,}{dearest:>10.2f} "
                   f"{_bar(dearest)}").rstrip()


def _bar(milliseconds: float) -> str:
    return "#" * max(0, round(BAR_STEPS * log10(max(milliseconds / BAR_FROM, 1))))


async def run(
    engines: Sequence[str], sizes: Sequence[int], folder: Path, search_index: bool
) -> str:
    """Fill the stores, measure, and return the report."""
    report = [
        f"A page of {PAGE}: medians of whole requests, in milliseconds (benchmarks/lists.py)",
        f"{time.strftime('%Y-%m-%d')}, {processor()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}{', with search-index' if search_index else ''}", ""]
    for engine in engines:
        stores: dict[int, Cells] = {}
        loading: dict[int, float] = {}
        with places(engine, folder) as place:
            for size in sizes:
                task_db = {engine: {**_mapping(place(size)), "search-index": search_index}}
                made = list(listed_tasks(size))
                began = time.process_time()
                store = await prepare(size, task_db, made)
                loading[size] = time.process_time() - began
                with serving(store, folder) as client:
                    stores[size] = measure(client)
        for size, cells in stores.items():
            report += [f"{engine}: {size:,} tasks, loaded in {loading[size]:.1f} s of CPU of the engine's process", "",
                       *table(cells, size == sizes[-1]), ""]
        report += [f"{engine}, {line}" if number == 0 else line
                   for number, line in enumerate(growth(stores))] + [""]
    return "\n".join(report)


def _mapping(task_db: Mapping[str, Any]) -> Mapping[str, Any]:
    [options] = task_db.values()
    return {"path": options} if isinstance(options, str) else options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="default: %(default)s")
    parser.add_argument("--search-index", action="store_true", help="with the index of words")
    return run_script(parser, argv, lambda options, engines, folder: run(
        engines, [int(size) for size in options.sizes.split(",")], folder, options.search_index))


if __name__ == "__main__":
    sys.exit(main())

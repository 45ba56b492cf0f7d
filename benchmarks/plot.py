# mypy: disable-error-code="import-not-found,no-any-unimported"
"""The plot of a run: CPU time a request, by workload. It runs in .venv-bench.

    python -m benchmarks.plot RESULTS.json PLOT.svg
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "taskservice", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False})

from matplotlib import pyplot  # noqa: E402  # after the choice of its backend

OURS, PEER = "#1f6f8b", "#b8b8b8"
COLUMNS = 2


def main(arguments: Sequence[str]) -> int:
    """Draw."""
    source, target = arguments
    results = json.loads(Path(source).read_text("utf-8"))
    workloads = [*dict.fromkeys(each["workload"] for each in results["samples"])]
    rows = -(-len(workloads) // COLUMNS)
    figure, axes = pyplot.subplots(
        rows, COLUMNS, figsize=(10, 2.1 * rows), layout="constrained", squeeze=False)
    for axis, workload in zip(axes.flat, workloads):
        _draw(axis, results, workload)
    for axis in axes.flat[len(workloads):]:
        axis.set_axis_off()
    figure.suptitle("CPU time a request, µs (less is better)")
    figure.savefig(target, metadata={"Date": None})
    return 0


def _draw(axis: Any, results: Mapping[str, Any], workload: str) -> None:
    taken: dict[str, list[float]] = {}
    for each in results["samples"]:
        if each["workload"] == workload:
            taken.setdefault(each["candidate"], []).append(each["cpu"] * 1e6)
    typical = sorted(((median(cpu), name) for name, cpu in taken.items()), reverse=True)
    bars = axis.barh([results["labels"][name] for _, name in typical], [cpu for cpu, _ in typical],
                     color=[OURS if name.startswith("taskservice") else PEER
                            for _, name in typical])
    axis.bar_label(bars, fmt="%.0f", padding=3)
    axis.set_title(workload, loc="left")
    axis.margins(x=0.12)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m benchmarks.plot REPORT.json PICTURE.svg`: draw what `growth` or `mcts-size` measured, with --json.

Needs matplotlib: `pip install 'crdtgraph[plots]'`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

from benchmarks.report import Figure

MEASURED = {"agreed_after_s": "agreement after the heal (s)", "bytes_per_node": "bytes sent a node"}
VARIED = {"nodes": "machines", "commits_a_side": "commits a side while split"}
SIZES = {
    "nodes": "commits in memory",
    "plane_bytes": "bytes of the plane (MB)",
    "resident_mb": "memory of both replicas (MB)",
    "gossiped_bytes_an_iteration": "bytes gossiped an iteration",
}
COLOURS = {"agreed_after_s": "#0072b2", "bytes_per_node": "#d55e00"}


def main() -> None:
    """Read a report and draw it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plot", description=__doc__)
    parser.add_argument("report", type=Path, help="what `python -m benchmarks NAME --json` printed")
    parser.add_argument("picture", type=Path, help="the file to write; its ending says the format")
    options = parser.parse_args()
    report = json.loads(options.report.read_text(encoding="utf-8"))
    # Text stays text, and equal reports are equal files.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "crdtgraph", "font.size": 9})
    (draw_size if report["name"] == "mcts-size" else draw)(report, options.picture)


def draw_size(report: dict[str, dict[str, dict[str, Figure]]], picture: Path) -> None:
    """What a search takes against its iterations, beside the commits that were made and those that are live."""
    figure, axes = pyplot.subplots(2, 2, figsize=(8.5, 5.5), layout="constrained")
    rows = [row for row in report["results"].values() if "iterations" in row]
    done = [float(row["iterations"] or 0) / 1_000 for row in rows]
    for axis, (name, title) in zip(axes.flat, SIZES.items(), strict=True):
        scale = 1e6 if name == "plane_bytes" else 1
        axis.plot(done, [float(row[name] or 0) / scale for row in rows], color=COLOURS["agreed_after_s"], label=title)
        if name == "nodes":
            axis.plot(
                done, [row["live_commits"] for row in rows], color=COLOURS["bytes_per_node"], label="live commits"
            )
            axis.plot(done, [row["commits_made"] for row in rows], ":", color="#888888", label="commits made")
            axis.set_ylim(0, 4 * max(float(row[name] or 0) for row in rows))
            axis.legend(loc="upper left")
        else:
            axis.set_ylim(bottom=0)
        axis.set(xlabel="thousand iterations", ylabel=title)
        axis.grid(visible=True, which="major", alpha=0.3)
    figure.savefig(picture, metadata={"Date": None})


def draw(report: dict[str, dict[str, dict[str, Figure]]], picture: Path) -> None:
    """Four small plots: time and bytes, against machines and against commits, with the exponent that fits."""
    figure, axes = pyplot.subplots(2, 2, figsize=(8.5, 5.5), layout="constrained")
    for column, (varied, label) in enumerate(VARIED.items()):
        rows = [row for row in report["results"].values() if row.get("varied") == varied]
        for line, (measured, title) in enumerate(MEASURED.items()):
            axis = axes[line][column]
            axis.loglog([row[varied] for row in rows], [row[measured] for row in rows], "o-", color=COLOURS[measured])
            if measured == "agreed_after_s":
                # It hardly grows: a logarithmic axis would make mountains of it.
                axis.set_yscale("linear")
                axis.set_ylim(bottom=0)
            exponent = report["results"][f"growth with {varied}"][measured]
            axis.set(xlabel=label, ylabel=title, title=f"grows with the power {exponent:g}")
            axis.grid(visible=True, which="major", alpha=0.3)
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    main()

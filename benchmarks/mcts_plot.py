"""`python -m benchmarks.mcts_plot REPORT.json PICTURE.svg`: draw what the benchmark `mcts-scale` measured.

Needs matplotlib: `pip install 'crdtgraph[plots]'`.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

from benchmarks.report import Figure

COLOURS = {"5 ms": "#0072b2", "50 ms": "#009e73", "apart": "#d55e00"}
ROW = re.compile(r"(\d+x\d+:\d+) (\d+) (?:at )?(apart|\d+ ms)(, in flight not told)?$")


def main() -> None:
    """Read a report and draw it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mcts_plot", description=__doc__)
    parser.add_argument("report", type=Path, help="what `python -m benchmarks mcts-scale --json` printed")
    parser.add_argument("picture", type=Path, help="the file to write; its ending says the format")
    options = parser.parse_args()
    draw(json.loads(options.report.read_text(encoding="utf-8")), options.picture)


def draw(report: dict[str, dict[str, dict[str, Figure]]], picture: Path) -> None:
    """One plot a kind of game: strength against writers, with bars of one standard error."""
    # Text stays text, and equal reports are equal files.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "crdtgraph", "font.size": 9})
    results = report["results"]
    games = list(dict.fromkeys(name.split()[0] for name in results))
    figure, axes = pyplot.subplots(1, len(games), figsize=(5.5 * len(games), 4), layout="constrained", squeeze=False)
    for axis, game in zip(axes[0], games, strict=True):
        lines: dict[tuple[str, bool], list[tuple[int, float, float]]] = {}
        for name, row in results.items():
            found = ROW.match(name)
            if found is not None and found[1] == game:
                line = lines.setdefault((found[3], found[4] is None), [])
                line.append((int(found[2]), _number(row["strength"]), _number(row["error"])))
        for (kind, is_told), points in lines.items():
            writers, strengths, errors = zip(*sorted(points), strict=True)
            label = "root parallelism" if kind == "apart" else f"{kind}{'' if is_told else ', in flight not told'}"
            style = "o-" if is_told else "o:"
            axis.errorbar(writers, strengths, errors, fmt=style, color=COLOURS[kind], label=label, capsize=2)
        alone = _number(results[f"{game} sequential"]["strength"])
        axis.axhline(alone, color="black", linewidth=1, label="one tree alone")
        axis.axhline(0.95 * alone, color="black", linewidth=1, linestyle="--", label="0.95 of that")
        axis.set_xscale("log", base=2)
        axis.set(xlabel="writers", ylabel="share of right moves", title=f"P-games {game}")
        axis.set_xticks([2, 4, 8, 16, 32], labels=["2", "4", "8", "16", "32"])
        axis.grid(visible=True, alpha=0.3)
        axis.legend(fontsize=8)
    figure.savefig(picture, metadata={"Date": None})


def _number(value: Figure) -> float:
    assert isinstance(value, int | float), value
    return float(value)


if __name__ == "__main__":
    main()

"""`python -m benchmarks NAME [--json] [--quick]`: run one benchmark, or all of them.

Exits 0 whether or not the bars hold: a benchmark reports, it does not judge.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib import import_module

from rich.console import Console
from rich.table import Table

from benchmarks.report import Figure, Report

NAMES = {
    "commit": "one commit against the floor: encode, hash, networkx",
    "sync": "a fresh node fetches a whole history, against git clone",
    "catchup": "300 new commits reach a peer, against git fetch",
    "traverse": "merge bases, against libgit2 and git's recorded answers",
    "backends": "the same workload on each backend, with write amplification",
    "reopen": "open a store after SIGKILL",
    "objects": "large values: put, read, and fetched by another node while commits go on",
    "mixed": "1 % critical and 99 % speculative commits while a peer replicates",
    "discard": "987 of 1,000 speculative commits thrown away, and what a dropped search gives back",
    "mcts-size": "a search of a million iterations: bytes gossiped and held, memory, against its live tree",
    "memory": "resident memory of 100,000 commits, live and after their search is over",
    "random-state": "the state at a random commit, cold and warm, against naive replay",
    "recovery": "from SIGKILL to the first read: a million changed paths, a million commits",
    "simulate": "simulated seconds per second: clusters of 5, 15 and 50 nodes, fuzz worlds",
    "inspect": "drawings and start-up beside git; two replicas that differ by 1,000 commits",
    "mcts-overhead": "iterations a second of a search tree with node and peer, against MCTSBot of OpenSpiel",
    "mcts-strength": "games against MCTSBot at equal simulations: Connect Four and Hex",
    "workers": "four processes without a replica write batches through one node",
    "cache": "recorded searches played to the caches, against LRU and Belady's optimum",
    "branches": "50 writers on branches of their own, merged to main, against git worktrees with a lock",
    "mcts-scale": "one tree by 1 to 32 writers against one by one, on random game trees, and root parallelism",
    "mcts-split": "a search that is split in two for half of its time: what both sides counted, and how it chose",
    "growth": "agreement after a split: time and bytes against cluster size and divergence",
}
SEEDED = ("mcts-scale", "mcts-split")
"""Those that play games, as many as are asked for."""
_GAP = 2
"""Columns of the screen that a column of a table takes beside its text."""


def main() -> None:
    """Parse the command line, run, print."""
    lines = [f"  {name:13} {text}" for name, text in NAMES.items()]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure crdtgraph side by side with its peers.",
        epilog="benchmarks:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=[*NAMES, "all"], metavar="NAME", help="one of those below, or all")
    parser.add_argument("--json", action="store_true", help="print one JSON object (one a line for all)")
    parser.add_argument("--quick", action="store_true", help="small inputs: shows that it runs, not how fast")
    parser.add_argument("--seeds", type=int, help="games of mcts-scale and mcts-split instead of 100")
    options = parser.parse_args()
    for name in NAMES if options.name == "all" else [options.name]:
        more = {"seeds": options.seeds} if options.seeds and name in SEEDED else {}
        report: Report = import_module(f"benchmarks.{name.replace('-', '_')}").run(quick=options.quick, **more)
        if options.json:
            print(report.to_json(), flush=True)
        else:
            show(report)


def show(report: Report) -> None:
    """Print a report: what was measured, in as many tables as it takes columns, and the bars."""
    console = Console()
    parameters = ", ".join(f"{name}={value}" for name, value in report.parameters.items())
    console.print(f"[bold]{report.name}[/]  {parameters}", highlight=False)
    for columns in _side_by_side(report.results, console.width):
        results = Table(box=None, header_style="dim")
        results.add_column("", no_wrap=True)
        for column in columns:
            results.add_column(column, justify="right", no_wrap=True)
        for name, row in report.results.items():
            if not row.keys().isdisjoint(columns):
                results.add_row(name, *(str(row.get(column, "")) for column in columns))
        console.print(results)
    bars = Table(box=None, header_style="dim")
    for column in ("figure", "value", "unit", "bar", "holds"):
        bars.add_column(column, justify="right" if column == "value" else "left")
    for bar in report.bars:
        bars.add_row(bar.figure, str(bar.value), bar.unit, bar.bar, "[green]yes[/]" if bar.holds else "[red]no[/]")
    console.print(bars)
    console.print()


def _side_by_side(results: Mapping[str, Mapping[str, Figure]], width: int) -> list[list[str]]:
    """The columns in groups that fit beside the names of the rows: one table below the other, and nothing cut off."""
    left = max(map(len, results), default=0) + _GAP
    groups: list[list[str]] = []
    room = 0
    for column in dict.fromkeys(column for row in results.values() for column in row):
        needed = max(len(column), *(len(str(row.get(column, ""))) for row in results.values())) + _GAP
        if needed > room:
            groups.append([])
            room = width - left
        groups[-1].append(column)
        room -= needed
    return groups


if __name__ == "__main__":
    main()

"""Simulated worlds as the lines that people read and the documents that programs do."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from cli.render import fields, paint, printable, table
from simulations import files
from simulations.observer import Heal
from simulations.page.paper import seconds, size
from simulations.runner import Outcome

LINES_SHOWN = 20
"""Of the trace of a failed run; `--trace` shows all."""
HEALS_SHOWN = 20
"""The slowest ones; the report page and JSON have all."""


def replay_command(seed: int) -> str:
    """What shows a drawn world again, with all that happens in it."""
    return f"crdtgraph simulate replay {seed} --trace"


def run_command(scenario: str, seed: int) -> str:
    """What runs a scenario, by file or name, again."""
    return f"crdtgraph simulate run {shlex.quote(scenario)} --seed {seed}"


def shrink_command(world: str, seed: int | None = None) -> str:
    """What makes a failing world smaller: that of a seed, or a scenario with a seed."""
    return f"crdtgraph simulate shrink {shlex.quote(world)}" + ("" if seed is None else f" --seed {seed}")


def count(number: int, what: str) -> str:
    """So many of something, for people."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def document(outcome: Outcome) -> dict[str, object]:
    """A run as JSON has it."""
    scenario = outcome.scenario
    found: dict[str, object] = {
        "scenario": scenario.name,
        "seed": outcome.seed,
        "passed": not outcome.failure,
        "rule": outcome.rule,
        "failure": outcome.failure,
        "nodes": scenario.nodes,
        "topology": scenario.topology.value,
        "events": outcome.events,
        "commits": outcome.commits,
        "lost": outcome.lost,
        "pending": outcome.pending,
        "conflicts": outcome.conflicts,
        "bytes_sent": outcome.bytes_sent,
        "duration_s": scenario.duration_s,
        "simulated_s": outcome.simulated_s,
        "converged_after_s": None if outcome.failure else outcome.converged_after_s,
        "wall_s": outcome.wall_s,
        "trace_hash": outcome.trace_hash,
    }
    if outcome.seen is not None:
        found["heals"] = [
            {"what": each.what, "at_s": each.at_s, "agreed_after_s": each.agreed_after_s, "bytes": each.bytes}
            for each in outcome.seen.heals
        ]
    return found


def report_lines(outcome: Outcome) -> Iterator[str]:
    """A run for people: the verdict, the numbers, the heals."""
    scenario = outcome.scenario
    yield verdict_line(outcome)
    if scenario.about:
        yield printable(scenario.about)
    yield ""
    conflicts = f" ({', '.join(map(printable, outcome.conflicts))})" if outcome.conflicts else ""
    agreement = "not reached" if outcome.failure else f"{seconds(outcome.converged_after_s)} after the last fault"
    yield from fields(
        [
            ("machines", f"{scenario.nodes}, {scenario.topology}"),
            ("simulated", f"{seconds(outcome.simulated_s)} in {seconds(outcome.wall_s)}"),
            ("events", f"{outcome.events:,}"),
            ("commits", f"{outcome.commits:,} written, {outcome.lost:,} lost, {outcome.pending:,} pending"),
            ("conflicts", f"{count(len(outcome.conflicts), 'ref')}{conflicts}"),
            ("sent", size(outcome.bytes_sent)),
            ("agreement", agreement),
            ("trace", outcome.trace_hash),
        ]
    )
    if outcome.seen is not None and outcome.seen.heals:
        yield ""
        yield from _heal_lines(outcome.seen.heals)


def verdict_line(outcome: Outcome) -> str:
    """Which run it was and what came of it, on one line."""
    name = printable(outcome.scenario.name) or "a world without a name"
    who = name if name == f"seed {outcome.seed}" else f"{name}, seed {outcome.seed}"
    verdict = paint(f"FAILED: {printable(outcome.rule)}", "conflict") if outcome.failure else paint("passed", "added")
    return f"{who}: {verdict}"


def failure_lines(outcome: Outcome, *, lines: int = LINES_SHOWN) -> Iterator[str]:
    """What was wrong, after how long, and what happened just before."""
    yield f"broken after {seconds(outcome.simulated_s)}: {printable(outcome.failure).rstrip()}"
    if outcome.lines and lines:
        yield "the last of what happened:"
        yield from (paint(f"  {printable(line)}", "faint") for line in outcome.lines[-lines:])


def scenario_lines(outcome: Outcome) -> list[str]:
    """The scenario as its file has it."""
    return files.write(outcome.scenario).splitlines()


def _heal_lines(heals: list[Heal]) -> Iterator[str]:
    slowest = sorted(heals, key=lambda each: float("inf") if each.agreed_after_s is None else each.agreed_after_s)
    shown = sorted(slowest[-HEALS_SHOWN:], key=lambda each: each.at_s)
    yield "heals, and how long it took until all had everything:"
    if len(shown) < len(heals):
        yield f"  (the {len(shown)} slowest of {len(heals)})"
    yield from table(
        [
            [
                f"  at {seconds(each.at_s)}",
                each.what,
                "never" if each.agreed_after_s is None else seconds(each.agreed_after_s),
                "" if each.bytes is None else f"{size(each.bytes)} sent",
            ]
            for each in shown
        ]
    )

"""`crdtgraph simulate shrink`: what of a failing world the failure needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import Invocation, Output, examples, output_option

if TYPE_CHECKING:
    from cli.failures import StoppedError
    from simulations.runner import Outcome
    from simulations.scenario import Scenario
    from simulations.shrinking import Attempt


@click.command(
    "shrink",
    epilog=examples(
        "crdtgraph simulate shrink failing.toml --to smallest.toml",
        "crdtgraph simulate shrink failing.toml --attempts 50",
    ),
)
@click.argument("world", metavar="SEED|SCENARIO")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="The dice of SCENARIO (default: its own seed).")
@click.option("--to", "target", metavar="FILE", help="Where to write the smallest (default: smallest-NAME.toml).")
@click.option(
    "--attempts",
    "attempts_max",
    type=click.IntRange(min=1),
    metavar="N",
    help="Try at most N smaller worlds (default: 400).",
)
@output_option
@click.pass_context
def command(ctx: click.Context, world: str, seed: int | None, target: str | None, attempts_max: int | None) -> None:
    """Leave out machines, faults, operations and time of a failing world while it breaks the same rule.

    The world is that of a seed, or a scenario by its file or name. The smallest is written as a scenario file, also
    when Ctrl-C ends the search early. Exit code 1 as for any run that breaks a rule; 0 if the world passes, and then
    there is nothing to make smaller and nothing is written.
    """
    from cli.running import promised, watched
    from simulations.files import write

    scenario = _find(world, seed)
    path = target or f"smallest-{_file_name(world)}.toml"
    search = Search(scenario)
    with promised(path) as write_file:
        outcome = watched(scenario.seed if seed is None else seed, scenario)
        if outcome.failure:
            _search(search, outcome, attempts_max, path)
            write_file(write(search.smallest, f"Breaks the rule: {outcome.rule}\nMade smaller from {scenario.name}."))
    _print(ctx.find_object(Invocation) or Invocation(), outcome, search, path)
    if search.stopped is not None:
        raise search.stopped
    ctx.exit(1 if outcome.failure else 0)


@dataclass(slots=True)
class Search:
    """How far it came; `stopped` if Ctrl-C ended it."""

    smallest: Scenario
    attempts: int = 0
    stopped: StoppedError | None = None


def _find(world: str, seed: int | None) -> Scenario:
    from simulations.files import find
    from simulations.swarm import draw

    if _is_seed(world):
        if seed is not None:
            raise click.UsageError("--seed is for a scenario, and SEED is a world of its own")
        return draw(int(world))
    return find(world)


def _is_seed(world: str) -> bool:
    return world.isascii() and world.isdigit()


def _file_name(world: str) -> str:
    return f"seed-{world}" if _is_seed(world) else Path(world).stem


def _search(search: Search, outcome: Outcome, attempts_max: int | None, path: str) -> None:
    from cli.failures import StoppedError
    from cli.progress import progress_bar
    from cli.running import interrupted
    from cli.worlds import count
    from simulations.shrinking import ATTEMPTS_MAX, shrink

    most = ATTEMPTS_MAX if attempts_max is None else attempts_max

    def progress(attempt: Attempt) -> None:
        search.attempts, search.smallest = attempt.number, attempt.smallest
        bar(attempt.number, most, "candidates")
        if attempt.is_kept:
            bar.say(f"left out {attempt.change}: {size_of(attempt.smallest)}")

    try:
        with (
            interrupted(lambda: f"stopped after {count(search.attempts, 'attempt')}; the smallest so far is in {path}"),
            progress_bar("shrinking") as bar,
        ):
            shrink(outcome, attempts_max=most, progress=progress)
    except StoppedError as stopped:
        search.stopped = stopped


def _print(invocation: Invocation, outcome: Outcome, search: Search, path: str) -> None:
    from cli.output import print_document
    from cli.render import print_lines
    from cli.worlds import count, run_command, verdict_line

    again = run_command(path, search.smallest.seed if search.attempts else outcome.seed)
    if invocation.output is not Output.TEXT:
        found: dict[str, object] = {"passed": not outcome.failure, "seed": outcome.seed, "rule": outcome.rule}
        if outcome.failure:
            found |= {
                "attempts": search.attempts,
                "before": _size_document(outcome.scenario),
                "after": _size_document(search.smallest),
                "file": path,
                "again": again,
            }
        print_document(invocation.output, found)
        return
    lines = [verdict_line(outcome)]
    if outcome.failure:
        lines += [
            f"from {size_of(outcome.scenario)}",
            f"to   {size_of(search.smallest)}, in {count(search.attempts, 'attempt')}",
            f"written to {path}",
            f"again: {again}",
        ]
    else:
        lines.append("there is nothing to make smaller")
    print_lines(lines)


def size_of(scenario: Scenario) -> str:
    """How much there is in a scenario, in a few words."""
    from cli.worlds import count
    from simulations.page.paper import seconds

    most = scenario.workload.operations_max
    parts = [
        count(scenario.nodes, "machine"),
        count(len(scenario.timeline), "event"),
        seconds(scenario.duration_s),
        count(len(scenario.workload.weights), "kind") + " of operation",
    ]
    return ", ".join(parts + ([] if most is None else [f"at most {most} a process"]))


def _size_document(scenario: Scenario) -> dict[str, object]:
    return {
        "nodes": scenario.nodes,
        "events": len(scenario.timeline),
        "duration_s": scenario.duration_s,
        "operations": len(scenario.workload.weights),
    }

"""`crdtgraph simulate fuzz`: the worlds of many seeds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from cli.context import Invocation, examples, output_option

if TYPE_CHECKING:
    from simulations.runner import Outcome


@dataclass(slots=True)
class Tally:
    """What has come of the seeds so far."""

    count: int = 0
    simulated_s: float = 0.0
    failed: list[Outcome] = field(default_factory=list)
    began_s: float = field(default_factory=time.perf_counter)

    @property
    def wall_s(self) -> float:
        """Since it began."""
        return time.perf_counter() - self.began_s

    @property
    def seeds_per_s(self) -> float:
        """On average."""
        return self.count / max(self.wall_s, 1e-9)

    def add(self, outcome: Outcome) -> None:
        """One world more."""
        self.count += 1
        self.simulated_s += outcome.simulated_s
        if outcome.failure:
            self.failed.append(outcome)

    def note(self) -> str:
        """A few words beside a bar."""
        return f"{self.seeds_per_s:.2g} seeds/s" + (f", {len(self.failed)} failed" if self.failed else "")

    def line(self) -> str:
        """The sum of it."""
        from cli.worlds import count
        from simulations.page.paper import seconds

        return (
            f"{count(self.count, 'seed')}: {self.count - len(self.failed):,} passed, {len(self.failed):,} failed;"
            f" {self.simulated_s / 3600:.3g} simulated hours in {seconds(self.wall_s)}, {self.seeds_per_s:.2g} seeds/s"
        )


@click.command(
    "fuzz",
    epilog=examples(
        "crdtgraph simulate fuzz --count 3",
        "crdtgraph simulate fuzz --count 4 --start-seed 5000 --jobs 2 --keep-going",
        "crdtgraph simulate fuzz --count 2 -o json",
    ),
)
@click.option(
    "--count", "seeds", type=click.IntRange(min=1), default=100, metavar="N", help="How many seeds (default: 100)."
)
@click.option("--start-seed", type=click.IntRange(min=0), default=0, metavar="S", help="The first seed (default: 0).")
@click.option("--jobs", type=click.IntRange(min=1), default=1, metavar="J", help="Worlds at a time (default: 1).")
@click.option("--keep-going", is_flag=True, help="Run all seeds, whatever fails.")
@output_option
@click.pass_context
def command(ctx: click.Context, seeds: int, start_seed: int, jobs: int, keep_going: bool) -> None:
    """Run the worlds that a row of seeds draw: machines, topology, paths, clocks, work and faults.

    Stops at the first that fails, and prints its seed, its scenario and the command that runs it again. Exit code 0
    if all passed, 1 if one failed.
    """
    from cli.failures import StoppedError
    from cli.progress import progress_bar
    from cli.render import print_json, print_lines
    from cli.running import interrupted
    from simulations.fuzzing import fuzz

    invocation = ctx.find_object(Invocation) or Invocation()
    tally = Tally()
    was_stopped: StoppedError | None = None
    try:
        with (
            interrupted(lambda: f"stopped after {tally.count} of {seeds} seeds"),
            progress_bar("fuzzing") as bar,
            closing(fuzz(range(start_seed, start_seed + seeds), jobs=jobs)) as outcomes,
        ):
            for outcome in outcomes:
                tally.add(outcome)
                bar(tally.count, seeds, tally.note())
                if outcome.failure and not invocation.json:
                    bar.print_lines(_failure(outcome))
                if outcome.failure and not keep_going:
                    break
    except StoppedError as stopped:
        was_stopped = stopped
    if invocation.json:
        print_json(_document(tally))
    else:
        print_lines([tally.line()])
    if was_stopped is not None:
        raise was_stopped
    ctx.exit(1 if tally.failed else 0)


def _failure(outcome: Outcome) -> Iterator[str]:
    from cli.worlds import failure_lines, replay_command, scenario_lines, shrink_command, verdict_line

    yield verdict_line(outcome)
    yield from failure_lines(outcome)
    yield "its scenario:"
    yield from (f"  {line}".rstrip() for line in scenario_lines(outcome))
    yield f"again:   {replay_command(outcome.seed)}"
    yield f"smaller: {shrink_command(str(outcome.seed))}"
    yield ""


def _document(tally: Tally) -> dict[str, object]:
    from cli.worlds import document, replay_command, scenario_lines

    return {
        "seeds": tally.count,
        "passed": tally.count - len(tally.failed),
        "simulated_s": tally.simulated_s,
        "wall_s": tally.wall_s,
        "seeds_per_s": tally.seeds_per_s,
        "failed": [
            {**document(each), "toml": "\n".join(scenario_lines(each)), "again": replay_command(each.seed)}
            for each in tally.failed
        ],
    }

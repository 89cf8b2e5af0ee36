"""`crdtgraph simulate fuzz`: the worlds of many seeds."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from cli.context import Invocation, Output, examples, output_option

if TYPE_CHECKING:
    from cli.failures import StoppedError
    from simulations.determinism import Comparison
    from simulations.runner import Outcome

Document = dict[str, object]


@click.command(
    "fuzz",
    epilog=examples(
        "crdtgraph simulate fuzz --count 3",
        "crdtgraph simulate fuzz --count 4 --start-seed 5000 --jobs 2 --keep-going",
        "crdtgraph simulate fuzz --count 2 --verify-determinism",
        "crdtgraph simulate fuzz --count 2 -o json",
    ),
)
@click.option("--count", "seeds", type=click.IntRange(min=1), default=100, metavar="N", help="How many (default: 100).")
@click.option("--start-seed", type=click.IntRange(min=0), default=0, metavar="S", help="The first seed (default: 0).")
@click.option("--jobs", type=click.IntRange(min=1), default=1, metavar="J", help="Worlds at a time (default: 1).")
@click.option("--keep-going", is_flag=True, help="Run all seeds, whatever fails.")
@click.option(
    "--verify-determinism",
    is_flag=True,
    help="Run each seed in two fresh processes that hash strings differently: the same must happen in both.",
)
@output_option
@click.pass_context
def command(
    ctx: click.Context, seeds: int, start_seed: int, jobs: int, keep_going: bool, verify_determinism: bool
) -> None:
    """Run the worlds that a row of seeds draw: machines, topology, paths, clocks, work and faults.

    Stops at the first that fails, and prints its seed, its scenario and the command that runs it again. Exit code 0
    if all passed, 1 if one failed.
    """
    from cli.failures import StoppedError
    from cli.output import print_document
    from cli.progress import progress_bar
    from cli.render import print_lines
    from cli.running import interrupted

    invocation = ctx.find_object(Invocation) or Invocation()
    tally = Tally()
    run_all = _compared if verify_determinism else _run
    was_stopped: StoppedError | None = None
    try:
        with (
            interrupted(lambda: f"stopped after {tally.count} of {seeds} seeds"),
            progress_bar("fuzzing") as bar,
            closing(run_all(range(start_seed, start_seed + seeds), jobs)) as results,
        ):
            for result in results:
                tally.add(result)
                bar(tally.count, seeds, tally.note())
                if result.failure is not None and invocation.output is Output.TEXT:
                    bar.print_lines(result.lines)
                if result.failure is not None and not keep_going:
                    break
    except StoppedError as stopped:
        was_stopped = stopped
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, tally.document())
    else:
        print_lines([tally.line()])
    if was_stopped is not None:
        raise was_stopped
    ctx.exit(1 if tally.failed else 0)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a seed; if it failed, all about it for people and for programs."""

    simulated_s: float
    lines: list[str] = field(default_factory=list)
    failure: Document | None = None


@dataclass(slots=True)
class Tally:
    """What has come of the seeds so far."""

    count: int = 0
    simulated_s: float = 0.0
    failed: list[Document] = field(default_factory=list)
    began_s: float = field(default_factory=time.perf_counter)

    def add(self, result: Result) -> None:
        """One world more."""
        self.count += 1
        self.simulated_s += result.simulated_s
        if result.failure is not None:
            self.failed.append(result.failure)

    @property
    def wall_s(self) -> float:
        """Since it began."""
        return time.perf_counter() - self.began_s

    @property
    def seeds_per_s(self) -> float:
        """On average."""
        return self.count / max(self.wall_s, 1e-9)

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

    def document(self) -> Document:
        """The sum of it as JSON has it."""
        return {
            "seeds": self.count,
            "passed": self.count - len(self.failed),
            "simulated_s": self.simulated_s,
            "wall_s": self.wall_s,
            "seeds_per_s": self.seeds_per_s,
            "failed": self.failed,
        }


def _run(seeds: range, jobs: int) -> Generator[Result, None, None]:
    from simulations.fuzzing import fuzz

    with closing(fuzz(seeds, jobs=jobs)) as outcomes:
        for outcome in outcomes:
            yield _broken(outcome) if outcome.failure else Result(outcome.simulated_s)


def _broken(outcome: Outcome) -> Result:
    from cli.worlds import document, failure_lines, replay_command, scenario_lines, shrink_command, verdict_line

    toml = scenario_lines(outcome)
    again = replay_command(outcome.seed)
    lines = [
        verdict_line(outcome),
        *failure_lines(outcome),
        "its scenario:",
        *(f"  {line}".rstrip() for line in toml),
        f"again:   {again}",
        f"smaller: {shrink_command(str(outcome.seed))}",
        "",
    ]
    return Result(outcome.simulated_s, lines, {**document(outcome), "toml": "\n".join(toml), "again": again})


def _compared(seeds: range, jobs: int) -> Generator[Result, None, None]:
    from simulations.determinism import compare

    with closing(compare(seeds, environment=os.environ, jobs=jobs)) as comparisons:
        for each in comparisons:
            yield Result(each.simulated_s) if each.is_equal and not each.rule else _different(each)


def _different(comparison: Comparison) -> Result:
    from cli.render import paint
    from cli.worlds import replay_command
    from simulations.determinism import HASH_SEEDS

    seed, again = comparison.seed, replay_command(comparison.seed)
    rule = comparison.rule if comparison.is_equal else "the same seed is the same run in every process"
    lines = [f"seed {seed}: {paint(f'FAILED: {rule}', 'conflict')}"]
    if comparison.is_equal:
        lines.append(f"again: {again}")
    else:
        lines.append("see where the runs part:")
        lines += [
            f"  PYTHONHASHSEED={hash_seed} {again} > {hash_seed}.txt   # {trace_hash[:16]}"
            for hash_seed, trace_hash in zip(HASH_SEEDS, comparison.trace_hashes, strict=True)
        ]
        lines.append(f"  diff {' '.join(f'{each}.txt' for each in HASH_SEEDS)} | head")
    failure: Document = {"seed": seed, "rule": rule, "trace_hashes": comparison.trace_hashes, "again": again}
    return Result(comparison.simulated_s, [*lines, ""], failure)

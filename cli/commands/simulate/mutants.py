"""`crdtgraph simulate mutants`: whether the simulator catches bugs that are known."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from cli.context import Invocation, Output, examples, output_option

if TYPE_CHECKING:
    from cli.failures import StoppedError
    from simulations.mutants import Catch, Mutant, Verdict

UNPATCHED_ROW = "the code as it is"


@click.command(
    "mutants",
    epilog=examples(
        'crdtgraph simulate mutants "refs not superseded" --seeds 3',
        'crdtgraph simulate mutants "refs not superseded" "orphans made visible" --seeds 3 --jobs 2 -o json',
    ),
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--seeds", "count", type=click.IntRange(min=1), metavar="N", help="Try the seeds below N (default: 200).")
@click.option("--jobs", type=click.IntRange(min=1), default=1, metavar="J", help="Worlds at a time (default: 1).")
@output_option
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], count: int | None, jobs: int) -> None:
    """Plant known bugs into the code, one at a time, and fuzz until each is caught.

    All of them, or those with the NAMEs. A bug is caught by a world that breaks a rule with it and passes without.
    The code without bugs has to pass all the seeds. Exit code 0 if that is so and every bug is caught, else 1.
    """
    from cli.failures import StoppedError
    from cli.output import print_document
    from cli.progress import progress_bar
    from cli.render import print_lines
    from cli.running import interrupted
    from simulations.mutants import MUTANTS, SEEDS, UNPATCHED, find, hunt

    invocation = ctx.find_object(Invocation) or Invocation()
    hunted = [find(name) for name in dict.fromkeys(names) if name != UNPATCHED.name] if names else [*MUTANTS]
    seeds = SEEDS if count is None else range(count)
    report = Report([*hunted, UNPATCHED])

    def watch(verdict: Verdict) -> None:
        report.worlds += 1
        bar(len(report.catches), len(report.hunted), f"{report.worlds:,} worlds, {verdict.mutant}")

    try:
        with (
            interrupted(report.progress),
            progress_bar("hunting") as bar,
            closing(hunt(report.hunted, seeds, jobs=jobs, environment={**os.environ}, observe=watch)) as catches,
        ):
            if invocation.output is Output.TEXT:
                bar.print_lines([report.heading()])
            for catch in catches:
                report.catches.append(catch)
                if invocation.output is Output.TEXT:
                    bar.print_lines(report.row(catch))
    except StoppedError as stopped:
        report.stopped = stopped
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, report.document())
    else:
        print_lines(["", report.summary()])
    if report.stopped is not None:
        raise report.stopped
    ctx.exit(1 if report.bad else 0)


@dataclass(slots=True)
class Report:
    """What has come of the hunts so far."""

    hunted: list[Mutant]
    catches: list[Catch] = field(default_factory=list)
    worlds: int = 0
    stopped: StoppedError | None = None
    began_s: float = field(default_factory=time.perf_counter)

    @property
    def bad(self) -> list[Catch]:
        """The hunts that did not end as they must."""
        return [each for each in self.catches if not is_good(each)]

    def progress(self) -> str:
        """How far it came."""
        return f"stopped after {len(self.catches)} of {len(self.hunted)} hunts"

    def heading(self) -> str:
        """Of the table."""
        return self._columns("bug", "seed", "worlds", "time", "caught by")

    def row(self, catch: Catch) -> Iterator[str]:
        """The line of a hunt, and what else is to be said of one that did not end as it must."""
        from cli.render import paint, printable
        from simulations.page.paper import seconds

        verdict = catch.verdict
        name = UNPATCHED_ROW if is_unpatched(catch) else catch.mutant.name
        seed = "-" if verdict is None else str(verdict.seed)
        if is_unpatched(catch):
            what = "passes" if verdict is None else f"FAILS: {verdict.rule}"
        elif verdict is None:
            what = "NOT CAUGHT"
        elif verdict.unpatched_rule:
            what = f"FAILS WITHOUT THE BUG AS WELL: {verdict.unpatched_rule}"
        else:
            what = verdict.rule
        what = printable(what) if is_good(catch) else paint(printable(what), "conflict")
        yield self._columns(name, seed, f"{catch.worlds:,}", seconds(catch.wall_s), what)

    def summary(self) -> str:
        """The sum of it."""
        from cli.worlds import count
        from simulations.page.paper import seconds

        mutants = [each for each in self.catches if not is_unpatched(each)]
        unpatched = [each for each in self.catches if is_unpatched(each)]
        caught = sum(map(is_good, mutants))
        line = f"{count(len(mutants), 'bug')}: {caught:,} caught, {len(mutants) - caught:,} not;"
        if unpatched:
            line += f" the code as it is {'passes' if is_good(unpatched[0]) else 'FAILS'};"
        return f"{line} {count(self.worlds, 'world')} in {seconds(time.perf_counter() - self.began_s)}"

    def document(self) -> dict[str, object]:
        """All of it as JSON has it."""
        return {
            "passed": not self.bad and len(self.catches) == len(self.hunted),
            "worlds": self.worlds,
            "wall_s": time.perf_counter() - self.began_s,
            "mutants": [_document(each) for each in self.catches if not is_unpatched(each)],
            "unpatched": next((_document(each) for each in self.catches if is_unpatched(each)), None),
        }

    def _columns(self, name: str, seed: str, worlds: str, wall: str, what: str) -> str:
        width = max(len(UNPATCHED_ROW), *(len(each.name) for each in self.hunted))
        return f"{name:{width}}  {seed:>5}  {worlds:>6}  {wall:>7}  {what}"


def is_unpatched(catch: Catch) -> bool:
    """Whether there was no bug to catch."""
    from simulations.mutants import UNPATCHED

    return catch.mutant is UNPATCHED


def is_good(catch: Catch) -> bool:
    """Whether a hunt ended as it must: a bug caught, and none found where there is none."""
    return catch.verdict is None if is_unpatched(catch) else catch.is_proof


def _document(catch: Catch) -> dict[str, object]:
    verdict = catch.verdict
    return {
        "name": catch.mutant.name,
        "bug": catch.mutant.bug,
        "why": catch.mutant.why,
        "passed": is_good(catch),
        "seed": None if verdict is None else verdict.seed,
        "rule": "" if verdict is None else verdict.rule,
        "details": "" if verdict is None else verdict.details,
        "unpatched_rule": "" if verdict is None else verdict.unpatched_rule,
        "worlds": catch.worlds,
        "wall_s": catch.wall_s,
    }

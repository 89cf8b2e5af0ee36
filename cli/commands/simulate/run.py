"""`crdtgraph simulate run`: one scenario, a report of what came of it, perhaps as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.context import Invocation, Output, examples, output_option

if TYPE_CHECKING:
    from simulations.scenario import Scenario

REPORT_HELP = "Write a page with the picture of the run, for a browser."
TRACE_HELP = "Print everything that happens."


@click.command(
    "run",
    epilog=examples(
        "crdtgraph simulate run clean-split",
        "crdtgraph simulate run clean-split --seed 7 --report split.html",
        "crdtgraph simulate run world.toml -o json",
    ),
)
@click.argument("scenario", metavar="SCENARIO")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="All the dice (default: the scenario's seed).")
@click.option("--report", metavar="FILE", help=REPORT_HELP)
@click.option("--trace", is_flag=True, help=TRACE_HELP)
@output_option
@click.pass_context
def command(ctx: click.Context, scenario: str, seed: int | None, report: str | None, trace: bool) -> None:
    """Run SCENARIO, a TOML file or the name of a shipped one, and say what came of it.

    Exit code 0 if all rules held, 1 if one was broken, 2 for a mistake in the file, 3 if there is no such scenario.
    """
    from cli.worlds import run_command, shrink_command
    from simulations.files import find

    found = find(scenario)
    dice = found.seed if seed is None else seed
    again, smaller = run_command(scenario, dice), shrink_command(scenario, dice)
    show(ctx, found, dice, again=again, smaller=smaller, report=report, trace=trace)


def show(
    ctx: click.Context,
    scenario: Scenario,
    seed: int,
    *,
    again: str,
    smaller: str,
    report: str | None,
    trace: bool,
) -> None:
    """Run a world, print what came of it, and end with the exit code for that.

    Args:
        ctx: of the command.
        scenario: what the world is like.
        seed: of all its dice.
        again: the command that has the same run again.
        smaller: the command that shrinks it.
        report: where to write the page.
        trace: whether to print everything that happened.
    """
    from cli.output import print_document
    from cli.render import print_lines, printable
    from cli.running import promised, watched
    from cli.worlds import LINES_SHOWN, document, failure_lines, report_lines
    from simulations.page import page

    invocation = ctx.find_object(Invocation) or Invocation()
    with promised(report) as write:
        outcome = watched(seed, scenario, all_lines=trace)
        if report is not None:
            write(page(outcome, command=again))
    if invocation.output is not Output.TEXT:
        print_document(
            invocation.output, {**document(outcome), "again": again, **({"trace": outcome.lines} if trace else {})}
        )
    else:
        print_lines(map(printable, outcome.lines if trace else ()))
        print_lines(report_lines(outcome))
        if outcome.failure:
            print_lines(["", *failure_lines(outcome, lines=0 if trace else LINES_SHOWN)])
            print_lines(["", f"again:   {again}", f"smaller: {smaller}"])
    ctx.exit(1 if outcome.failure else 0)

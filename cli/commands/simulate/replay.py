"""`crdtgraph simulate replay`: the world of one seed again."""

from __future__ import annotations

import click

from cli.commands.simulate.run import REPORT_HELP, TRACE_HELP, show
from cli.context import examples, output_option


@click.command(
    "replay",
    epilog=examples(
        "crdtgraph simulate replay 5",
        "crdtgraph simulate replay 5 --trace",
        "crdtgraph simulate replay 5 --report seed5.html -o json",
    ),
)
@click.argument("seed", type=click.IntRange(min=0), metavar="SEED")
@click.option("--report", metavar="FILE", help=REPORT_HELP)
@click.option("--trace", is_flag=True, help=TRACE_HELP)
@output_option
@click.pass_context
def command(ctx: click.Context, seed: int, report: str | None, trace: bool) -> None:
    """Run the world that fuzzing draws from SEED, and say what came of it.

    Exit code 0 if all rules held, 1 if one was broken.
    """
    from cli.worlds import replay_command, shrink_command
    from simulations.swarm import draw

    again, smaller = replay_command(seed), shrink_command(str(seed))
    show(ctx, draw(seed), seed, again=again, smaller=smaller, report=report, trace=trace)

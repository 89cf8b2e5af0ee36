"""`crdtgraph simulate`: whole clusters under virtual networks, clocks and disks, repeatable from a seed."""

from __future__ import annotations

import click

from cli.context import examples
from cli.tables import CommandTable, Table

COMMANDS: Table = {
    "run": ("run", "Run a scenario."),
    "fuzz": ("fuzz", "Run the worlds of many seeds until one fails."),
    "replay": ("replay", "Run the world of one seed."),
    "shrink": ("shrink", "Make a failing world as small as it goes."),
    "mutants": ("mutants", "Plant known bugs and see that each is caught."),
    "list": ("listing", "List the scenarios that come with the program."),
}


@click.group(
    "simulate",
    cls=CommandTable,
    package=__name__,
    table=COMMANDS,
    epilog=examples(
        "crdtgraph simulate list", "crdtgraph simulate run clean-split", "crdtgraph simulate fuzz --count 3"
    )
    + """

\b
Exit codes: 0 all passed, 1 a rule was broken, 2 usage, 3 no such scenario, 130 interrupted.""",
)
def command() -> None:
    """Run whole clusters of the real node in one process: virtual network, clocks and disks, faults on a timeline.

    Everything follows from a scenario and a seed, so every run can be had again. A world lives for a while under
    faults; then all is mended, and all machines have to agree within a bound. Rules are checked all along.
    """

"""`crdtgraph merge-policy`: how merges treat paths that both sides changed."""

from __future__ import annotations

import click

from cli.context import examples
from cli.tables import CommandTable, Table

COMMANDS: Table = {
    "set": ("set", "Keep a policy for the paths of a pattern."),
    "ls": ("ls", "List the policies, the most specific pattern first."),
    "rm": ("rm", "Remove a policy."),
}


@click.group(
    "merge-policy",
    cls=CommandTable,
    package=__name__,
    table=COMMANDS,
    epilog=examples("crdtgraph merge-policy set 'scores/*' max", "crdtgraph merge-policy ls"),
)
def command() -> None:
    """How merges treat paths that both sides changed differently: max, sum, set-union, text and others.

    The policies are kept in the graph itself, so they reach all replicas, and these make the same merges. A path has
    the policy of the most specific pattern that it fits. See docs/merging.md.
    """

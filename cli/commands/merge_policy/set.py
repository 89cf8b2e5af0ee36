"""`crdtgraph merge-policy set`: keep a policy for the paths of a pattern."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, Output, examples, graph_options

POLICIES = ("conflict", "ours", "theirs", "latest", "max", "min", "sum", "set-union", "text")
"""As `crdtgraph.MergePolicy` has them (a test compares): help is not to wait for the library."""


@click.command(
    "set",
    epilog=examples(
        "crdtgraph merge-policy set 'scores/*' max",
        "crdtgraph merge-policy set 'notes/**' text",
        "crdtgraph merge-policy set tags set-union",
    ),
)
@click.argument("pattern", metavar="PATTERN")
@click.argument("policy", metavar="POLICY", type=click.Choice(POLICIES))
@graph_options
@click.pass_obj
def command(invocation: Invocation, pattern: str, policy: str) -> None:
    """Keep a policy for the paths of a pattern, for all replicas.

    POLICY is conflict, ours, theirs, latest (by the time of the commit that set the path), max, min, sum (of decimal
    numbers), set-union (of lines) or text (merged line by line). In a PATTERN * and ? stand for anything but "/", **
    for anything, [a-z] for one of these.
    """
    from cli.output import print_document
    from cli.render import print_lines, printable

    with invocation.open(Access.WRITE) as backend:
        backend.call("merge_policy_set", pattern=pattern, policy=policy)
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, {"pattern": pattern, "policy": policy})
    else:
        print_lines([f"{printable(pattern)} is merged by {policy}"])

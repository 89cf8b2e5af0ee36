"""`crdtgraph merge-policy rm`: remove a policy."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, Output, examples, graph_options


@click.command("rm", epilog=examples("crdtgraph merge-policy rm 'notes/**'"))
@click.argument("pattern", metavar="PATTERN")
@graph_options
@click.pass_obj
def command(invocation: Invocation, pattern: str) -> None:
    """Remove the policy of a pattern, on all replicas."""
    from cli.output import print_document
    from cli.render import print_lines, printable

    with invocation.open(Access.WRITE) as backend:
        backend.call("merge_policy_set", pattern=pattern, policy=None)
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, {"pattern": pattern})
    else:
        print_lines([f"{printable(pattern)} has no policy any more"])

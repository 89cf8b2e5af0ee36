"""`crdtgraph merge-policy ls`: the policies that the graph holds."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, Output, examples, reading_options

COLUMNS = ("pattern", "policy")


@click.command("ls", epilog=examples("crdtgraph merge-policy ls", "crdtgraph merge-policy ls -o csv"))
@reading_options
@click.pass_obj
def command(invocation: Invocation) -> None:
    """List the policies. A path has the first one whose pattern it fits; without any it is in conflict."""
    from cli.answers import list_of, of
    from cli.output import print_documents
    from cli.render import print_lines, printable, table

    with invocation.open(Access.READ) as backend:
        rows = [[of(str, each) for each in list_of(row)] for row in list_of(backend.call("merge_policies"))]
    if invocation.output is not Output.TEXT:
        print_documents(invocation.output, [dict(zip(COLUMNS, row, strict=True)) for row in rows], COLUMNS)
    elif rows:
        print_lines(table([["PATTERN", "POLICY"], *([printable(pattern), policy] for pattern, policy in rows)]))

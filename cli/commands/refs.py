"""`crdtgraph refs`: where the refs point."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, Output, examples, reading_options

COLUMNS = ("name", "target", "targets", "conflicted")


@click.command("refs", epilog=examples("crdtgraph refs", "crdtgraph refs -o json"))
@reading_options
@click.pass_obj
def command(invocation: Invocation) -> None:
    """List refs by name. A ref in conflict has several targets; the first one is what readers get."""
    from cli.answers import refs_of
    from cli.output import print_documents
    from cli.render import paint, print_lines, printable, table
    from cli.views import ref_document, short

    with invocation.open(Access.READ) as backend:
        refs = refs_of(backend.call("refs"))
    if invocation.output is not Output.TEXT:
        print_documents(invocation.output, map(ref_document, refs), COLUMNS)
        return
    rows = []
    for ref in refs:
        others = ", ".join(short(target) for target in ref.targets[1:])
        mark = paint(f"conflict, also at {others}", "conflict") if others else ""
        rows.append([short(ref.targets[0]), printable(ref.name), mark])
    print_lines(table(rows))

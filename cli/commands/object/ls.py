"""`crdtgraph object ls`: the large values of a replica."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, Output, examples, graph_options

COLUMNS = ("id", "size", "here")


@click.command("ls", epilog=examples("crdtgraph object ls", "crdtgraph object ls -o csv"))
@graph_options
@click.pass_obj
def command(invocation: Invocation) -> None:
    """List objects by id with their sizes: first those that are here, then those that are to be fetched."""
    from cli.answers import list_of, of
    from cli.output import print_documents
    from cli.render import paint, print_lines

    with invocation.open(Access.READ) as backend:
        rows = (list_of(row) for part in backend.stream("object_list") for row in list_of(part))
        listed = ((of(bytes, name).hex(), of(int, size), of(bool, here)) for name, size, here in rows)
        if invocation.output is not Output.TEXT:
            documents = (dict(zip(COLUMNS, row, strict=True)) for row in listed)
            print_documents(invocation.output, documents, COLUMNS)
        else:
            missing = "  " + paint("missing", "conflict")
            print_lines(f"{name}  {size:>14} bytes{'' if here else missing}" for name, size, here in listed)

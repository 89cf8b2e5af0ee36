"""`crdtgraph object gc`: remove large values that no live commit names."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, Output, examples, graph_options


@click.command("gc", epilog=examples("crdtgraph object gc", "crdtgraph object gc --dry-run -o json"))
@click.option("--dry-run", is_flag=True, help="Remove nothing, only say what would be.")
@graph_options
@click.pass_obj
def command(invocation: Invocation, dry_run: bool) -> None:
    """Remove objects that no live commit names, and parts of objects that were never finished.

    What the process that has the store open put lately stays until a later time: it may still be named.
    """
    from cli.answers import of, table_of
    from cli.output import print_document
    from cli.render import print_lines
    from cli.units import size

    with invocation.open(Access.READ if dry_run else Access.WRITE) as backend:
        [answer] = [table_of(part) for part in backend.stream("object_gc", dry_run=dry_run) if part is not None]
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, {**answer, "dry_run": dry_run})
        return
    counts = {name: of(int, value) for name, value in answer.items()}
    verb = "would remove" if dry_run else "removed"
    print_lines(
        [
            f"{verb} {counts['objects']} objects and {counts['blocks']} blocks ({size(counts['bytes'])})",
            f"{counts['kept_objects']} objects stay, {counts['missing']} are missing",
        ]
    )

"""`crdtgraph branch rm`: remove a branch without merging it."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, Output, complete_ref, examples, graph_options


@click.command("rm", epilog=examples("crdtgraph branch rm side --force"))
@click.argument("branch", shell_complete=complete_ref, metavar="BRANCH")
@click.option("--into", default="main", metavar="REF", help="What has to have all of it (default: main).")
@click.option("--force", is_flag=True, help="Also if it has commits that main does not have.")
@graph_options
@click.pass_obj
def command(invocation: Invocation, branch: str, into: str, force: bool) -> None:
    """Remove the ref of a branch that is merged. Its commits stay in the graph, by their ids, also with --force."""
    from cli.answers import of
    from cli.output import print_document
    from cli.render import print_lines, printable

    with invocation.open(Access.WRITE) as backend:
        ahead = of(int, backend.call("branch_remove", name=branch, into=into, force=force))
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, {"branch": branch, "ahead": ahead})
    else:
        print_lines([f"removed {printable(branch)}"])

"""`crdtgraph log`: commits, newest first."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, examples, reading_options


@click.command(
    "log",
    epilog=examples("crdtgraph log -n 20", "crdtgraph log main side", "crdtgraph log -n 1 main -o json"),
)
@click.argument("revs", metavar="[REV]...", nargs=-1)
@click.option("-n", "--max-count", "limit", type=click.IntRange(min=0), metavar="N", help="At most N commits.")
@reading_options
@click.pass_obj
def command(invocation: Invocation, revs: tuple[str, ...], limit: int | None) -> None:
    """List the commits that the REVs reach (default: all), children before parents.

    Commits are ordered by falling generation, then time, then id, which is the same on every replica.
    """
    from cli.answers import commits_of, refs_of
    from cli.render import print_json_list, print_lines
    from cli.views import commit_document, commit_line, labels_of

    with invocation.open(Access.READ) as backend:
        labels = labels_of(refs_of(backend.call("refs")))
        parts = backend.stream("log", revs=list(revs) or None, limit=limit)
        commits = (known for part in parts for known in commits_of(part))
        if invocation.json:
            print_json_list(commit_document(known, labels) for known in commits)
        else:
            print_lines(commit_line(known, labels) for known in commits)

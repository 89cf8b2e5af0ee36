"""`crdtgraph show`: one commit with all there is to it."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, examples, reading_options


@click.command("show", epilog=examples("crdtgraph show main", "crdtgraph show main -o json"))
@click.argument("rev", metavar="REV")
@reading_options
@click.pass_obj
def command(invocation: Invocation, rev: str) -> None:
    """Show a commit: parents, author, message, changed paths, the refs that point at it."""
    from cli.answers import commits_of, refs_of
    from cli.render import print_json, print_lines
    from cli.views import commit_document, commit_page, labels_of

    with invocation.open(Access.READ) as backend:
        [known] = [each for part in backend.stream("show", revs=[rev]) for each in commits_of(part)]
        labels = labels_of(refs_of(backend.call("refs")))
    if invocation.json:
        print_json(commit_document(known, labels))
    else:
        print_lines(commit_page(known, labels))

"""`crdtgraph log`: commits, newest first, or drawn with their lines."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

import click

from cli.context import Access, Backend, Invocation, Output, examples, reading_options

if TYPE_CHECKING:
    from cli.answers import KnownCommit
    from cli.views import Labels

COLUMNS = ("id", "parents", "author", "time", "message", "origin", "refs", "changes")
GRAPH_COLUMNS = ("id", "parents", "indirect", "cut_off", "author", "time", "subject", "refs", "live", "counters")

LEGEND = """\b
In a drawing:
  ○ a commit   ⊘ a discarded one   ◇ one that a ref in conflict points at
  │ a line to a parent   ┊ a line that leads through commits which are not shown
  ─│─ passes under a line   ~ parents that are not shown

"""


@click.command(
    "log",
    epilog=LEGEND
    + examples(
        "crdtgraph log -n 20",
        "crdtgraph log main side",
        "crdtgraph log --graph",
        "crdtgraph log --graph 'main | side' -n 50",
        'crdtgraph log \'since("2h") & author("w3")\'',
        "crdtgraph log -n 1 main -o json",
    ),
)
@click.argument("revs", metavar="[REVSET]...", nargs=-1)
@click.option("-n", "--max-count", "limit", type=click.IntRange(min=0), metavar="N", help="At most N commits.")
@click.option("--graph", is_flag=True, help="Draw the lines from commits to their parents.")
@click.option("--all", "every", is_flag=True, help="All commits, whatever else is named.")
@click.option("--plane", default="ledger", metavar="NAME", help="The plane to look into (default: ledger).")
@click.option("--ascii", "plain", is_flag=True, help="Draw with ASCII characters, as where the terminal has no others.")
@click.option("--no-pager", is_flag=True, help="Print at once also on a terminal, not through $PAGER.")
@reading_options
@click.pass_obj
def command(
    invocation: Invocation,
    revs: tuple[str, ...],
    limit: int | None,
    graph: bool,
    every: bool,
    plane: str,
    plain: bool,
    no_pager: bool,
) -> None:
    """List the commits that the REVSETs select (default: all), the newest first, children before parents.

    A name alone stands for that commit and all its ancestors. Times are corrected so that no child is older than its
    parent, and the order is the same on every replica. With --graph one line of history stands together, as in
    `git log --graph`.

    In colour, the digits of an id that are unique stand out. Of counted commits the visits and the mean value are
    shown (counters are visits, then the sum of values in millionths).
    """
    from cli.pager import paged

    # A listing makes no cycles, and the collector would look through the whole graph again and again.
    gc.disable()
    chosen = None if every or not revs else list(revs)
    try:
        with invocation.open(Access.READ) as backend:
            if invocation.output is not Output.TEXT:
                _print_documents(invocation.output, backend, chosen, limit, plane, graph=graph)
                return
            with paged(wanted=not no_pager):
                if graph:
                    from cli.drawing.log import print_drawing

                    print_drawing(backend, chosen, limit, plane, plain=plain)
                else:
                    _print_lines(backend, chosen, limit, plane)
    finally:
        gc.enable()


def _print_lines(backend: Backend, revs: list[str] | None, limit: int | None, plane: str) -> None:
    from cli.render import print_lines
    from cli.views import commit_line

    labels, commits = _commits(backend, revs, limit, plane)
    print_lines(commit_line(known, labels) for known in commits)


def _print_documents(
    output: Output, backend: Backend, revs: list[str] | None, limit: int | None, plane: str, *, graph: bool
) -> None:
    from cli.output import print_documents
    from cli.views import commit_document

    if graph:
        from cli.drawing.log import documents

        print_documents(output, documents(backend, revs, limit, plane), GRAPH_COLUMNS)
        return
    labels, commits = _commits(backend, revs, limit, plane)
    print_documents(output, (commit_document(known, labels) for known in commits), COLUMNS)


def _commits(
    backend: Backend, revs: list[str] | None, limit: int | None, plane: str
) -> tuple[Labels, Iterator[KnownCommit]]:
    from cli.answers import commits_of, refs_of
    from cli.views import labels_of

    labels = labels_of(refs_of(backend.call("refs")))
    asked: list[str] | None = revs
    parts = backend.stream("log", revs=None if asked is None else [*asked], limit=limit, plane=plane)
    return labels, chain.from_iterable(map(commits_of, parts))

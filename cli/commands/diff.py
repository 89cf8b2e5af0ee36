"""`crdtgraph diff`: what changed between the states at two commits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from cli.context import Access, Invocation, Output, examples, reading_options

if TYPE_CHECKING:
    from crdtgraph.state import PathChange

COLUMNS = ("path", "status", "added_lines", "removed_lines", "before", "after")
BAR_WIDTH = 40


@click.command(
    "diff",
    epilog=examples(
        "crdtgraph diff side main",
        "crdtgraph diff side..main --stat",
        "crdtgraph diff main --name-only",
        "crdtgraph diff side main board -o json",
    ),
)
@click.argument("a", metavar="A")
@click.argument("b", metavar="[B]", required=False)
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--stat", is_flag=True, help="Only count the lines that changed in each path.")
@click.option("--name-only", is_flag=True, help="Only list the paths.")
@click.option(
    "-U",
    "--unified",
    "context",
    type=click.IntRange(min=0),
    default=3,
    metavar="N",
    help="Lines of context around each change (default: 3).",
)
@reading_options
@click.pass_context
def command(
    ctx: click.Context, a: str, b: str | None, paths: tuple[str, ...], stat: bool, name_only: bool, context: int
) -> None:
    """Show what turns the state at A into the state at B; of a single commit, what it changed against its first parent.

    A..B is the same as A B. A PATH limits the answer to that path and what is below it. Texts are shown as a unified
    diff that `patch` and `git apply` read, everything else as `Binary files differ`. Exit code 0 if the states are
    equal, 1 if not.
    """
    from cli.answers import path_changes_of
    from cli.output import print_documents
    from cli.render import print_lines

    if stat and name_only:
        raise click.UsageError("--stat and --name-only exclude each other")
    invocation = ctx.find_object(Invocation) or Invocation()
    if b is None and ".." in a:
        a, _, b = a.partition("..")
    before, after = (None, a) if b is None else (a, b)
    with invocation.open(Access.READ) as backend:
        parts = backend.stream("diff", before=before, after=after)
        changes = [change for part in parts for change in path_changes_of(part) if _is_wanted(change.path, paths)]
    if invocation.output is not Output.TEXT:
        print_documents(invocation.output, map(_document, changes), COLUMNS)
    elif name_only:
        print_lines(_names(changes))
    elif stat:
        print_lines(_stat(changes))
    else:
        print_lines(_patch(changes, context))
    ctx.exit(1 if changes else 0)


def _is_wanted(path: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or any(path == each or path.startswith(each.rstrip("/") + "/") for each in wanted)


def _names(changes: Iterable[PathChange]) -> Iterator[str]:
    from cli.render import printable

    return (printable(change.path) for change in changes)


def _patch(changes: Iterable[PathChange], context: int) -> Iterator[str]:
    from cli.patches import patch_lines

    for change in changes:
        yield from patch_lines(change, context)


def _stat(changes: list[PathChange]) -> Iterator[str]:
    from cli.patches import line_counts
    from cli.render import paint, printable

    rows = [(printable(change.path), line_counts(change), change) for change in changes]
    width = max((len(name) for name, _, _ in rows), default=0)
    counted = [counts for _, counts, _ in rows if counts is not None]
    most = max((sum(counts) for counts in counted), default=0)
    digits = len(str(most))
    for name, counts, change in rows:
        if counts is None:
            yield f" {name:{width}} | {_sizes(change)}"
        else:
            scale = min(1.0, BAR_WIDTH / most) if most else 0.0
            plus, minus = (-(-count * scale // 1) for count in counts)
            bar = paint("+" * int(plus), "added") + paint("-" * int(minus), "removed")
            yield f" {name:{width}} | {sum(counts):{digits}} {bar}".rstrip()
    if rows:
        added, removed = (sum(counts[side] for counts in counted) for side in (0, 1))
        yield f" {len(rows)} {'path' if len(rows) == 1 else 'paths'} changed, {added} lines added, {removed} removed"


def _sizes(change: PathChange) -> str:
    from cli.views import value_text

    texts = ["nothing" if value is None else value_text(value) for value in (change.before, change.after)]
    return " -> ".join(texts)


def _document(change: PathChange) -> dict[str, object]:
    from cli.patches import line_counts, status_of
    from cli.views import value_document

    counts = line_counts(change)
    return {
        "path": change.path,
        "status": status_of(change),
        "added_lines": None if counts is None else counts[0],
        "removed_lines": None if counts is None else counts[1],
        "before": None if change.before is None else value_document(change.before),
        "after": None if change.after is None else value_document(change.after),
    }

"""`crdtgraph merge`: merge the targets of a conflicted ref."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cli.context import Access, Invocation, Output, complete_ref, examples, graph_options

if TYPE_CHECKING:
    from cli.answers import Conflict
    from crdtgraph.ids import CommitId


@click.command("merge", epilog=examples("crdtgraph merge main --dry-run", "crdtgraph merge main"))
@click.argument("ref", shell_complete=complete_ref, metavar="REF")
@click.option("--dry-run", is_flag=True, help="Show what would be merged, and change nothing.")
@graph_options
@click.pass_obj
def command(invocation: Invocation, ref: str, dry_run: bool) -> None:
    """Merge the targets of a conflicted ref into one commit and point the ref at it.

    The merge follows from its parents alone: every replica that merges them makes the same commit. Where both
    sides changed a path differently the winner's value stands, and the path is listed.
    """
    from cli.answers import conflicts_of, ids_of, of, table_of
    from cli.output import print_document
    from cli.render import print_lines
    from cli.views import value_document
    from crdtgraph.ids import CommitId

    with invocation.open(Access.READ if dry_run else Access.WRITE) as backend:
        answer = table_of(backend.call("merge", ref=ref, preview=dry_run, durability="critical"))
    commit, parents = CommitId(of(bytes, answer["commit"])), ids_of(answer["parents"])
    conflicts = conflicts_of(answer["conflicts"])
    merged = of(bool, answer["merged"])
    if invocation.output is not Output.TEXT:
        print_document(
            invocation.output,
            {
                "ref": ref,
                "commit": commit,
                "parents": parents,
                "merged": merged,
                "conflicts": [
                    {
                        "path": each.path,
                        "base": value_document(each.base),
                        "ours": value_document(each.ours),
                        "theirs": value_document(each.theirs),
                    }
                    for each in conflicts
                ],
            },
        )
    else:
        print_lines(_lines(ref, commit, parents, conflicts, merged=merged, dry_run=dry_run))


def _lines(
    ref: str,
    commit: CommitId,
    parents: tuple[CommitId, ...],
    conflicts: list[Conflict],
    *,
    merged: bool,
    dry_run: bool,
) -> Iterator[str]:
    from cli.render import printable
    from cli.views import short, value_text

    name = printable(ref)
    if not merged:
        yield f"{name} is not in conflict; it is at {commit.hex()}"
        return
    verb = "would merge" if dry_run else "merged"
    yield f"{verb} {', '.join(short(parent) for parent in parents)}"
    yield f"{name} {'would be' if dry_run else 'is now'} at {commit.hex()}"
    if conflicts:
        yield f"{len(conflicts)} paths in conflict, the first value of each stands:"
    for each in conflicts:
        yield (
            f"  {printable(each.path)}: {value_text(each.ours)}, against {value_text(each.theirs)}"
            f" (base: {value_text(each.base)})"
        )

"""`crdtgraph merge`: merge the targets of a conflicted ref."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cli.context import Access, Invocation, Output, complete_ref, examples, graph_options

if TYPE_CHECKING:
    from sync.protocol.calls import Plain

policy_option = click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="PATTERN=POLICY",
    help="How paths that both sides changed are merged, instead of as crdtgraph merge-policy says. Repeatable.",
)
"""For `chosen_policies`."""


@click.command(
    "merge",
    epilog=examples(
        "crdtgraph merge main --dry-run",
        "crdtgraph merge main",
        "crdtgraph merge main --policy 'scores/*=max' --policy 'notes/**=text'",
    ),
)
@click.argument("ref", shell_complete=complete_ref, metavar="REF")
@click.option("--dry-run", is_flag=True, help="Show what would be merged, and change nothing.")
@policy_option
@graph_options
@click.pass_obj
def command(invocation: Invocation, ref: str, dry_run: bool, policies: tuple[str, ...]) -> None:
    """Merge the targets of a conflicted ref into one commit and point the ref at it.

    Where both sides changed a path differently its policy decides: --policy, or without any those that
    crdtgraph merge-policy keeps in the graph. Without a policy the winner's value stands, and the path is listed.
    The merge follows from its parents and the policies: every replica that merges them so makes the same commit.
    """
    from cli.answers import table_of
    from cli.output import print_document
    from cli.render import print_lines

    with invocation.open(Access.READ if dry_run else Access.WRITE) as backend:
        chosen = chosen_policies(policies)
        answer = table_of(backend.call("merge", ref=ref, preview=dry_run, durability="critical", policies=chosen))
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, merge_document(ref, answer))
    else:
        print_lines(merge_lines(ref, answer, dry_run=dry_run))


def merge_document(ref: str, answer: dict[str, Plain]) -> dict[str, object]:
    """What merging into a ref came to, for programs."""
    from cli.answers import conflicts_of, ids_of, of, settled_of
    from cli.views import value_document

    return {
        "ref": ref,
        "commit": of(bytes, answer["commit"]),
        "parents": ids_of(answer["parents"]),
        "merged": of(bool, answer["merged"]),
        "conflicts": [
            {
                "path": each.path,
                "base": value_document(each.base),
                "ours": value_document(each.ours),
                "theirs": value_document(each.theirs),
            }
            for each in conflicts_of(answer["conflicts"])
        ],
        "settled": [
            {"path": each.path, "policy": each.policy, "value": value_document(each.value)}
            for each in settled_of(answer["settled"])
        ],
    }


def chosen_policies(policies: tuple[str, ...]) -> dict[str, Plain] | None:
    """The policies of the command line by pattern; None if there are none."""
    chosen: dict[str, Plain] = {}
    for each in policies:
        # The last sign separates: a path may hold others, the name of a policy none.
        pattern, sign, policy = each.rpartition("=")
        if not sign or not pattern or pattern in chosen:
            reason = "was given before" if pattern in chosen else "is not PATTERN=POLICY, such as 'scores/*=max'"
            raise click.UsageError(f"--policy {each!r} {reason}")
        chosen[pattern] = policy
    return chosen or None


def merge_lines(ref: str, answer: dict[str, Plain], *, dry_run: bool) -> Iterator[str]:
    """The same for people."""
    from cli.answers import conflicts_of, ids_of, of, settled_of
    from cli.render import printable
    from cli.views import short, value_text

    commit, parents = of(bytes, answer["commit"]), ids_of(answer["parents"])
    conflicts, settled = conflicts_of(answer["conflicts"]), settled_of(answer["settled"])
    name = printable(ref)
    if not of(bool, answer["merged"]):
        yield f"{name} is not in conflict; it is at {commit.hex()}"
        return
    verb = "would merge" if dry_run else "merged"
    yield f"{verb} {', '.join(short(parent) for parent in parents)}"
    yield f"{name} {'would be' if dry_run else 'is now'} at {commit.hex()}"
    if settled:
        yield f"{len(settled)} paths merged by policy:"
    for path in settled:
        yield f"  {printable(path.path)}: {value_text(path.value)}, by {path.policy}"
    if conflicts:
        yield f"{len(conflicts)} paths in conflict, the first value of each stands:"
    for each in conflicts:
        yield (
            f"  {printable(each.path)}: {value_text(each.ours)}, against {value_text(each.theirs)}"
            f" (base: {value_text(each.base)})"
        )

"""`crdtgraph branch merge`: merge a branch into main, and remove it."""

from __future__ import annotations

import click

from cli.commands.merge import chosen_policies, merge_document, merge_lines, policy_option
from cli.context import Access, Invocation, Output, complete_ref, examples, graph_options


@click.command("merge", epilog=examples("crdtgraph branch merge side", "crdtgraph branch merge side --keep"))
@click.argument("branch", shell_complete=complete_ref, metavar="BRANCH")
@click.option(
    "--into", default="main", metavar="REF", shell_complete=complete_ref, help="Where it is merged (default: main)."
)
@policy_option
@click.option("--take-winner", is_flag=True, help="Merge also where paths are in conflict: the winner's value stands.")
@click.option("--keep", is_flag=True, help="Leave the branch's ref; it is removed otherwise.")
@graph_options
@click.pass_obj
def command(
    invocation: Invocation, branch: str, into: str, policies: tuple[str, ...], take_winner: bool, keep: bool
) -> None:
    """Merge a branch into main: main moves ahead, or a merge commit is made. Then the branch's ref is removed.

    If both sides changed a path and no policy decides, the paths are named, nothing is changed, and the branch stays.
    """
    from cli.answers import conflicts_of, of, table_of
    from cli.output import print_document
    from cli.render import print_lines, printable
    from crdtgraph.errors import LocalError, first_few

    if branch == into:
        raise click.UsageError(f"branch {branch!r} cannot be merged into itself")
    with invocation.open(Access.WRITE) as backend:
        answer = table_of(
            backend.call(
                "branch_merge",
                branch=branch,
                into=into,
                policies=chosen_policies(policies),
                on_conflict="winner" if take_winner else "leave",
                remove=not keep,
            )
        )
    paths = [each.path for each in conflicts_of(answer["conflicts"])]
    if paths and not of(bool, answer["merged"]):
        raise LocalError(
            f"not merged into {into!r}: both sides changed {first_few(paths, repr)}",
            hint="say how: --policy PATTERN=POLICY, or let the winner's value stand: --take-winner",
        )
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, merge_document(into, answer) | {"branch": branch, "removed": not keep})
    elif of(bool, answer["merged"]):
        print_lines(merge_lines(into, answer, dry_run=False))
    else:
        print_lines([f"{printable(into)} has all of {printable(branch)}; it is at {of(bytes, answer['commit']).hex()}"])

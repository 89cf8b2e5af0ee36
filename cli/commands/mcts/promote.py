"""`crdtgraph mcts promote`: keep the best line of a tree that is being searched."""

from __future__ import annotations

import click

from cli.context import Invocation, Output, complete_ref, examples, graph_options


@click.command("promote", epilog=examples("crdtgraph mcts promote nim.py:Nim --ref best"))
@click.argument("search", metavar="SEARCH")
@click.argument("commit", required=False, metavar="[COMMIT]")
@click.option("--ref", metavar="REF", shell_complete=complete_ref, help="Point this ref at it.")
@click.option("--force", is_flag=True, help="Also if the ref is elsewhere.")
@graph_options
@click.pass_obj
def command(invocation: Invocation, search: str, commit: str | None, ref: str | None, force: bool) -> None:
    """Copy a node of the tree in SEARCH, by default the end of the best line, and all above it to the ledger.

    What was counted of them goes along, so crdtgraph mcts run --resume can go on from there. The search itself goes on.
    """
    from cli.answers import ids_of, list_of, of, table_of
    from cli.output import print_document
    from cli.render import one_line, print_lines, printable

    with invocation.open_required_node() as backend:
        answer = table_of(backend.call("mcts_promote", search=search, commit=commit, ref=ref, force=force))
    kept, line = of(bytes, answer["commit"]), ids_of(answer["line"])
    actions = [of(str, each) for each in list_of(answer["actions"])]
    if invocation.output is not Output.TEXT:
        print_document(
            invocation.output, {"search": search, "commit": kept, "line": line, "actions": actions, "ref": ref}
        )
        return
    print_lines([f"promoted {kept.hex()}: {' '.join(map(one_line, actions)) or 'the root'}"])
    if ref is not None:
        print_lines([f"{printable(ref)} is now there"])

"""`crdtgraph mcts tree`: the top of a tree that is being searched."""

from __future__ import annotations

import click

from cli.context import Invocation, Output, examples, graph_options


@click.command(
    "tree",
    epilog=examples("crdtgraph mcts tree nim.py:Nim", "crdtgraph mcts tree nim.py:Nim --depth 3 --width 2 -o json"),
)
@click.argument("search", metavar="SEARCH")
@click.option("--depth", type=click.IntRange(0, 100), default=2, metavar="N", help="How deep to look (default: 2).")
@click.option(
    "--width",
    type=click.IntRange(1, 10_000),
    default=8,
    metavar="N",
    help="Of each node's children the first (default: 8).",
)
@click.option("--root", metavar="COMMIT", help="Begin at this commit of the tree, by the first digits of its id.")
@graph_options
@click.pass_obj
def command(invocation: Invocation, search: str, depth: int, width: int, root: str | None) -> None:
    """Show the top of the tree in SEARCH, as a running node has it; mcts run is one, and so are its peers.

    VISITS is how often an action was chosen, VALUE the mean for who chose it, and behind an action stands how many
    children it has. WRITERS are the replicas that have counted visits here, and their shares. A position that several
    lines lead to stands in each, with what was counted on that way.
    """
    from cli.mcts.report import tree_document, tree_lines
    from cli.output import print_document
    from cli.render import print_lines

    with invocation.open_required_node() as backend:
        answer = backend.call("mcts_tree", search=search, depth=depth, width=width, at=root)
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, tree_document(answer))
    else:
        print_lines(tree_lines(answer))

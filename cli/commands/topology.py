"""`crdtgraph topology`: who is linked to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.cluster.asking import places_argument, timeout_option
from cli.context import Invocation, Output, examples, graph_options

if TYPE_CHECKING:
    from cli.cluster.topology import Pair, Topology

LINK_COLUMNS = ("one", "one_name", "one_says", "other", "other_name", "other_says", "state", "rtt_s", "failure")


@click.command(
    "topology", epilog=examples("crdtgraph topology", "crdtgraph topology --dot", "crdtgraph topology -o json")
)
@click.option("--dot", "as_dot", is_flag=True, help="Print a graph for Graphviz: crdtgraph topology --dot | dot -Tsvg")
@timeout_option
@places_argument
@graph_options
@click.pass_obj
def command(invocation: Invocation, places: tuple[str, ...], timeout_s: float, as_dot: bool) -> None:
    """Show all members of the cluster and their links, as both ends of each link see it.

    A link is open when both ends say so, one-sided when only one does, blocked when the operator of either end forbids
    it, and down when it is wanted and not there. Exit code 1 says that members which are up cannot reach each other,
    or that a link is one-sided.

    PLACE is a node to ask instead of that of the command line; several of them show both sides of a split.
    """
    from cli.cluster.asking import ask
    from cli.cluster.picture import dot, lines
    from cli.cluster.topology import topology_of
    from cli.output import print_document, print_documents
    from cli.render import paint, print_lines

    cluster = ask(invocation, places, timeout_s)
    topology = topology_of(cluster)
    if as_dot:
        print_lines(dot(cluster, topology))
    elif invocation.output is Output.TEXT:
        print_lines(lines(cluster, topology, paint))
    elif invocation.output is Output.JSON:
        print_document(invocation.output, _document(topology))
    else:
        print_documents(invocation.output, map(_link_document, topology.pairs), LINK_COLUMNS)
    if not topology.is_whole:
        click.get_current_context().exit(1)


def _document(topology: Topology) -> dict[str, object]:
    return {
        "whole": topology.is_whole,
        "parts": [[member.card.replica for member in part] for part in topology.parts],
        "links": [_link_document(pair) for pair in topology.pairs],
    }


def _link_document(pair: Pair) -> dict[str, object]:
    return {
        "one": pair.one.card.replica,
        "one_name": pair.one.card.name,
        "one_says": pair.one_says,
        "other": pair.other.card.replica,
        "other_name": pair.other.card.name,
        "other_says": pair.other_says,
        "state": pair.state.value,
        "rtt_s": None if pair.rtt_us is None else pair.rtt_us / 1e6,
        "failure": pair.failure,
    }

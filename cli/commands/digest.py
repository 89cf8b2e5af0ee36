"""`crdtgraph digest`: 32 bytes that say what a replica holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cli.cluster.asking import cluster_options, no_places
from cli.context import Access, Invocation, Output, examples, reading_options

if TYPE_CHECKING:
    from cli.cluster.members import Cluster

COLUMNS = ("NODE", "NAME", "STATE", "PLANE", "COMMITS", "SET DIGEST", "DIGEST")
DIGITS = 16
"""Of digests in the table."""


@click.command(
    "digest",
    epilog=examples("crdtgraph digest", "crdtgraph digest -o json", "crdtgraph digest --cluster"),
)
@cluster_options
@reading_options
@click.pass_obj
def command(invocation: Invocation, whole: bool, places: tuple[str, ...], timeout_s: float) -> None:
    """Print the digest of the graph. Two replicas with the same digest hold the same graph.

    JSON also has the digest of the set of segments, which is what replicas compare first.

    With --cluster a running node is asked for the digests of all members of its cluster, plane by plane; equal ones
    have the same letter, A being the one of most. Exit code 1 says that members which answered differ. PLACE is a node
    to ask; several of them show both sides of a split.
    """
    from cli.output import print_document, print_documents
    from cli.render import print_lines

    if whole:
        from cli.cluster.asking import ask
        from cli.cluster.reports import PLANE_COLUMNS, plane_documents

        cluster = ask(invocation, places, timeout_s)
        if invocation.output is Output.TEXT:
            print_lines(_cluster_lines(cluster))
        else:
            print_documents(invocation.output, plane_documents(cluster), PLANE_COLUMNS)
        if cluster.differing():
            click.get_current_context().exit(1)
        return
    no_places(places)
    from cli.answers import of, table_of

    with invocation.open(Access.READ) as backend:
        answer = table_of(backend.call("digest"))
    if invocation.output is Output.TEXT:
        print_lines([of(bytes, answer["digest"]).hex()])
    else:
        print_document(invocation.output, answer)


def _cluster_lines(cluster: Cluster) -> Iterator[str]:
    from cli.cluster.columns import REPLICA_DIGITS, mark
    from cli.cluster.reports import called, verdict
    from cli.render import one_line, paint, table
    from cli.units import number

    rows: list[tuple[str, ...]] = [COLUMNS]
    for plane in cluster.planes():
        groups = cluster.groups(plane)
        for member in cluster.listed:
            for card in member.card.planes:
                if card.plane == plane:
                    # The last column may be in colour: nothing is aligned after it.
                    shown = f"{groups[card.digest]} {card.digest.hex()[:DIGITS]}"
                    rows.append(
                        (
                            member.id[:REPLICA_DIGITS],
                            called(member) if member.card.name else "-",
                            member.state,
                            one_line(plane),
                            number(card.commits),
                            card.set_digest.hex()[:DIGITS],
                            paint(shown, mark(card.digest)),
                        )
                    )
    yield from table(rows)
    yield ""
    yield from verdict(cluster, paint)

"""`crdtgraph init`: create an empty store."""

from __future__ import annotations

import click

from cli.context import Invocation, Output, examples, graph_options


@click.command(
    "init",
    epilog=examples("crdtgraph init --store search.db", "crdtgraph init --store other.db --cluster lab"),
)
@click.option("--cluster", metavar="NAME", help="Only replicas of one cluster exchange (default: default).")
@graph_options
@click.pass_obj
def command(invocation: Invocation, cluster: str | None) -> None:
    """Create an empty store with a replica of its own.

    Where there is a store already nothing changes; anything else at that place is left alone, and an error.
    """
    import crdtgraph
    from cli.output import print_document
    from cli.render import print_lines

    url = invocation.required_store()
    try:
        crdtgraph.open(url, create=False, read_only=True).close()
        created = False
    except crdtgraph.NotAStoreError:
        created = True
    with crdtgraph.open(url, create=True, cluster=cluster) as graph:
        facts = {"url": graph.url, "replica": graph.replica_id.hex(), "cluster": graph.cluster}
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, {**facts, "created": created})
    else:
        what = "created" if created else "there is one already:"
        print_lines([f"{what} {facts['url']}, replica {facts['replica']} of cluster {facts['cluster']}"])

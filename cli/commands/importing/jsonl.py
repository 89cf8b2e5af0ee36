"""`crdtgraph import jsonl`: the export of a replica, verified and then added."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.context import Access, Backend, Invocation, Output, examples, graph_of, graph_options

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command(
    "jsonl", epilog=examples("crdtgraph import jsonl graph.jsonl", "cat graph.jsonl | crdtgraph import jsonl -")
)
@click.argument("file", metavar="FILE|-")
@graph_options
@click.pass_obj
def command(invocation: Invocation, file: str) -> None:
    """Add what `export jsonl` wrote to FILE, or to standard input.

    The whole file is read and verified before the store is touched: every line, signature and record, and in the end
    the digest. An empty store then has the digest of the original; one that holds anything gets the union of both, as
    if the two had met. What is there already is not added again.
    """
    from cli.delivering import deliver
    from cli.files import input_lines
    from cli.progress import progress_bar
    from cli.render import print_lines
    from crdtgraph.interchange import read_lines
    from crdtgraph.union import unite

    with invocation.open(Access.WRITE) as backend:
        cluster, before, _ = _facts(backend)
        with input_lines(file) as lines, progress_bar("verifying") as show:
            source = read_lines(lines, cluster=cluster, progress=lines.counted(show))
        with source, progress_bar("adding segments") as show:
            graph = graph_of(backend)
            if graph is not None:
                segments = unite(source, graph, progress=show)
            else:
                segments = deliver(source, backend, progress=show)
            _, after, digest = _facts(backend)
            document: dict[str, object] = {
                "file": file,
                "commits_in_file": len(source),
                "commits_added": after - before,
                "segments_added": segments,
                "digest_of_file": source.digest(),
                "digest": digest,
                "equal": source.digest() == digest,
            }
    if invocation.output is not Output.TEXT:
        from cli.output import print_document

        print_document(invocation.output, document)
    else:
        print_lines(_lines(document))


def _facts(backend: Backend) -> tuple[str, int, bytes]:
    """The cluster of a graph, how many commits it has, and its digest."""
    from cli.answers import of, table_of

    graph = table_of(table_of(backend.call("status"))["graph"])
    return of(str, graph["cluster"]), of(int, graph["commits"]), bytes.fromhex(of(str, graph["digest"]))


def _lines(document: dict[str, object]) -> Iterator[str]:
    digest, other = document["digest"], document["digest_of_file"]
    assert isinstance(digest, bytes)
    assert isinstance(other, bytes)
    yield f"imported {document['commits_added']} commits in {document['segments_added']} segments"
    yield f"digest {digest.hex()}"
    yield (
        "as in the file" if document["equal"] else f"the store holds more than the file, whose digest is {other.hex()}"
    )

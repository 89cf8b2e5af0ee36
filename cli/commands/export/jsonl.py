"""`crdtgraph export jsonl`: a whole replica as JSON lines."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, examples, graph_options
from cli.export import file_argument


@click.command(
    "jsonl",
    epilog=examples(
        "crdtgraph export jsonl backup.jsonl",
        "crdtgraph export jsonl | gzip > backup.jsonl.gz",
    ),
)
@file_argument
@graph_options
@click.pass_obj
def command(invocation: Invocation, file: str, force: bool) -> None:
    """Write all that a replica holds to FILE, or to standard output: signed segments, and their records in the clear.

    Nothing is lost: `import jsonl` in an empty store ends on the same digest, and `verify --compare FILE` compares a
    store with the file. docs/interchange.md is the format.
    """
    from cli.copies import graph_in_process
    from cli.export import require_text, summarise
    from cli.files import output_text
    from cli.progress import progress_bar
    from crdtgraph.interchange import export_lines

    require_text(invocation, file)
    with (
        invocation.open(Access.READ) as backend,
        graph_in_process(backend) as graph,
        output_text(file, force=force) as write,
        progress_bar("exporting segments") as show,
    ):
        for line in export_lines(graph, progress=show):
            write(line + "\n")
        facts = {"commits": len(graph), "digest": graph.digest(), "set_digest": graph.set_digest("ledger")}
    summarise(invocation, file, "jsonl", facts)

"""`crdtgraph store restore`: a store made of a backup."""

from __future__ import annotations

import click

from cli.context import Invocation, Output, examples, graph_options


@click.command(
    "restore",
    epilog=examples(
        "crdtgraph store restore graph.backup --store restored.db",
        "crdtgraph store restore graph.backup --store sqlite:restored.sqlite --replace",
    ),
)
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
@click.option("--replace", is_flag=True, help="Stay the same replica: its own store is lost, and never opened again.")
@graph_options
@click.pass_obj
def command(invocation: Invocation, file: str, replace: bool) -> None:
    """Make the store of --store, where there is none yet, of a backup, whatever kind of store that was of.

    It becomes a replica of its own, with a new key, as the one that was backed up may still be at work. All that it
    said stays valid. With --replace it keeps the key: for a machine that lost its disk. Either way nothing is written
    under a number that was used before, and what was acknowledged after the backup comes back from the peers that have
    it.

    The backup is read to its end before anything is written, and the store is there whole or not at all.
    """
    from cli.failures import ExitCode, StoppedError
    from cli.output import print_document
    from cli.progress import progress_bar
    from cli.render import print_lines, printable
    from cli.units import size
    from crdtgraph.backup import restore
    from crdtgraph.errors import LocalError
    from crdtgraph.migration import digest_of
    from crdtgraph.store.naming import absolute_url

    url = invocation.required_store()
    try:
        with open(file, "rb") as data, progress_bar("restoring, bytes") as show:
            if not data.seekable():
                raise LocalError(f"{file} is a stream, and a backup is read twice", hint="write it to a file first")
            about = 3 * data.seek(0, 2)
            restored = restore(data, url, replace=replace, progress=lambda done: show(done, max(done, about)))
    except KeyboardInterrupt:
        raise StoppedError("stopped; there is no store", ExitCode.INTERRUPTED) from None
    facts = {
        "url": absolute_url(url),
        "file": file,
        "cluster": restored.header.cluster,
        "replica": restored.replica,
        "replaced": restored.header.replica if replace else None,
        "entries": restored.sum.entries,
        "bytes": restored.sum.size,
        "digest": digest_of(url),
    }
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, facts)
        return
    who = "the same replica as before" if replace else "a replica of its own"
    print_lines(
        [
            f"{restored.sum.entries} entries, {size(restored.sum.size)}, of {printable(file)} are in {printable(url)}",
            f"it is {who}: {restored.replica} of cluster {printable(restored.header.cluster)}",
        ]
    )

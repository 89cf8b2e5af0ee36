"""`crdtgraph store backup`: a replica in one file."""

from __future__ import annotations

import os
from contextlib import suppress

import click

from cli.context import Access, Invocation, Output, examples, graph_options


@click.command(
    "backup", epilog=examples("crdtgraph store backup search.backup", "crdtgraph store backup search.backup -o json")
)
@click.argument("file", metavar="FILE")
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@graph_options
@click.pass_obj
def command(invocation: Invocation, file: str, force: bool) -> None:
    """Write all that a store holds to one file, as of the moment at which the command begins.

    A node at work on the store goes on meanwhile: the store is read beside it. What is acknowledged as durable is in
    the backup. The file ends with a SHA-256, so that a part of one is known as such; it holds the secret key of the
    replica, and only you may read it. The file is there whole or not at all.
    """
    from cli.failures import ExitCode, StoppedError
    from cli.files import put_in_place, require_free
    from cli.output import print_document
    from cli.progress import progress_bar
    from cli.render import print_lines, printable
    from cli.units import size
    from crdtgraph.backup import write_backup
    from crdtgraph.errors import StoreError
    from crdtgraph.store import disk_bytes, open_store

    require_free(file, force=force)
    url = _url(invocation)
    new = file + ".unfinished"
    try:
        store = open_store(url, read_only=True)
        try:
            with (
                open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out,
                progress_bar("backing up, bytes") as show,
            ):
                about = disk_bytes(store.url) or 0
                header, total = write_backup(store, out, lambda done: show(done, max(done, about)))
                out.flush()
                os.fsync(out.fileno())
        finally:
            store.close()
        put_in_place(new, file)
    except KeyboardInterrupt:
        raise StoppedError("stopped; there is no backup", ExitCode.INTERRUPTED) from None
    except OSError as error:
        raise StoreError(
            f"the backup {file} can't be written: {error.strerror or error}",
            hint="name a file in a folder that is there, that you may write to and that has room; there is no backup",
        ) from error
    finally:
        with suppress(OSError):
            os.unlink(new)
    facts = {
        "file": os.path.abspath(file),
        "url": store.url,
        "cluster": header.cluster,
        "replica": header.replica,
        "entries": total.entries,
        "bytes": total.size,
        "digest": total.digest,
    }
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, facts)
    else:
        print_lines(
            [f"{total.entries} entries, {size(total.size)}, of {printable(store.url)} are in {printable(file)}"]
        )


def _url(invocation: Invocation) -> str:
    """The URL of the store; a node is asked for it. Its store has to be on this machine."""
    from cli.answers import of, table_of

    store, _ = invocation.place()
    if store is not None:
        return store
    with invocation.open(Access.READ) as backend:
        return of(str, table_of(table_of(backend.call("status"))["graph"])["url"])

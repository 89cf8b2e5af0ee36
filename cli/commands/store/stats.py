"""`crdtgraph store stats`: what a store holds, and what it wrote for that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cli.context import Access, Invocation, Output, examples, graph_options

if TYPE_CHECKING:
    from sync.protocol.messages import Plain

COLUMNS = ("keyspace", "entries", "key_bytes", "value_bytes")


@click.command("stats", epilog=examples("crdtgraph store stats", "crdtgraph store stats -o json"))
@graph_options
@click.pass_obj
def command(invocation: Invocation) -> None:
    """Show entries and bytes in each keyspace, bytes on disk, and the write amplification.

    That is measured: all bytes that the engine wrote to its files (log, tables, and tables made of tables) for each
    byte of records that it was given, since the creation of the store. A crash loses the last few megabytes of the
    count, on both sides. A running node is asked, as it knows what it wrote just now.

    CSV has a row for each keyspace.
    """
    from cli.answers import list_of, of, table_of
    from cli.output import print_document, print_documents
    from cli.progress import progress_bar
    from cli.render import print_lines

    answer: dict[str, Plain] = {}
    with invocation.open(Access.READ) as backend, progress_bar("counting bytes") as show:
        for answer in map(table_of, backend.stream("store_stats")):
            if "passed_bytes" in answer:
                passed = of(int, answer["passed_bytes"])
                show(passed, passed)
    match invocation.output:
        case Output.TEXT:
            print_lines(_lines(answer))
        case Output.CSV:
            print_documents(Output.CSV, map(table_of, list_of(answer["keyspaces"])), COLUMNS)
        case output:
            print_document(output, answer)


def _lines(answer: dict[str, Plain]) -> Iterator[str]:
    from cli.answers import list_of, of, table_of
    from cli.render import printable, table
    from cli.units import size

    rows = [["KEYSPACE", "ENTRIES", "KEYS", "VALUES"]]
    for each in map(table_of, list_of(answer["keyspaces"])):
        counts = (of(int, each["key_bytes"]), of(int, each["value_bytes"]))
        rows.append([of(str, each["keyspace"]), str(each["entries"]), *map(size, counts)])
    yield printable(of(str, answer["url"]))
    yield from table(rows)
    if answer["disk_bytes"] is not None:
        yield f"on disk: {size(of(int, answer['disk_bytes']))}"
    amplification = answer["write_amplification"]
    if isinstance(amplification, float):
        written, records = of(int, answer["written_bytes"]), of(int, answer["records_bytes"])
        yield f"write amplification: {amplification:.2f} ({size(written)} written for {size(records)} of records)"
    elif answer["written_bytes"] is None:
        yield "write amplification: not known here"
    else:
        yield "write amplification: not known, as nothing was counted yet"

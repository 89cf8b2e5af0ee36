"""`crdtgraph searches`: the searches of the cluster, as one node knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.context import Access, Invocation, Output, examples, graph_options
from cli.tables import CommandTable, Table

if TYPE_CHECKING:
    from sync.protocol.calls import Plain

COMMANDS: Table = {
    "close": ("close", "End a search everywhere."),
}
COLUMNS = ("NAME", "COMMITS", "LIVE", "WRITERS", "SEGMENTS", "SIZE", "LAST WRITE", "EXPIRES", "STATE")
KEYS = (
    "name", "state", "commits", "live", "pending", "writers", "segments", "bytes", "digest", "written_us", "expires_us",
    "closed_us",
)  # fmt: skip


@click.group(
    "searches",
    cls=CommandTable,
    package=__name__,
    table=COMMANDS,
    invoke_without_command=True,
    epilog=examples("crdtgraph searches", "crdtgraph searches --closed -o json", "crdtgraph searches close 'move 12'"),
)
@click.option("--closed", is_flag=True, help="Those that are over as well.")
@graph_options
@click.pass_context
def command(context: click.Context, closed: bool) -> None:
    """List the searches that are open, as a running node knows them.

    A search lives in the memory of the nodes and goes to no disk, so a store at rest knows of those only that are over.
    One is closed by the program that opened it, by `searches close`, or by a janitor some days after its last write
    (or after the node heard of it, if nothing was written). Then every node drops it; what was promoted stays.
    """
    if context.invoked_subcommand is not None:
        return
    from cli.answers import list_of, table_of
    from cli.output import print_documents
    from cli.render import print_lines, table

    invocation: Invocation = context.obj
    with invocation.open(Access.READ) as backend:
        found = [table_of(each) for each in list_of(backend.call("searches", closed=closed))]
    if invocation.output is Output.TEXT:
        print_lines(table([COLUMNS, *map(_row, found)]) if found else [])
    else:
        print_documents(invocation.output, found, KEYS)


def _row(search: dict[str, Plain]) -> tuple[str, ...]:
    from cli.answers import of
    from cli.render import moment, one_line
    from cli.units import number, size

    def count(key: str) -> str:
        return "-" if search[key] is None else number(of(int, search[key]))

    def when(key: str) -> str:
        return "-" if search[key] is None else moment(of(int, search[key]))

    state = of(str, search["state"])
    return (
        one_line(of(str, search["name"])),
        count("commits"),
        count("live"),
        count("writers"),
        count("segments"),
        "-" if search["bytes"] is None else size(of(int, search["bytes"])),
        when("written_us"),
        when("expires_us"),
        state if search["closed_us"] is None else f"{state} {when('closed_us')}",
    )

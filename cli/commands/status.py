"""`crdtgraph status`: how a store or a running node is doing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cli.cluster.asking import cluster_options, no_places
from cli.context import Access, Invocation, Output, examples, reading_options

if TYPE_CHECKING:
    from cli.cluster.members import Cluster
    from sync.protocol.calls import Plain


@click.command(
    "status",
    epilog=examples("crdtgraph status", "crdtgraph status -o json", "crdtgraph status --cluster"),
)
@cluster_options
@reading_options
@click.pass_obj
def command(invocation: Invocation, whole: bool, places: tuple[str, ...], timeout_s: float) -> None:
    """Show what is in the graph, what waits for commits that are missing, and, of a node, its peers and alarms.

    With --cluster a running node is asked about all members of its cluster, also those that it is connected to only
    through others: how far each is behind all of them (LAG, in segments), what waits for its peers (QUEUED), and
    whether their digests agree (equal letters). Members that do not answer stay listed, with the time since they were
    heard of, for a day. Exit code 1 says that members which answered differ.

    PLACE, with --cluster, is a node to ask: several of them show both sides of a split.
    """
    from cli.render import print_lines

    if whole:
        from cli.cluster.asking import ask

        cluster = ask(invocation, places, timeout_s)
        _print_cluster(invocation, cluster)
        if cluster.differing():
            click.get_current_context().exit(1)
        return
    no_places(places)
    from cli.answers import list_of, table_of
    from cli.output import print_document

    with invocation.open(Access.READ) as backend:
        answer = table_of(backend.call("status"))
        pending = list_of(backend.call("pending"))
    if invocation.output is Output.TEXT:
        print_lines(_lines(answer, pending))
    else:
        print_document(invocation.output, {**answer, "pending": pending})


def _print_cluster(invocation: Invocation, cluster: Cluster) -> None:
    from cli.cluster.columns import STATUS_COLUMNS, rows_of, table
    from cli.cluster.reports import MEMBER_COLUMNS, member_documents, verdict
    from cli.output import print_documents
    from cli.render import paint, print_lines, screen_width

    if invocation.output is not Output.TEXT:
        print_documents(invocation.output, member_documents(cluster), MEMBER_COLUMNS)
        return
    lines, left_out = table(STATUS_COLUMNS, rows_of(cluster), cluster.strangers, screen_width(), paint)
    print_lines([*lines, "", *verdict(cluster, paint)])
    if left_out:
        columns = ", ".join(left_out).lower()
        print_lines([paint(f"(no room for: {columns}; make the window wider, or use -o json)", "faint")])


def _lines(answer: dict[str, Plain], pending: list[Plain]) -> Iterator[str]:
    from cli.answers import table_of
    from cli.render import fields, printable

    graph = table_of(answer["graph"])
    yield from fields([(name.replace("_", " "), printable(str(value))) for name, value in graph.items()])
    if pending:
        yield from _pending_lines(pending)
    if answer["node"] is not None:
        yield ""
        yield from _node_lines(table_of(answer["node"]))


def _pending_lines(pending: list[Plain]) -> Iterator[str]:
    from cli.answers import of, table_of
    from cli.render import printable
    from cli.views import short
    from crdtgraph.ids import CommitId

    for each in map(table_of, pending):
        about = f"{of(str, each['kind'])} {of(str, each['subject'])[:40]}".rstrip()
        waits_for = short(CommitId(of(bytes, each["waits_for"])))
        yield f"  pending: {printable(about)} waits for commit {waits_for}"


def _node_lines(node: dict[str, Plain]) -> Iterator[str]:
    from cli.answers import of, table_of
    from cli.render import fields, paint, printable
    from cli.units import size, span

    # Whose node it is stands above already.
    known = ("replica", "cluster")
    shown = {
        name: value
        for name, value in node.items()
        if name not in known and not isinstance(value, list) and value not in ("", None)
    }
    shown["uptime"] = span(of(float, shown.pop("uptime_s")))
    if "store_bytes" in shown:
        shown["store"] = size(of(int, shown.pop("store_bytes")))
    yield from fields([(name.replace("_", " "), printable(str(value))) for name, value in shown.items()])
    for name in ("addresses", "blocked"):
        yield from fields([(name, ", ".join(_texts(node[name])) or "none")])
    for plane in map(table_of, _list(node["planes"])):
        facts = ", ".join(f"{name} {of(int, plane[name])}" for name in ("commits", "pending", "heads", "segments"))
        yield f"plane {printable(of(str, plane['name']))}  {facts}, digest {of(bytes, plane['digest']).hex()[:12]}"
    for alarm in map(table_of, _list(node["alarms"])):
        yield paint(f"ALARM {printable(of(str, alarm['kind']))}: {printable(of(str, alarm['text']))}", "conflict")
    yield f"peers  {len(_list(node['peers']))} (see crdtgraph peers)"


def _list(value: Plain) -> list[Plain]:
    from cli.answers import list_of

    return list_of(value)


def _texts(value: Plain) -> list[str]:
    from cli.answers import of
    from cli.render import printable

    return [printable(of(str, each)) for each in _list(value)]

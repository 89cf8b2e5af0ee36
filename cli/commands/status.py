"""`crdtgraph status`: how a store or a running node is doing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cli.context import Access, Invocation, examples, reading_options

if TYPE_CHECKING:
    from sync.messages import Plain


@click.command("status", epilog=examples("crdtgraph status", "crdtgraph status -o json"))
@reading_options
@click.pass_obj
def command(invocation: Invocation) -> None:
    """Show what is in the graph, what waits for commits that are missing, and, of a node, its peers and alarms."""
    from cli.answers import list_of, table_of
    from cli.render import print_json, print_lines

    with invocation.open(Access.READ) as backend:
        answer = table_of(backend.call("status"))
        pending = list_of(backend.call("pending"))
    if invocation.json:
        print_json({**answer, "pending": pending})
    else:
        print_lines(_lines(answer, pending))


def _lines(answer: dict[str, Plain], pending: list[Plain]) -> Iterator[str]:
    from cli.answers import of, table_of
    from cli.render import fields, paint, printable
    from cli.views import short
    from crdtgraph.ids import CommitId

    graph = table_of(answer["graph"])
    yield from fields([(name.replace("_", " "), printable(str(value))) for name, value in graph.items()])
    for each in map(table_of, pending):
        about = f"{of(str, each['kind'])} {of(str, each['subject'])[:40]}".rstrip()
        waits_for = short(CommitId(of(bytes, each["waits_for"])))
        yield f"  pending: {printable(about)} waits for commit {waits_for}"
    if answer["node"] is not None:
        node = table_of(answer["node"])
        yield ""
        simple = [(name, value) for name, value in node.items() if not isinstance(value, list) and value != ""]
        yield from fields([(name.replace("_", " "), printable(str(value))) for name, value in simple])
        for name in ("addresses", "blocked"):
            yield from fields([(name, ", ".join(_texts(node[name])) or "none")])
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

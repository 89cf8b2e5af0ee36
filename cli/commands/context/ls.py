"""`crdtgraph context ls`: the names and what they name."""

from __future__ import annotations

import os

import click

from cli.context import Invocation, Output, control_socket, examples, output_option, socket_path

COLUMNS = ("name", "kind", "place", "in_use", "state", "backup")


@click.command("ls", epilog=examples("crdtgraph context ls", "crdtgraph context ls -o csv"))
@output_option
@click.pass_obj
def command(invocation: Invocation) -> None:
    """List the contexts. A star marks the one in use.

    STATE is "node answers", "store" for one at rest, "no node" for a control socket that nobody serves, or "missing".
    """
    from cli.contexts import load
    from cli.output import print_documents
    from cli.render import print_lines, printable, table

    contexts = load()
    documents = [
        {
            "name": name,
            "kind": each.kind,
            "place": each.place,
            "in_use": name == contexts.current,
            "state": _state(each.kind, each.place),
            "backup": each.backup,
        }
        for name, each in sorted(contexts.named.items())
    ]
    if invocation.output is not Output.TEXT:
        print_documents(invocation.output, documents, COLUMNS)
        return
    rows = [
        ["*" if each["in_use"] else " ", str(each["name"]), str(each["state"]), printable(str(each["place"]))]
        for each in documents
    ]
    if rows:
        print_lines(table([["", "NAME", "STATE", "PLACE"], *rows]))


def _state(kind: str, place: str) -> str:
    from crdtgraph.store.naming import path_of

    socket = control_socket(place) if kind == "store" else control_socket(socket_path(place), is_socket=True)
    if socket is not None:
        return "node answers"
    if kind == "node":
        return "no node"
    path = path_of(place)
    if path is None:
        return "store"
    return "store" if os.path.isfile(path) or os.path.exists(os.path.join(path, "CURRENT")) else "missing"

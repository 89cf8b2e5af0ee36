"""`crdtgraph context add`: give a store or a node a name."""

from __future__ import annotations

import os

import click

from cli.context import Invocation, Output, examples, graph_options


@click.command(
    "add",
    epilog=examples(
        "crdtgraph context add lab --store search.db",
        "crdtgraph context add eu --node search.db/control --use",
        "crdtgraph context add home --store search.db --backup graph.jsonl",
    ),
)
@click.argument("name", metavar="NAME")
@click.option("--use", is_flag=True, help="Use it from now on where no graph is named.")
@click.option("--backup", metavar="FILE", help="Where `store backup` writes; `doctor` looks at its age.")
@click.option("--force", is_flag=True, help="Replace a context of that name.")
@graph_options
@click.pass_obj
def command(invocation: Invocation, name: str, use: bool, backup: str | None, force: bool) -> None:
    """Name the graph of --store or --node. It need not be there yet; relative paths are made absolute."""
    from cli.contexts import Context, ContextError, changing, checked_name
    from cli.output import print_document
    from cli.render import print_lines, printable

    checked_name(name)
    if invocation.store is None and invocation.node is None:
        raise click.UsageError("name what? Give --store PATH or --node SOCKET")
    store, node = invocation.place()
    place = _absolute(store) if store is not None else os.path.abspath(node or "")
    made = Context("store" if store is not None else "node", place, os.path.abspath(backup) if backup else "")
    with changing() as contexts:
        if name in contexts.named and not force:
            raise ContextError(
                f"there is a context {name!r} already: {contexts.named[name].place}", hint="--force replaces it"
            )
        contexts.named[name] = made
        contexts.current = name if use else contexts.current
    if invocation.output is Output.TEXT:
        print_lines([f"{name} is the {made.kind} {printable(place)}" + (", in use now" if use else "")])
    else:
        print_document(invocation.output, {"name": name, "kind": made.kind, "place": place, "in_use": use})


def _absolute(place: str) -> str:
    from crdtgraph.store.naming import path_of

    path = path_of(place)
    if path is None:
        return place
    return os.path.abspath(path) if path == place else f"{place.partition(':')[0]}:{os.path.abspath(path)}"

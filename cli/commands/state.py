"""`crdtgraph state`: the paths and contents at a commit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from cli.context import Access, Backend, Invocation, Output, complete_ref, examples, reading_options

if TYPE_CHECKING:
    from crdtgraph.records import Reference
    from sync.protocol.calls import Plain

FETCH_S = 10.0
"""A node that lacks a large value is given so much time to fetch it."""
COLUMNS = ("path", "size", "text", "base64", "reference")


@click.command(
    "state",
    epilog=examples("crdtgraph state main", "crdtgraph state main board", "crdtgraph state main --at 2h"),
)
@click.argument("rev", shell_complete=complete_ref, metavar="REV")
@click.argument("path", metavar="[PATH]", required=False)
@reading_options
@click.pass_obj
def command(invocation: Invocation, rev: str, path: str | None) -> None:
    """List the paths at a commit with their sizes, or write one path's contents to standard output.

    Large values are kept as objects beside the commits; their contents are written as well, if they are here.
    """
    from cli.answers import changes_of, of
    from cli.output import print_document, print_documents
    from cli.render import print_bytes, print_lines, printable
    from cli.views import value_document, value_text
    from crdtgraph.errors import NotFoundError
    from crdtgraph.records import OBJECT_SCHEME

    with invocation.open(Access.READ) as backend:
        entries = (entry for part in backend.stream("state", rev=rev, path=path) for entry in changes_of(part))
        if path is None and invocation.output is not Output.TEXT:
            documents = ({"path": name, **value_document(value)} for name, value in entries)
            print_documents(invocation.output, documents, COLUMNS)
        elif path is None:
            print_lines(f"{value_text(value):>14}  {printable(name)}" for name, value in entries)
        else:
            [(name, value)] = entries
            if invocation.output is not Output.TEXT:
                print_document(invocation.output, {"path": name, **value_document(value)})
            elif isinstance(value, bytes):
                print_bytes(value)
            elif value is not None and value.scheme == OBJECT_SCHEME:
                for part in _contents(backend, value):
                    print_bytes(of(bytes, part))
            else:
                raise NotFoundError(
                    f"the contents of {path!r} are not kept here, only a reference: {value_text(value)}",
                    hint="fetch them from where they are kept; -o json prints the reference",
                )


def _contents(backend: Backend, value: Reference) -> Iterator[Plain]:
    """The parts of a large value; a node that lacks it fetches it first."""
    from cli.answers import table_of
    from crdtgraph.errors import NotFoundError

    name: dict[str, Plain] = {"digest": value.digest, "size": value.size}
    try:
        yield from backend.stream("object_read", **name)
    except NotFoundError:
        if table_of(backend.call("status"))["node"] is None:
            raise
        if not backend.call("object_fetch", timeout_s=FETCH_S, **name):
            raise
        yield from backend.stream("object_read", **name)

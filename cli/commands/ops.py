"""`crdtgraph ops`: what every writer said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from cli.context import Access, Invocation, Output, examples, reading_options

if TYPE_CHECKING:
    from sync.protocol.calls import Plain

COLUMNS = (
    "stamp_us", "writer", "replica", "segment", "kind", "commit", "author", "subject", "changes", "namespace", "key",
    "target", "value", "dot", "supersedes", "vector",
)  # fmt: skip
KINDS = ("commit", "assign", "count", "discard")


@click.command(
    "ops",
    epilog=examples(
        "crdtgraph ops -n 20",
        "crdtgraph ops --kind assign",
        "crdtgraph ops -n 5 -o json",
        "crdtgraph ops --at 2h -n 5",
    ),
)
@click.option("--writer", metavar="W", help="Only what this writer or replica said: 4 hex digits of it or more.")
@click.option("--kind", type=click.Choice(KINDS), help="Only records of this kind.")
@click.option("-n", "--max-count", "limit", type=click.IntRange(min=0), metavar="N", help="At most N records.")
@reading_options
@click.pass_obj
def command(invocation: Invocation, writer: str | None, kind: str | None, limit: int | None) -> None:
    """List the records that writers made, the latest first: the log of operations.

    A record is a commit, an assignment of a ref or a metadata key, a count, or a discard. Each line says when, which
    replica, in which segment (writer-number), and what. Records of one writer are in the order in which they were made;
    those of several are ordered by their clocks.
    """
    from cli.answers import list_of, table_of
    from cli.output import print_documents
    from cli.render import print_lines

    with invocation.open(Access.READ) as backend:
        parts = backend.stream("ops", writer=writer, kind=kind, limit=limit)
        rows = (table_of(row) for part in parts for row in list_of(part))
        if invocation.output is Output.TEXT:
            print_lines(map(_line, rows))
        else:
            print_documents(invocation.output, _documents(rows), COLUMNS)


def _documents(rows: Iterable[dict[str, Plain]]) -> Iterator[dict[str, object]]:
    from cli.answers import of
    from cli.views import value_document

    for row in rows:
        value = None if row["value"] is None else of(bytes, row["value"])
        is_ref = row["namespace"] == "ref"
        shown: dict[str, object] = {
            "target": value if is_ref else None,
            "value": value_document(value) if value is not None and not is_ref else None,
        }
        yield {column: shown[column] if column in shown else row[column] for column in COLUMNS}


def _line(row: dict[str, Plain]) -> str:
    from cli.answers import of
    from cli.render import paint
    from crdtgraph.moments import moment_text

    who = f"{of(bytes, row['replica']).hex()[:8]}  {of(str, row['segment']):<16}"
    return f"{moment_text(of(int, row['stamp_us']))}  {paint(who, 'faint')}  {of(str, row['kind']):<7}  {_what(row)}"


def _what(row: dict[str, Plain]) -> str:
    from cli.answers import list_of, of
    from cli.render import one_line, paint
    from cli.views import short
    from crdtgraph.ids import CommitId

    def commit(value: Plain) -> str:
        return paint(short(CommitId(of(bytes, value))), "id")

    match row["kind"]:
        case "commit":
            return f"{commit(row['commit'])}  {one_line(of(str, row['subject'])) or paint('(no message)', 'faint')}"
        case "assign":
            return _assignment(row)
        case "count":
            return f"{commit(row['commit'])}  {' '.join(f'{of(int, each):+d}' for each in list_of(row['vector']))}"
        case _:
            return f"{commit(row['commit'])}  and what follows from it"


def _assignment(row: dict[str, Plain]) -> str:
    from cli.answers import list_of, of
    from cli.render import paint, printable
    from cli.views import short
    from crdtgraph.ids import CommitId

    namespace, key, value = of(str, row["namespace"]), of(str, row["key"]), row["value"]
    if namespace == "ref":
        name = f"ref {paint(printable(key), 'ref')}"
        told = f"{name} removed" if value is None else f"{name} = {paint(short(CommitId(of(bytes, value))), 'id')}"
    else:
        owner = namespace.partition("/")[2]
        name = f"metadata {printable(key)}" + ("" if owner == "graph" else f" of {printable(owner)[:12]}")
        told = f"{name} removed" if value is None else f"{name} = {len(of(bytes, value))} bytes"
    count = len(list_of(row["supersedes"]))
    return told + (paint(f"  superseding {count}", "faint") if count else "")

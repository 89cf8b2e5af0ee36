"""`crdtgraph history`: every assignment that a ref or a metadata key ever had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from cli.context import Access, Invocation, Output, examples, reading_options

if TYPE_CHECKING:
    from sync.protocol.calls import Plain

COLUMNS = (
    "stamp_us", "action", "target", "value", "subject", "state", "conflict", "writer", "replica", "segment", "dot",
    "supersedes", "superseded_by", "concurrent", "concurrent_with",
)  # fmt: skip


@click.command(
    "history",
    epilog=examples(
        "crdtgraph history main",
        "crdtgraph history main -n 5 -o json",
        "crdtgraph history --meta owner",
        "crdtgraph history --commit main note",
    ),
)
@click.argument("name", metavar="REF|KEY")
@click.option("--meta", is_flag=True, help="The history of a metadata key of the graph.")
@click.option("--commit", "rev", metavar="REV", help="The history of a metadata key of that commit.")
@click.option("-n", "--max-count", "limit", type=click.IntRange(min=0), metavar="N", help="At most N assignments.")
@reading_options
@click.pass_obj
def command(invocation: Invocation, name: str, meta: bool, rev: str | None, limit: int | None) -> None:
    """Show every value that a ref ever had: when, by whom, and what that superseded; the latest first.

    Removed refs have a history, too. An assignment is live, superseded by a later one, or waiting for a commit that is
    not here. Those whose writers did not know of each other are concurrent, and in conflict if they want different
    things. With --at it is what was known then. Reads the whole store.
    """
    from cli.answers import list_of, table_of
    from cli.output import print_documents
    from cli.render import print_lines

    is_meta = meta or rev is not None
    with invocation.open(Access.READ) as backend:
        parts = backend.stream("history", name=name, meta=is_meta, commit=rev, limit=limit)
        rows = (table_of(row) for part in parts for row in list_of(part))
        if invocation.output is Output.TEXT:
            print_lines(_lines(rows, is_meta=is_meta))
        else:
            print_documents(invocation.output, (_document(row, is_meta=is_meta) for row in rows), COLUMNS)


def _document(row: dict[str, Plain], *, is_meta: bool) -> dict[str, object]:
    from cli.answers import of
    from cli.views import value_document

    value = None if row["value"] is None else of(bytes, row["value"])
    shown: dict[str, object] = {
        "action": "removed" if value is None else "set",
        "target": None if is_meta else value,
        "value": value_document(value) if is_meta and value is not None else None,
    }
    return {column: shown[column] if column in shown else row[column] for column in COLUMNS}


def _lines(rows: Iterable[dict[str, Plain]], *, is_meta: bool) -> Iterator[str]:
    from cli.answers import list_of, of
    from cli.render import one_line, paint
    from crdtgraph.moments import moment_text

    for row in rows:
        words = [moment_text(of(int, row["stamp_us"])), _value(row, is_meta=is_meta)]
        state = of(str, row["state"])
        if state != "superseded":
            words.append(paint(state, "ref" if state == "live" else "conflict"))
        if row["conflict"]:
            words.append(paint("conflict", "conflict"))
        elif row["concurrent"]:
            words.append("concurrent")
        if row["subject"] is not None:
            words.append(one_line(of(str, row["subject"])))
        yield "  ".join(words)
        yield paint(f"    {of(str, row['dot'])} by replica {of(bytes, row['replica']).hex()[:8]}", "faint")
        for what, name in (("superseding", "supersedes"), ("not knowing of", "concurrent_with")):
            dots = [of(str, dot) for dot in list_of(row[name])]
            if dots:
                more = of(int, row["concurrent"]) - len(dots) if name == "concurrent_with" else 0
                yield paint(f"    {what} {', '.join(dots)}{f' and {more} more' if more else ''}", "faint")


def _value(row: dict[str, Plain], *, is_meta: bool) -> str:
    from cli.answers import of
    from cli.render import paint, printable
    from cli.views import short
    from crdtgraph.ids import CommitId

    if row["value"] is None:
        return paint("removed", "conflict")
    value = of(bytes, row["value"])
    if not is_meta:
        return paint(short(CommitId(value)), "id")
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return f"{len(value)} bytes"
    return printable(text).replace("\n", "\\n")[:80] + ("..." if len(text) > 80 else "")

"""Answers for programs: JSON, JSON lines and CSV.

Keys are stable and written down in docs/json.md. Ids and digests are hex, times integers in microseconds since the
epoch (`..._us`), durations seconds (`..._s`). A listing is printed item by item, so that a long one needs no memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

from cli.context import Output
from cli.render import json_line, jsonable, print_json, print_json_list

__all__ = ["Output", "print_document", "print_documents"]


def print_document(output: Output, document: Mapping[str, object]) -> None:
    """Print one answer: an indented JSON document, the same on one line, or a CSV table of one row."""
    if output is Output.JSON:
        print_json(document)
    else:
        print_documents(output, [document], list(document))


def print_documents(output: Output, documents: Iterable[Mapping[str, object]], columns: Sequence[str]) -> None:
    """Print a listing: a JSON array with one item a line, an object a line, or CSV with these columns.

    A key that a document does not have is an empty cell.
    """
    match output:
        case Output.JSONL:
            for document in documents:
                sys.stdout.write(json_line(document) + "\n")
        case Output.CSV:
            import csv

            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(_cells(document, columns) for document in documents)
        case _:
            print_json_list(documents)


def _cells(document: Mapping[str, object], columns: Sequence[str]) -> Iterator[object]:
    for column in columns:
        value = jsonable(document.get(column))
        match value:
            case None:
                yield ""
            case bool():
                yield str(value).lower()
            case dict() | list():
                yield json_line(value)
            case _:
                yield value

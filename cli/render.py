"""Answers as text and as JSON.

Messages, authors and paths come from anywhere, so control characters in them are shown, never sent to the
terminal. JSON is one document for every answer, with ids and digests in hex and times as integers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)}
_COLOURS = {
    "id": "33",
    "unique": "1;35",
    "ref": "36",
    "conflict": "31",
    "added": "32",
    "removed": "31",
    "hunk": "36",
    "strong": "1",
    "faint": "2",
    "good": "32",
    "warn": "33",
    "bad": "1;31",
    "mark-1": "36",
    "mark-2": "35",
    "mark-3": "34",
    "mark-4": "32",
    "mark-5": "33",
    "mark-6": "96",
}


def printable(text: str) -> str:
    """The text with control characters (but tabs and line ends) as escapes and lone surrogates replaced."""
    if text.isprintable():
        return text
    return text.translate(_CONTROLS).encode("utf-8", "replace").decode()


def one_line(text: str) -> str:
    """The first line of a text, printable and without tabs."""
    return printable(text.strip().partition("\n")[0].replace("\t", " "))


def has_colour() -> bool:
    """Whether standard output is a terminal that shows colours, and NO_COLOR is not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, role: str) -> str:
    """The text in the colour of its role, where `has_colour`."""
    return f"\x1b[{_COLOURS[role]}m{text}\x1b[0m" if has_colour() else text


def screen_width() -> int | None:
    """How many columns there are to print to; None if standard output is no terminal, and has no end."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def moment(microseconds: int) -> str:
    """A time since the epoch as ISO 8601 in UTC; what no calendar holds stays a number."""
    try:
        return (_EPOCH + timedelta(microseconds=microseconds)).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError):
        return f"{microseconds} us"


def print_lines(lines: Iterable[str]) -> None:
    """Print lines to standard output, each as soon as it is there."""
    for line in lines:
        sys.stdout.write(line + "\n")


def print_json(value: object) -> None:
    """Print one JSON document to standard output."""
    import json

    sys.stdout.write(json.dumps(jsonable(value), ensure_ascii=False, indent=2) + "\n")


def json_line(value: object) -> str:
    """A JSON document on one line."""
    import json

    return json.dumps(jsonable(value), ensure_ascii=False)


def print_json_list(values: Iterable[object]) -> None:
    """Print a JSON array item by item, so that a long one needs no memory."""
    separator = "[\n"
    for value in values:
        sys.stdout.write(separator + json_line(value))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def print_bytes(data: bytes) -> None:
    """Write bytes to standard output as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)


def jsonable(value: object) -> object:
    """The value with bytes, which are ids and digests, in hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): jsonable(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [jsonable(each) for each in value]
    return value


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows with their columns aligned; the last column is as long as it likes."""
    if rows:
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
            yield "  ".join([*cells, row[-1]]).rstrip()


def fields(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """`name  value` lines with the values aligned."""
    return table([[name, value] for name, value in pairs])

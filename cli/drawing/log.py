"""A graph's history as a drawing on the terminal: one line a commit, with the lines between them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.answers import RemoteAnswerError, list_of, refs_of
from cli.drawing.counters import counted
from cli.drawing.layout import Layout
from cli.drawing.style import ASCII, UNICODE, Style, coloured
from cli.render import has_colour, moment, one_line, paint, printable
from cli.views import SHORT_DIGITS, Labels, labels_of
from crdtgraph.ids import CommitId

if TYPE_CHECKING:
    from cli.context import Backend
    from sync.messages import Plain

AUTHOR_CHARACTERS = 12
MINUTE_US = 60_000_000
DAY_US = 24 * 60 * MINUTE_US
CHUNK_LINES = 512
"""Lines written at once where nobody watches them come."""


class Line(NamedTuple):
    """What one line of a drawing shows."""

    id: CommitId
    parents: list[CommitId]
    indirect: list[CommitId]
    is_cut_off: bool
    author: str
    time: int
    subject: str
    is_live: bool
    counters: list[int]
    unique_digits: int = SHORT_DIGITS


KINDS = (bytes, list, list, bool, str, int, str, bool, list)
"""The types of a row's fields."""


def print_drawing(
    backend: Backend, revs: list[str] | None, limit: int | None, plane: str, *, plain: bool = False
) -> None:
    """Draw commits to standard output, each line as soon as it is known on a terminal."""
    labels, conflicted = _labels(backend)
    colour = has_colour()
    style = ASCII if plain or not _has_unicode() else UNICODE
    lines = draw(_lines(backend, revs, limit, plane, prefixes=colour), labels, conflicted, style, colour=colour)
    write = sys.stdout.write
    if sys.stdout.isatty():
        for line in lines:
            write(line + "\n")
        return
    chunk: list[str] = []
    size = 1
    for line in lines:
        chunk.append(line)
        # The first ones go out at once also to a pipe, and then more and more together.
        if len(chunk) >= size:
            write("\n".join(chunk) + "\n")
            if size < CHUNK_LINES:
                sys.stdout.flush()
                size *= 2
            chunk.clear()
    if chunk:
        write("\n".join(chunk) + "\n")


def draw(
    commits: Iterator[Line], labels: Labels, conflicted: set[CommitId], style: Style, *, colour: bool
) -> Iterator[str]:
    """The rows of a drawing, with a line of text behind each commit."""
    layout: Layout[CommitId] = Layout()
    text = _texts(labels, colour=colour)
    place, table = layout.place, style.table
    for each in commits:
        symbol = style.commit
        if not each.is_live:
            symbol = style.discarded
        elif each.id in conflicted:
            symbol = style.conflicted
        row, below = place(each.id, symbol, each.parents, each.indirect, is_cut_off=each.is_cut_off)
        if table is not None:
            row, below = row.translate(table), tuple(bars.translate(table) for bars in below)
        if colour:
            row, below = coloured(row), tuple(map(coloured, below))
        yield f"{row} {text(each)}"
        yield from below


def documents(backend: Backend, revs: list[str] | None, limit: int | None, plane: str) -> Iterator[dict[str, object]]:
    """The commits for programs, in the order of the drawing, with what each is joined to."""
    labels, _ = _labels(backend)
    for each in _lines(backend, revs, limit, plane, prefixes=False):
        yield {
            "id": each.id,
            "parents": each.parents,
            "indirect": each.indirect,
            "cut_off": each.is_cut_off,
            "author": each.author,
            "time": each.time,
            "subject": each.subject,
            "refs": [name.removesuffix("??") for name in labels.get(each.id, ())],
            "live": each.is_live,
            "counters": each.counters,
        }


def _labels(backend: Backend) -> tuple[Labels, set[CommitId]]:
    refs = refs_of(backend.call("refs"))
    return labels_of(refs), {target for ref in refs if ref.conflicted for target in ref.targets}


def _lines(
    backend: Backend, revs: list[str] | None, limit: int | None, plane: str, *, prefixes: bool
) -> Iterator[Line]:
    asked: list[Plain] | None = None if revs is None else [*revs]
    for part in backend.stream("drawing", revs=asked, limit=limit, plane=plane, prefixes=prefixes):
        for row in list_of(part):
            fields: list[Any] = list_of(row)
            # One look at the types of all fields: a whole history has many rows.
            if tuple(map(type, fields[: len(KINDS)])) != KINDS:
                raise RemoteAnswerError(f"an answer holds {row!r:.60} where a row of a drawing belongs")
            yield Line(*fields)


def _texts(labels: Labels, *, colour: bool) -> Callable[[Line], str]:
    """What turns a commit into the text behind it."""
    authors: dict[str, str] = {}
    days: dict[int, str] = {}

    def text(each: Line) -> str:
        digits = each.id[: SHORT_DIGITS // 2].hex()
        if colour:
            unique = each.unique_digits
            digits = paint(digits[:unique], "unique") + paint(digits[unique:], "faint")
        author = authors.get(each.author)
        if author is None:
            shown = one_line(each.author.partition(" <")[0])[:AUTHOR_CHARACTERS]
            author = authors[each.author] = shown.ljust(AUTHOR_CHARACTERS)
        day, microseconds = divmod(each.time, DAY_US)
        date = days.get(day)
        if date is None:
            date = days[day] = moment(each.time)[: len("2026-11-01")]
        hour, minute = divmod(microseconds // MINUTE_US, 60)
        notes = _notes(each, labels) if each.id in labels or each.counters or not each.is_live else ""
        subject = one_line(each.subject) or paint("(no message)", "faint")
        return f"{digits}  {date} {hour:02}:{minute:02}  {author}  {notes}{subject}"

    return text


def _notes(each: Line, labels: Labels) -> str:
    notes = ""
    if each.id in labels:
        notes += paint("(" + ", ".join(map(printable, labels[each.id])) + ")", "ref") + "  "
    if each.counters:
        notes += paint(f"[{counted(each.counters)}]", "added") + "  "
    if not each.is_live:
        notes += paint("[discarded]", "conflict") + "  "
    return notes


def _has_unicode() -> bool:
    try:
        "○│┊─├╭⊘◇".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True

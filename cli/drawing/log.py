"""A graph's history as a drawing on the terminal: one line a commit, with the lines between them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import starmap
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
    from sync.protocol.messages import Plain

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
        commit, parents, indirect, is_cut_off = each[:4]
        symbol = style.commit
        if not each.is_live:
            symbol = style.discarded
        elif commit in conflicted:
            symbol = style.conflicted
        row, below = place(commit, symbol, parents, indirect, is_cut_off=is_cut_off)
        if table is not None:
            row, below = row.translate(table), tuple(bars.translate(table) for bars in below)
        if colour:
            row, below = coloured(row), tuple(map(coloured, below))
        yield f"{row} {text(each)}"
        if below:
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
        rows: list[Any] = list_of(part)
        # Types are looked at a column at a time: a whole history has many rows.
        try:
            columns = zip(KINDS, zip(*rows, strict=True), strict=False) if rows else ()
            fits = all(set(map(type, column)) == {kind} for kind, column in columns)
            lines = list(starmap(Line, rows))
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise RemoteAnswerError(f"an answer holds {rows!r:.60} where rows of a drawing belong")
        yield from lines


def _texts(labels: Labels, *, colour: bool) -> Callable[[Line], str]:
    """What turns a commit into the text behind it."""
    authors: dict[str, str] = {}
    days: dict[int, str] = {}
    hours = [f"{hour:02}:{minute:02}" for hour in range(24) for minute in range(60)]

    def text(each: Line) -> str:
        commit, _, _, _, author, time, subject, is_live, counters, unique = each
        digits = commit[: SHORT_DIGITS // 2].hex()
        if colour:
            digits = paint(digits[:unique], "unique") + paint(digits[unique:], "faint")
        name = authors.get(author)
        if name is None:
            shown = one_line(author.partition(" <")[0])[:AUTHOR_CHARACTERS]
            name = authors[author] = shown.ljust(AUTHOR_CHARACTERS)
        day, microseconds = divmod(time, DAY_US)
        date = days.get(day)
        if date is None:
            date = days[day] = moment(time)[: len("2026-11-01")]
        notes = _notes(each, labels) if commit in labels or counters or not is_live else ""
        if not subject or not subject.isprintable():
            subject = one_line(subject) or paint("(no message)", "faint")
        return f"{digits}  {date} {hours[microseconds // MINUTE_US]}  {name}  {notes}{subject}"

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

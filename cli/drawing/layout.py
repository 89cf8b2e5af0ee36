"""Where the commits and lines of a drawing stand.

Commits come one by one, children before parents. Every commit that is still to come and that something above is joined
to has one column. A line stays in its column until it ends: at its commit, or where it turns left into the column of
another child that has the same commit as its first parent. So a branch returns to the line that it left, and that one
does not wander. Free columns are used again, the nearest to the right first.

A commit is one row, and below it there is at most one row of links, none if the only line goes straight on down, and a
row more where it takes that to see that a line is dotted. A row of links has one horizontal stroke, so it can be read
back without doubt: it reaches from the commit's column to those of its parents, and passes *under* the lines in between
(`─│─`), which a line that joins never does (`─┼─`). A line is dotted as long as nothing has joined it directly. A
column in which a line has just ended without a link, at a root, rests for one row: a commit drawn right below would
look like its parent.

The rows are slices of one text that holds the lines of all columns, two characters each: copying it is the fastest
thing that Python does with a row, and wide histories have a hundred columns.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeAlias, TypeVar

_Key = TypeVar("_Key", bound=Hashable)

_DOWN, _DOTTED, _NOTHING = "│ ", "┊ ", "  "


Placed: TypeAlias = tuple[str, tuple[str, ...]]
"""A commit in the drawing: the row that it stands in, and the rows of lines below it, all without spaces behind."""


class Layout(Generic[_Key]):
    """A drawing in progress. `place` is called for one commit after the other."""

    def __init__(self) -> None:
        self._columns: dict[_Key, int] = {}
        """The column of every commit that is to come."""
        self._bars = ""
        """The lines of all columns as they go down from here, two characters a column. None at the end is empty."""
        self._resting = -1

    @property
    def bars(self) -> str:
        """The lines that go down from here, for rows that hold more text."""
        return self._bars.rstrip()

    def place(
        self,
        key: _Key,
        symbol: str,
        direct: Sequence[_Key],
        indirect: Sequence[_Key] = (),
        *,
        is_cut_off: bool = False,
    ) -> Placed:
        """Draw a commit, which is joined to its parents and, through what is not shown, to further ancestors.

        O(width of the drawing).
        """
        column = self._columns.pop(key, -1)
        if column < 0:
            column = self._free(0)
        self._resting = -1
        at = 2 * column
        bars = self._bars
        # There is never an empty column at the right, so all that is to cut off is the space behind the last one.
        row = f"{bars[:at]}{symbol}{bars[at + 1 : -1]}" if at < len(bars) else bars.ljust(at) + symbol
        if len(direct) == 1 and not indirect and not is_cut_off:
            end = self._columns.get(direct[0], -1)
            if end < 0:
                # Most commits: the line goes straight on down.
                self._columns[direct[0]] = column
                if bars[at : at + 1] != "│":
                    self._draw(column, _DOWN)
                return row, ()
            if end < column and bars[2 * end] == "│":
                # Most others: it ends, at a line to the left. What `_link` would do, written out.
                self._draw(column, _NOTHING)
                bars, to = self._bars.ljust(at + 1), 2 * end
                below = f"{bars[:to]}├{bars[to + 1 : at].replace(' ', '─')}╯{bars[at + 1 :]}"
                return row, (below.rstrip(),)
        elif len(direct) == 2 and not indirect and not is_cut_off and direct[0] not in self._columns:
            # A parent that is listed twice, which a graph of ours never does, is left to `_link`.
            other = self._columns.get(direct[1], -1)
            if direct[0] != direct[1] and (other < 0 or bars[2 * other] == "│"):
                return row, (self._merge(column, other, direct),)
        self._draw(column, _NOTHING)
        if not direct and not indirect and not is_cut_off:
            self._resting = column
            return row, ()
        return row, self._link(column, direct, indirect, is_cut_off=is_cut_off)

    def _merge(self, column: int, other: int, direct: Sequence[_Key]) -> str:
        """The row below most merges: on to the first parent, and a line to the second, which may have column `other`.

        What `_link` would do, written out.
        """
        self._columns[direct[0]] = column
        self._draw(column, _DOWN)
        bars, corners = self._bars, "├┤"
        if other < 0:
            other = self._columns[direct[1]] = self._free(column + 1)
            self._draw(other, _DOWN)
            corners = "╭╮"
        if other > column:
            left, right, start, end = "├", corners[1], 2 * column, 2 * other
        else:
            left, right, start, end = corners[0], "┤", 2 * other, 2 * column
        bars = bars.ljust(end + 1)
        return f"{bars[:start]}{left}{bars[start + 1 : end].replace(' ', '─')}{right}{bars[end + 1 :]}".rstrip()

    def _link(
        self, column: int, direct: Sequence[_Key], indirect: Sequence[_Key], *, is_cut_off: bool
    ) -> tuple[str, ...]:
        before = self._bars
        begun: set[int] = set()
        ends: list[int] = []
        # What is dotted, or is so no longer, must be seen, and the next row may be the commit that it leads to.
        is_shown_below = bool(indirect)
        turned = -1
        for parent, line in [*((each, _DOWN) for each in direct), *((each, _DOTTED) for each in indirect)]:
            end = self._columns.get(parent, -1)
            if end > column and not ends:
                # The line to the first parent turns left, into the column of this commit.
                solid = line is _DOWN or self._bars[2 * end] == _DOWN[0]
                is_shown_below = is_shown_below or self._bars[2 * end] != _DOWN[0]
                self._draw(column, _DOWN if solid else _DOTTED)
                self._columns[parent] = column
                turned = end
                ends.append(column)
            elif end < 0:
                end = column if self._is_free(column) else self._free(column + 1)
                self._columns[parent] = end
                self._draw(end, line)
                begun.add(end)
                ends.append(end)
            elif line is _DOWN and self._bars[2 * end] != _DOWN[0]:
                # Something direct has joined the line.
                self._draw(end, _DOWN)
                is_shown_below = True
                ends.append(end)
            else:
                ends.append(end)
        stub = -1
        if is_cut_off:
            stub = column if self._is_free(column) else self._free(column + 1)
            ends.append(stub)
            begun.add(stub)
        if turned >= 0:
            # Only now, so that nothing of this row could begin where it ends.
            self._draw(turned, _NOTHING)
            ends.append(turned)
        others = [end for end in ends if end != column]
        rows: tuple[str, ...] = ()
        if others:
            rows = (_stroke(before, column, others, begun, turned, goes_on=column in ends),)
        if stub >= 0:
            at = 2 * stub
            bars = self._bars
            rows += ((bars[:at].ljust(at) + "~" + bars[at + 1 :]).rstrip(),)
        elif is_shown_below:
            rows += (self.bars,)
        return rows

    def _is_free(self, column: int) -> bool:
        at = 2 * column
        return column != self._resting and (at >= len(self._bars) or self._bars[at] == " ")

    def _free(self, first: int) -> int:
        """The first free column from `first` on, or else any, or a new one."""
        bars = self._bars
        at = 2 * first
        while (at := bars.find("  ", at)) >= 0:
            # Spaces may begin between two columns.
            column = (at + 1) // 2
            if column != self._resting:
                return column
            at = 2 * column + 2
        if first and (column := self._free(0)) < len(bars) // 2:
            return column
        column = len(bars) // 2
        return column if column != self._resting else column + 1

    def _draw(self, column: int, line: str) -> None:
        """Change the line of a column, and leave no empty columns at the right."""
        at = 2 * column
        bars = self._bars
        bars = bars[:at] + line + bars[at + 2 :] if at < len(bars) else bars.ljust(at) + line
        if line is _NOTHING and not bars[at + 2 :]:
            bars = bars.rstrip()
            bars += " " * (len(bars) % 2)
        self._bars = bars


def _stroke(before: str, column: int, ends: list[int], begun: set[int], turned: int, *, goes_on: bool) -> str:
    """The row of links between a column and others, over the lines that were there before."""
    left, right = min(column, *ends), max(column, *ends)
    # From here on one text a column would be slow where a drawing is wide: only the ends are set one by one.
    before = before.ljust(2 * right + 2)
    start, stop = 2 * left + 1, 2 * right
    cells = list(before[:start] + before[start:stop].replace(" ", "─") + before[stop:])
    for end in ends:
        if end == turned:
            corner = "╯" if end == right else "┴"
        elif end in begun:
            corner = "╭" if end == left else "╮" if end == right else "┬"
        else:
            corner = "├" if end == left else "┤" if end == right else "┼"
        cells[2 * end] = corner
    if goes_on:
        cells[2 * column] = "├" if column == left else "┤" if column == right else "┼"
    else:
        cells[2 * column] = "╰" if column == left else "╯" if column == right else "┴"
    return "".join(cells).rstrip()

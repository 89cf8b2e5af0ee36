"""A drawing read back: which commit is joined to which, from the characters alone.

Knows nothing of how the drawing was made. Every rule that a reader's eye relies on is asserted on the way.
"""

from __future__ import annotations

from collections.abc import Iterable

SYMBOLS = "○⊘◇"
LINES = "│┊"
ENDING, GOING_ON = "╰╯┴", "├┤┼"
BEGINNING = "╭╮┬"


class Drawing:
    """The edges of a drawing, as pairs of the numbers of its commits, which count from the top."""

    def __init__(self, rows: Iterable[str]) -> None:
        self.edges: set[tuple[int, int]] = set()
        self.dotted: set[tuple[int, int]] = set()
        self.cut_off: set[int] = set()
        self.columns: list[int] = []
        self._lines: dict[int, set[int]] = {}
        """By column: the commits above that its line comes from."""
        self._dots: set[int] = set()
        self._above: int | None = None
        """The column of a commit in the row above, while it is open whether its line goes on."""
        for row in rows:
            self._read(row)
        self.open = self._lines
        """The lines that lead out of the drawing at its end."""

    def _read(self, row: str) -> None:
        cells = dict(enumerate(row))
        assert all(cells[place] in " ─" for place in cells if place % 2), row
        marks = {place // 2: cells[place] for place in cells if place % 2 == 0 and cells[place] != " "}
        symbols = [column for column, mark in marks.items() if mark in SYMBOLS]
        if symbols:
            assert "─" not in row
            [column] = symbols
            self._settle(marks.get(self._above) in (*SYMBOLS, *LINES) if self._above is not None else False, marks)
            self._commit(column, marks)
        elif "~" in marks.values():
            self._stub(marks)
        elif "─" not in row:
            self._settle(marks.get(self._above) in LINES if self._above in marks else False, marks)
            self._check_lines(marks, but=set())
        else:
            self._link(cells, marks)

    def _settle(self, goes_on: bool, marks: dict[int, str]) -> None:
        """Nothing was drawn below the last commit: its line goes straight on, or it has none."""
        if self._above is not None and goes_on:
            self._lines[self._above] = {len(self.columns) - 1}
            if marks[self._above] == "┊":
                self._dots.add(self._above)
        self._above = None

    def _commit(self, column: int, marks: dict[int, str]) -> None:
        number = len(self.columns)
        self.columns.append(column)
        self._check_lines({at: mark for at, mark in marks.items() if at != column}, but={column})
        for child in self._lines.pop(column, ()):
            self.edges.add((child, number))
            if column in self._dots:
                self.dotted.add((child, number))
        self._dots.discard(column)
        self._above = column

    def _link(self, cells: dict[int, str], marks: dict[int, str]) -> None:
        start, number = self._above, len(self.columns) - 1
        assert start is not None, "a row of links stands below its commit"
        strokes = [place for place, cell in cells.items() if cell == "─"]
        assert strokes, "a row of links has a stroke"
        left, right = (min(strokes) - 1) // 2, (max(strokes) + 1) // 2
        assert set(range(2 * left + 1, 2 * right, 2)) <= set(strokes), "one stroke, without a gap"
        assert left <= start <= right
        assert marks[start] in ENDING + GOING_ON
        self._check_sides(start, marks[start], left, right)
        lines = dict(self._lines)
        turned: set[int] = set()
        for column in range(left, right + 1):
            mark = marks.get(column, " ")
            if column == start:
                continue
            if mark in GOING_ON:
                self._check_sides(column, mark, left, right)
                assert column in lines, "a line is joined where there is one"
                self._lines[column] = lines[column] | {number}
            elif mark in ENDING:
                assert column > start, "a line turns left only"
                assert mark == ("╯" if column == right else "┴")
                assert marks[start] in GOING_ON
                turned |= self._lines.pop(column)
            elif mark in BEGINNING:
                assert mark == ("╭" if column == left else "╮" if column == right else "┬")
                assert column not in lines, "a line begins where there is none"
                self._lines[column] = {number}
                self._dots.discard(column)
            else:
                assert mark in LINES + "─", "the stroke passes"
                assert (mark in LINES) == (column in lines)
        outside = {at: mark for at, mark in marks.items() if not left <= at <= right}
        self._check_lines(outside, but=set(range(left, right + 1)))
        if marks[start] in GOING_ON:
            self._lines[start] = {number} | turned
            self._dots.discard(start)
        self._above = None

    def _stub(self, marks: dict[int, str]) -> None:
        [column] = [at for at, mark in marks.items() if mark == "~"]
        if column == self._above:
            self.cut_off.add(len(self.columns) - 1)
        else:
            self.cut_off |= self._lines.pop(column)
        self._above = None
        self._check_lines({at: mark for at, mark in marks.items() if at != column}, but={column})

    def _check_lines(self, marks: dict[int, str], but: set[int]) -> None:
        assert set(marks) == set(self._lines) - but, "every line goes on, and nothing else is there"
        assert set(marks.values()) <= set(LINES)
        for column, mark in marks.items():
            # A solid line stays so; a dotted one becomes solid when something direct joins it.
            if mark == "┊":
                self._dots.add(column)
            else:
                self._dots.discard(column)

    @staticmethod
    def _check_sides(column: int, mark: str, left: int, right: int) -> None:
        expected = 0 if column == left else 1 if column == right else 2
        kinds = {"├": 0, "╰": 0, "┤": 1, "╯": 1, "┼": 2, "┴": 2}
        assert kinds[mark] == expected

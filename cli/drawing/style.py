"""The characters of a drawing, and its colours.

| where | unicode | ascii | what |
| --- | --- | --- | --- |
| symbols | `○` `⊘` `◇` | `*` `x` `?` | a commit; one that was discarded; one that a ref in conflict points at |
| lines | `│` `┊` | `|` `:` | a line on its way down; one that leads through commits which are not shown |
| below a commit | `├ ┤ ┼` | `+` | its line goes on down, and others leave it to the right, the left, both sides |
| | `╰ ╯ ┴` | `'` | its line ends, and others leave it |
| where a line arrives | `├ ┤ ┼` | `+` | it joins a line that was there |
| | `╭ ╮ ┬` | `.` | it begins a line |
| on the way | `─│─` | `-|-` | it passes under a line that it has nothing to do with |
| ends | `~` | `~` | parents that are not shown, and nothing below them is |
"""

from __future__ import annotations

from dataclasses import dataclass

PALETTE = ("31", "32", "33", "34", "35", "36", "91", "92", "93", "94", "95", "96")
"""Of columns, in turn."""


@dataclass(frozen=True, slots=True)
class Style:
    """What stands for what; `table` turns the characters of `UNICODE` into those of this style."""

    commit: str
    discarded: str
    conflicted: str
    table: dict[int, int] | None = None


UNICODE = Style("○", "⊘", "◇")
ASCII = Style("*", "x", "?", str.maketrans("│┊─├┤┼╰╯┴╭╮┬", "|:-+++'''..."))


def coloured(row: str) -> str:
    """A row of a drawing with a colour for each column."""
    # A horizontal piece has the colour of the column to its right.
    return "".join(
        character if character == " " else f"\x1b[{PALETTE[(place + 1) // 2 % len(PALETTE)]}m{character}\x1b[0m"
        for place, character in enumerate(row)
    )

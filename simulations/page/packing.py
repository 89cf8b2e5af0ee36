"""Labelled stretches of time in rows, so that no label meets another one or somebody else's stretch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CHARACTER_WIDTH = 6.3
"""Of the labels' type, rather too much than too little: nobody can measure text here."""
GAP = 8.0
BESIDE = 4.0
"""Between a stretch and a label that does not fit into it."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `left` to `right` on the paper, and what is to be written at it."""

    left: float
    right: float
    label: str


@dataclass(frozen=True, slots=True)
class Place:
    """The row of a stretch, and where its label begins."""

    row: int
    label_left: float


def pack(stretches: Sequence[Stretch], *, rows_max: int, left_end: float, right_end: float) -> list[Place | None]:
    """Put stretches with their labels into as few rows as there need be; O(stretches x rows).

    A label is inside its stretch if that is wide enough, else right of it, and left of it at the paper's right end.
    Who finds no room in `rows_max` rows gets None.
    """
    places: list[Place | None] = [None] * len(stretches)
    ends: list[float] = []
    for number in sorted(range(len(stretches)), key=lambda number: stretches[number].left):
        each = stretches[number]
        label_left, label_right = _label(each, left_end, right_end)
        left, right = min(each.left, label_left), max(each.right, label_right)
        row = next((row for row, end in enumerate(ends) if end + GAP <= left), None)
        if row is None and len(ends) < rows_max:
            row = len(ends)
            ends.append(right)
        if row is not None:
            ends[row] = right
            places[number] = Place(row, label_left)
    return places


def _label(stretch: Stretch, left_end: float, right_end: float) -> tuple[float, float]:
    width = len(stretch.label) * CHARACTER_WIDTH
    if width + 2 * BESIDE <= stretch.right - stretch.left:
        left = stretch.left + BESIDE
    elif stretch.right + BESIDE + width <= right_end:
        left = stretch.right + BESIDE
    else:
        left = max(left_end, min(stretch.left - BESIDE, right_end) - width)
    return left, left + width

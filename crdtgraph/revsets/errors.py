"""What is wrong with a revset, and where: the column, and the text with a caret under the place."""

from __future__ import annotations

import unicodedata

from crdtgraph.errors import AmbiguousError, LocalError, NotFoundError

SHOWN_MAX = 72
"""Characters of a long text that are shown around the place."""
_BEFORE = 48


class RevsetError(LocalError):
    """A revset that cannot be understood.

    `column` counts characters from 1. The hint ends with the text of the revset and a caret under that column.
    """

    def __init__(self, message: str, hint: str = "", column: int = 1) -> None:
        super().__init__(message, hint)
        self.column = column


def revset_error(text: str, at: int, message: str, remedy: str) -> RevsetError:
    """The error for what is wrong at a place (counted from 0) of a text."""
    return RevsetError(f"revset, column {at + 1}: {message}", pointed(text, at, remedy), at + 1)


def lookup_error(text: str, at: int, failure: LocalError, remedy: str) -> LocalError:
    """The same failure to find something, told with the column where its name stands in a larger text."""
    kind = AmbiguousError if isinstance(failure, AmbiguousError) else NotFoundError
    return kind(f"revset, column {at + 1}: {failure.message}", pointed(text, at, remedy))


def pointed(text: str, at: int, remedy: str) -> str:
    """A hint that shows the place in the text."""
    start = max(0, at - _BEFORE) if len(text) > SHOWN_MAX else 0
    shown = text[start : start + SHOWN_MAX]
    before, after = "..." if start else "", "..." if start + SHOWN_MAX < len(text) else ""
    line = before + "".join(_plain(character) for character in shown) + after
    indent = len(before) + sum(_width(character) for character in shown[: at - start])
    return f"{remedy}\n  {line}\n  {' ' * indent}^"


def _plain(character: str) -> str:
    """A line stays one line, and what a terminal would act on is not sent there."""
    return character if character.isprintable() else " "


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1

"""Texts that others are compared with: `w3` (part of it), `exact:w3`, `glob:w*`, and each with `-i` for any case."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass

from crdtgraph.errors import LocalError
from crdtgraph.revsets.tokens import PATTERN_KINDS

_NOT_OURS = ("re:", "regex:", "literal:")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A kind of comparison and what to compare with."""

    kind: str
    text: str

    def matches(self, text: str) -> bool:
        """Whether a text is as the pattern says."""
        wanted = self.text
        if self.kind.endswith("-i"):
            text, wanted = text.casefold(), wanted.casefold()
        match self.kind.removesuffix("-i"):
            case "exact":
                return text == wanted
            case "glob":
                # `fnmatch` makes an expression that never backtracks over a star, so no pattern takes for ever.
                return re.fullmatch(fnmatch.translate(wanted), text) is not None
            case _:
                return wanted in text


def parse_pattern(text: str, default: str = "substring") -> Pattern:
    """A pattern from `kind:text`, or a text alone for the default kind; LocalError for the kinds of other programs."""
    kind, colon, rest = text.partition(":")
    if colon and kind in PATTERN_KINDS:
        return Pattern(kind, rest)
    if text.startswith(_NOT_OURS):
        raise LocalError(
            f"{kind!r} is no kind of pattern",
            hint=f"kinds are {', '.join(PATTERN_KINDS)}; to look for this very text: substring:{text[:40]}",
        )
    return Pattern(default, text)

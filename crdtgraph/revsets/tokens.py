r"""The words of a revset.

A bare name is made of letters and digits of any script and `_ / @ # % = * ? $ [ ] { }`. It goes on over `-`, `+`, a
single `.` and a single `:` as long as a name character follows. So `feature/x-1`, `release-1.0`, `git:00ff` and
`2026-11-01T10:00` are one name each, in `x-` the dash is an operator because no name character follows, and `a..b` and
`a::b` are ranges. Any other name stands in quotes: "..." with the escapes \", \\, \n and \t, or '...' without any.

The rule is that of jj (https://jj-vcs.github.io/jj/latest/revsets/), but for the colon and for several dashes in a row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from crdtgraph.revsets.errors import revset_error

TEXT_CHARACTERS_MAX = 16_384
"""A list of 240 whole ids fits; nobody writes more by hand."""

PATTERN_KINDS = ("substring", "exact", "glob", "substring-i", "exact-i", "glob-i")
"""What may stand, with a colon, before a text to compare with; for those in `-i` capitals are as small letters."""

_PART = r"(?:[\w/@#%=*?$\[\]{}]|(?!\s)[^\x00-\x9f])"
NAME = re.compile(rf"{_PART}(?:(?:[-+]|\.(?!\.)|:(?!:))*{_PART})*")
_SPACE = re.compile(r"\s*")
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}
_REMEDIES = {
    "^": "the parents of x are x-, those of the parents x--",
    "!": "everything but x is ~x",
    ":": "a range of the graph is written a::b",
    ".": "a range is written a..b; what only one of two sides has is only(a, b) | only(b, a)",
    "-": "the difference of x and y is x ~ y; x- (without a space) is the parents of x",
    "+": "the union of x and y is x | y; x+ (without a space) is the children of x",
    ">": "a range of the graph is written a::b",
    "<": "a range of the graph is written a::b",
}
_ANY_REMEDY = "put a name with other characters than letters, digits and / _ - . @ into quotes"


class Kind(Enum):
    """What a word is; the value is how messages call it."""

    NAME = "a name"
    TEXT = "a quoted text"
    UNION = "'|'"
    INTERSECTION = "'&'"
    TILDE = "'~'"
    OPEN = "'('"
    CLOSE = "')'"
    COMMA = "','"
    DOTS = "'..'"
    COLONS = "'::'"
    PARENTS = "'-'"
    CHILDREN = "'+'"
    END = "the end"


@dataclass(frozen=True, slots=True)
class Token:
    """One word, where it starts, and whether it follows the one before without a space. A quoted text is unquoted."""

    kind: Kind
    text: str
    at: int
    glued: bool


_OPERATORS = {
    "|": Kind.UNION,
    "&": Kind.INTERSECTION,
    "~": Kind.TILDE,
    "(": Kind.OPEN,
    ")": Kind.CLOSE,
    ",": Kind.COMMA,
    "..": Kind.DOTS,
    "::": Kind.COLONS,
    "-": Kind.PARENTS,
    "+": Kind.CHILDREN,
}


def is_bare(text: str) -> bool:
    """Whether a name needs no quotes."""
    return NAME.fullmatch(text) is not None


def quoted(text: str) -> str:
    """A name in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def tokenize(text: str) -> list[Token]:
    """The words of a text, the last of which is the end. Raises RevsetError."""
    if len(text) > TEXT_CHARACTERS_MAX:
        remedy = f"at most {TEXT_CHARACTERS_MAX} characters are possible; ask in parts"
        raise revset_error(text, TEXT_CHARACTERS_MAX, f"the text has {len(text)} characters", remedy)
    tokens: list[Token] = []
    end = 0
    while True:
        at = _end_of_space(text, end)
        glued = at == end
        if at == len(text):
            tokens.append(Token(Kind.END, "", at, glued))
            return tokens
        token, end = _token(text, at, glued)
        tokens.append(token)


def _end_of_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return at if space is None else space.end()


def _token(text: str, at: int, glued: bool) -> tuple[Token, int]:
    name = NAME.match(text, at)
    if name:
        end = name.end()
        if name[0] in PATTERN_KINDS and text[end : end + 2] in (':"', ":'"):
            value, end = _unquote(text, end + 1)
            return Token(Kind.TEXT, f"{name[0]}:{value}", at, glued), end
        return Token(Kind.NAME, name[0], at, glued), end
    if text[at] in "\"'":
        value, end = _unquote(text, at)
        return Token(Kind.TEXT, value, at, glued), end
    for length in (2, 1):
        word = text[at : at + length]
        if word in _OPERATORS:
            return Token(_OPERATORS[word], word, at, glued), at + length
    raise unexpected(text, at)


def unexpected(text: str, at: int) -> Exception:
    """The error for a character that begins no word."""
    return revset_error(text, at, f"unexpected {text[at]!r}", _REMEDIES.get(text[at], _ANY_REMEDY))


def _unquote(text: str, at: int) -> tuple[str, int]:
    """The value of the quoted text that begins at a place, and where it ends."""
    quote, start = text[at], at
    found: list[str] = []
    at += 1
    while at < len(text):
        character = text[at]
        if character == quote:
            return "".join(found), at + 1
        if character == "\\" and quote == '"':
            at += 1
            if text[at : at + 1] not in _ESCAPES or at == len(text):
                remedy = 'use \\", \\\\, \\n or \\t, or single quotes, in which a backslash is a backslash'
                raise revset_error(text, at - 1, f"unknown escape {text[at - 1 : at + 1]!r}", remedy)
            character = _ESCAPES[text[at]]
        found.append(character)
        at += 1
    raise revset_error(text, start, "a quoted text that does not end", f"close it with {quote}")

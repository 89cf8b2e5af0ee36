"""Patterns that paths are compared with, and which of several decides.

| in a pattern | stands for |
| --- | --- |
| `?` | one character that is no "/" |
| `*` | any number of them, also none |
| `[abc]`, `[a-z]`, `[!a]` | one character of these, or of all but these; never "/" |
| `**` | anything, "/" among it; `**/` also nothing, so that `a/**/b` is `a/b`, too |

All other characters stand for themselves (`[*]` is a star), and a pattern describes whole paths. Case counts, and
nothing depends on the machine or its language.

Of the patterns that a path fits the *most specific* decides: the one with the most characters that stand for
themselves, then the one with the fewest wildcards, then the first by code points. So the order in which patterns were
given plays no part: replicas that hold the same ones, in whatever order they came, agree.

Matching simulates a nondeterministic automaton, with one set of states for each character of the path (Thompson,
"Regular expression search algorithm", 1968): O(pattern * path) for any pattern. A backtracking matcher could be kept
busy for ever by the pattern of a peer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import takewhile

from crdtgraph.errors import LocalError
from crdtgraph.records import check_name

PATTERN_BYTES_MAX = 1_000
"""Patterns are kept as names of metadata, of at most 1,024 bytes, behind a prefix."""


class _Kind(Enum):
    LITERAL = auto()
    ONE = auto()
    CLASS = auto()
    STAR = auto()
    ANYTHING = auto()
    OPTION = auto()
    """The next two may be left out."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: _Kind
    character: str = ""
    ranges: tuple[tuple[str, str], ...] = ()
    inverted: bool = False

    def takes(self, character: str) -> bool:
        """Whether a character fits."""
        match self.kind:
            case _Kind.LITERAL:
                return character == self.character
            case _Kind.CLASS:
                inside = any(low <= character <= high for low, high in self.ranges)
                return character != "/" and inside != self.inverted
            case _Kind.ONE | _Kind.STAR:
                return character != "/"
            case _:
                return self.kind is _Kind.ANYTHING


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A pattern, read. `text` is how it was written, `prefix` the characters before the first wildcard."""

    text: str
    tokens: tuple[_Token, ...]
    prefix: str

    def matches(self, path: str) -> bool:
        """Whether the pattern describes this whole path. O(pattern * path) at worst."""
        if not path.startswith(self.prefix):
            return False
        tokens = self.tokens
        states = self._skip({len(self.prefix)})
        for character in path[len(self.prefix) :]:
            if len(tokens) in states and tokens[-1].kind is _Kind.ANYTHING:
                return True
            following = set()
            for state in states:
                if state < len(tokens) and tokens[state].takes(character):
                    repeats = tokens[state].kind in (_Kind.STAR, _Kind.ANYTHING)
                    following.add(state if repeats else state + 1)
            if not following:
                return False
            states = self._skip(following)
        return len(tokens) in states

    @property
    def precedence(self) -> tuple[int, int, str]:
        """Of the patterns that a path fits the one for which this is smallest decides."""
        literals = sum(token.kind is _Kind.LITERAL for token in self.tokens)
        wildcards = sum(token.kind is not _Kind.LITERAL and token.kind is not _Kind.OPTION for token in self.tokens)
        return -literals, wildcards, self.text

    def _skip(self, states: set[int]) -> set[int]:
        """These states and those that are reached from them without a character."""
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            kind = self.tokens[state].kind if state < len(self.tokens) else None
            if kind in (_Kind.STAR, _Kind.ANYTHING):
                reached = {state + 1}
            elif kind is _Kind.OPTION:
                reached = {state + 1, state + 3}
            else:
                continue
            waiting += reached - states
            states |= reached
        return states


def parse_path_pattern(text: str) -> PathPattern:
    """Read a pattern; raises LocalError for one that is empty, too long, or has a `[` without its `]`."""
    check_name(text, "pattern")
    if len(text.encode()) > PATTERN_BYTES_MAX:
        raise LocalError(
            f"pattern {text[:40]!r}... is too long", hint=f"at most {PATTERN_BYTES_MAX} bytes are possible"
        )
    tokens = tuple(_tokens(text))
    literals = takewhile(lambda token: token.kind is _Kind.LITERAL, tokens)
    return PathPattern(text, tokens, "".join(token.character for token in literals))


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        character = text[place]
        if text.startswith("**", place):
            at_start = place == 0 or text[place - 1] == "/"
            while place < len(text) and text[place] == "*":
                place += 1
            if at_start and text.startswith("/", place):
                yield _Token(_Kind.OPTION)
                yield _Token(_Kind.ANYTHING)
                yield _Token(_Kind.LITERAL, "/")
                place += 1
            else:
                yield _Token(_Kind.ANYTHING)
            continue
        if character == "[":
            end = _class_end(text, place)
            yield _class(text[place + 1 : end])
            place = end + 1
            continue
        kind = {"?": _Kind.ONE, "*": _Kind.STAR}.get(character, _Kind.LITERAL)
        yield _Token(kind, character if kind is _Kind.LITERAL else "")
        place += 1


def _class_end(text: str, start: int) -> int:
    """Where the `]` of the `[` at `start` is. One that comes first, or first after `!`, is of the class."""
    first = start + 2 if text.startswith("!", start + 1) else start + 1
    end = text.find("]", first + 1)
    if end < 0:
        raise LocalError(f"pattern {text!r:.80} has a '[' without its ']'", hint="write [[] for the character itself")
    return end


def _class(body: str) -> _Token:
    inverted = body.startswith("!")
    characters = body[1:] if inverted else body
    ranges = []
    place = 0
    while place < len(characters):
        is_range = characters.startswith("-", place + 1) and place + 2 < len(characters)
        ranges.append((characters[place], characters[place + 2] if is_range else characters[place]))
        place += 3 if is_range else 1
    for low, high in ranges:
        if low > high:
            raise LocalError(f"{low}-{high} is no range of characters", hint=f"write [{high}-{low}]")
    return _Token(_Kind.CLASS, ranges=tuple(ranges), inverted=inverted)

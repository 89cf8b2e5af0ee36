"""A revset read into a tree, by recursive descent.

```
union     = narrowed ("|" narrowed)*
narrowed  = prefixed (("&" | "~") prefixed)*
prefixed  = "~" prefixed | range
range     = steps? (".." | "::") steps? | steps
steps     = primary ("-" | "+")*          (without a space before)
primary   = "(" union ")" | name "(" arguments? ")" | name | text
arguments = union ("," union)*
```
"""

from __future__ import annotations

from crdtgraph.revsets.errors import RevsetError, revset_error
from crdtgraph.revsets.syntax import (
    Against,
    Call,
    Complement,
    Expression,
    Name,
    Narrowed,
    Range,
    RangeKind,
    Steps,
    Union,
)
from crdtgraph.revsets.tokens import Kind, Token, tokenize, unexpected

NESTING_MAX = 64
"""Parentheses, calls and complements within each other. Deeper ones come from a program that should build a flat union,
and each level takes six of the interpreter's 1,000 frames."""

_RANGES = {Kind.DOTS: RangeKind.BEYOND, Kind.COLONS: RangeKind.PATHS}
_NARROWING = {Kind.INTERSECTION: Against.AND, Kind.TILDE: Against.WITHOUT}
_STARTS = (Kind.NAME, Kind.TEXT, Kind.OPEN)
_WORDS = {"and": "&", "or": "|", "not": "~", "minus": "~"}


def parse(text: str) -> Expression:
    """The tree of a revset; RevsetError says what is wrong with it, and where."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokenize(text)
        self._place = 0
        self._depth = 0

    def _next(self) -> Token:
        return self._tokens[self._place]

    def _take(self, kind: Kind) -> bool:
        taken = self._next().kind is kind
        self._place += taken
        return taken

    def whole(self) -> Expression:
        if self._next().kind is Kind.END:
            raise revset_error(self._text, 0, "it is empty", "name a commit, or write all() for all of them")
        found = self._union()
        if self._next().kind is not Kind.END:
            raise self._no_operator()
        return found

    def _union(self) -> Expression:
        terms = [self._narrowed()]
        while self._take(Kind.UNION):
            terms.append(self._narrowed())
        return terms[0] if len(terms) == 1 else Union(tuple(terms))

    def _narrowed(self) -> Expression:
        first = self._prefixed()
        others = []
        while self._next().kind in _NARROWING:
            against = _NARROWING[self._next().kind]
            self._place += 1
            others.append((against, self._prefixed()))
        return Narrowed(first, tuple(others)) if others else first

    def _prefixed(self) -> Expression:
        if self._next().kind is Kind.TILDE:
            self._descend()
            self._place += 1
            found: Expression = Complement(self._prefixed())
            self._depth -= 1
            return found
        return self._range()

    def _range(self) -> Expression:
        low = None if self._next().kind in _RANGES else self._steps()
        if self._next().kind not in _RANGES:
            assert low is not None
            return low
        kind = _RANGES[self._next().kind]
        self._place += 1
        high = self._steps() if self._next().kind in _STARTS else None
        if self._next().kind in _RANGES:
            remedy = "a range has two ends; put an inner one into parentheses"
            raise revset_error(
                self._text, self._next().at, f"unexpected {self._next().kind.value} after a range", remedy
            )
        return Range(kind, low, high)

    def _steps(self) -> Expression:
        found = self._primary()
        steps = ""
        while self._next().kind in (Kind.PARENTS, Kind.CHILDREN) and self._next().glued:
            steps += self._next().text
            self._place += 1
        return Steps(found, steps) if steps else found

    def _primary(self) -> Expression:
        token = self._next()
        if token.kind not in _STARTS:
            raise self._no_operand()
        self._place += 1
        if token.kind is Kind.OPEN:
            self._descend()
            found = self._union()
            self._close(token, "the parenthesis")
            self._depth -= 1
            return found
        if token.kind is Kind.NAME and self._next().kind is Kind.OPEN and self._next().glued:
            return self._call(token)
        return Name(token.text, token.at)

    def _call(self, name: Token) -> Call:
        self._descend()
        self._place += 1
        arguments: list[Expression] = []
        if self._next().kind is not Kind.CLOSE:
            arguments.append(self._union())
            while self._take(Kind.COMMA):
                arguments.append(self._union())
        self._close(name, f"{name.text}(")
        self._depth -= 1
        return Call(name.text, tuple(arguments), name.at)

    def _close(self, opened: Token, what: str) -> None:
        if self._next().kind is Kind.END:
            at = opened.at
            raise revset_error(self._text, at, f"{what} that begins here is not closed", "add a ) where it ends")
        if not self._take(Kind.CLOSE):
            raise self._no_operator()

    def _descend(self) -> None:
        self._depth += 1
        if self._depth > NESTING_MAX:
            remedy = f"at most {NESTING_MAX} levels are possible; a union of many needs no parentheses: a | b | c"
            raise revset_error(self._text, self._next().at, "it is nested too deep", remedy)

    def _no_operand(self) -> RevsetError:
        token = self._next()
        expected = "expected a commit, a function or '('"
        remedy = "see docs/revsets.md for the language"
        if self._place and self._tokens[self._place - 1].kind is Kind.OPEN and token.kind is Kind.CLOSE:
            remedy = "write the set that belongs between the parentheses, all() for all commits"
        elif token.kind in (Kind.PARENTS, Kind.CHILDREN):
            remedy = f"{token.text} stands behind a set: x{token.text}; put a name that begins so into quotes"
        return revset_error(self._text, token.at, f"{expected}, not {token.kind.value}", remedy)

    def _no_operator(self) -> Exception:
        token = self._next()
        if token.kind is Kind.CLOSE:
            return revset_error(self._text, token.at, "there is no '(' for this ')'", "remove it, or open it before")
        if token.kind in (Kind.PARENTS, Kind.CHILDREN):
            return unexpected(self._text, token.at)
        if token.kind is Kind.COMMA:
            return revset_error(self._text, token.at, "unexpected ','", "the union of x and y is x | y")
        remedy = "join two sets with | (union), & (both) or ~ (without); put a name with spaces into quotes"
        for word in (token.text, self._tokens[self._place - 1].text):
            if word in _WORDS:
                remedy = f"{word} is written {_WORDS[word]}"
        shown = f"{token.kind.value} {token.text[:40]!r}" if token.text else token.kind.value
        if token.kind is Kind.OPEN:
            shown, remedy = "'('", "a function's name and its parenthesis stand together: heads(x)"
        return revset_error(self._text, token.at, f"expected an operator, not {shown}", remedy)

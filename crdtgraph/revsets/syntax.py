"""What a revset means, as a tree. `str` of a tree is a text that parses to an equal tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from crdtgraph.revsets.tokens import is_bare, quoted


class RangeKind(StrEnum):
    """The two ranges: by ancestry of both ends, and along paths between them."""

    BEYOND = ".."
    PATHS = "::"


class Against(StrEnum):
    """What a set is narrowed by: members of another one, or those that are not."""

    AND = "&"
    WITHOUT = "~"


@dataclass(frozen=True, slots=True)
class Name:
    """A ref, an id, a prefix, `git:<oid>`; as an argument also a text, a number, a time."""

    text: str
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return self.text if is_bare(self.text) else quoted(self.text)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of a set, or a named set."""

    function: str
    arguments: tuple[Expression, ...]
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


@dataclass(frozen=True, slots=True)
class Steps:
    """As many steps to parents (`-`) and children (`+`) as there are characters."""

    operand: Expression
    steps: str

    def __str__(self) -> str:
        return _tight(self.operand, _POSTFIX) + self.steps


@dataclass(frozen=True, slots=True)
class Range:
    """`low..high` or `low::high`, each end optional."""

    kind: RangeKind
    low: Expression | None
    high: Expression | None

    def __str__(self) -> str:
        ends = ["" if end is None else _tight(end, _POSTFIX) for end in (self.low, self.high)]
        return self.kind.join(ends)


@dataclass(frozen=True, slots=True)
class Complement:
    """Everything but the operand."""

    operand: Expression

    def __str__(self) -> str:
        return "~" + _tight(self.operand, _PREFIX)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A set, narrowed one after the other by others."""

    first: Expression
    others: tuple[tuple[Against, Expression], ...]

    def __str__(self) -> str:
        rest = "".join([f" {against} {_tight(other, _PREFIX)}" for against, other in self.others])
        return _tight(self.first, _PREFIX) + rest


@dataclass(frozen=True, slots=True)
class Union:
    """All sets together."""

    terms: tuple[Expression, ...]

    def __str__(self) -> str:
        return " | ".join([_tight(term, _NARROWED) for term in self.terms])


Expression = Name | Call | Steps | Range | Complement | Narrowed | Union

_UNION, _NARROWED, _PREFIX, _RANGE, _POSTFIX, _PRIMARY = range(6)
_STRENGTHS: dict[type, int] = {
    Union: _UNION,
    Narrowed: _NARROWED,
    Complement: _PREFIX,
    Range: _RANGE,
    Steps: _POSTFIX,
    Name: _PRIMARY,
    Call: _PRIMARY,
}


def _tight(expression: Expression, strength: int) -> str:
    """The text of an expression, in parentheses if it binds less than is needed where it stands."""
    text = str(expression)
    return text if _STRENGTHS[type(expression)] >= strength else f"({text})"


def children_of(expression: Expression) -> list[Expression]:
    """The expressions directly within one."""
    match expression:
        case Call():
            return list(expression.arguments)
        case Steps() | Complement():
            return [expression.operand]
        case Range():
            return [end for end in (expression.low, expression.high) if end is not None]
        case Narrowed():
            return [expression.first, *(other for _, other in expression.others)]
        case Union():
            return list(expression.terms)
        case _:
            return []


def place_of(expression: Expression) -> int:
    """Where the first name or call of an expression stands in its text; 0 if it has none."""
    while not isinstance(expression, Name | Call):
        inner = children_of(expression)
        if not inner:
            return 0
        expression = inner[0]
    return expression.at

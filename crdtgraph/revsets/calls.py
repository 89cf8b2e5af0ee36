"""What a function of revsets is, what a call of it gives it, and the checks before anything is worked out.

A mistake in an argument is found by looking at the tree alone, so a slow set is no wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import TYPE_CHECKING

from crdtgraph.errors import LocalError
from crdtgraph.moments import parse_moment
from crdtgraph.revsets.errors import revset_error
from crdtgraph.revsets.patterns import Pattern, parse_pattern
from crdtgraph.revsets.sets import NodeSet
from crdtgraph.revsets.syntax import Call, Expression, Name, children_of, place_of
from crdtgraph.steps import Stepwise

if TYPE_CHECKING:
    from crdtgraph.revsets.evaluation import Evaluation

DIGITS_MAX = 9
"""Of a number; no graph has more commits."""


class Takes(Enum):
    """What an argument is; the value is how messages call it."""

    SET = "a set of commits"
    PATTERN = "a text"
    NUMBER = "a number"
    MOMENT = "a time"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a function."""

    name: str
    takes: Takes
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call, each read as what it is for; they have been checked."""

    evaluation: Evaluation
    call: Call

    def __len__(self) -> int:
        return len(self.call.arguments)

    def node_set(self, place: int) -> Stepwise[NodeSet]:
        """A set of commits."""
        return self.evaluation.set_of(self.call.arguments[place])

    def members(self, place: int) -> Stepwise[set[int]]:
        """The members of a set of commits."""
        found = yield from self.node_set(place)
        return (yield from self.evaluation.algebra.members(found))

    def pattern(self, place: int, default: str = "substring") -> Pattern:
        """What to compare texts with."""
        return parse_pattern(self._word(place), default)

    def number(self, place: int) -> int:
        """A number from 0 on."""
        return int(self._word(place))

    def moment(self, place: int) -> int:
        """A time in microseconds since the epoch."""
        return parse_moment(self._word(place), self.evaluation.now_us)

    def _word(self, place: int) -> str:
        argument = self.call.arguments[place]
        assert isinstance(argument, Name), "arguments are checked first"
        return argument.text


@dataclass(frozen=True, slots=True)
class Function:
    """A function: what it takes, what it is, and how its set is worked out, at once or in bounded steps."""

    parameters: tuple[Parameter, ...]
    summary: str
    work: Callable[[Arguments], NodeSet | Stepwise[NodeSet]]

    def signature(self, name: str) -> str:
        """How a call looks, with optional parameters in brackets."""
        shown = ""
        for each in self.parameters:
            comma = ", " if shown else ""
            shown += f"[{comma}{each.name}]" if each.optional else f"{comma}{each.name}"
        return f"{name}({shown})"


def check(text: str, expression: Expression, functions: Mapping[str, Function], now_us: int) -> None:
    """Raise RevsetError unless all functions are there and their arguments are what they take."""
    if isinstance(expression, Call):
        function = _function(text, expression, functions)
        for parameter, argument in zip(function.parameters, expression.arguments, strict=False):
            if parameter.takes is Takes.SET:
                check(text, argument, functions, now_us)
            else:
                _check_word(text, expression, parameter, argument, now_us)
    else:
        for inner in children_of(expression):
            check(text, inner, functions, now_us)


def _function(text: str, call: Call, functions: Mapping[str, Function]) -> Function:
    function = functions.get(call.function)
    if function is None:
        close = get_close_matches(call.function, functions, 3)
        remedy = " or ".join([functions[name].signature(name) for name in close])
        remedy = f"did you mean {remedy}?" if remedy else f"functions: {', '.join(functions)}"
        raise revset_error(text, call.at, f"there is no function {call.function[:40]!r}", remedy)
    high = len(function.parameters)
    low = sum(not each.optional for each in function.parameters)
    if not low <= len(call.arguments) <= high:
        wanted = str(high) if low == high else f"{low} or {high}"
        takes = f"takes {wanted} argument{'s' * (high != 1)}" if high else "takes no arguments"
        message = f"{call.function}() {takes}, not {len(call.arguments)}"
        raise revset_error(text, call.at, message, f"{function.signature(call.function)}: {function.summary}")
    return function


def _check_word(text: str, call: Call, parameter: Parameter, argument: Expression, now_us: int) -> None:
    what = f"{parameter.name} of {call.function}() is {parameter.takes.value}"
    if not isinstance(argument, Name):
        raise revset_error(text, place_of(argument), what, "put a text with operators in it into quotes")
    given = argument.text
    if parameter.takes is Takes.NUMBER and not (given.isascii() and given.isdigit() and len(given) <= DIGITS_MAX):
        remedy = f"write a whole number of at most {DIGITS_MAX} digits"
        raise revset_error(text, argument.at, f"{what}, not {given[:40]!r}", remedy)
    try:
        if parameter.takes is Takes.MOMENT:
            parse_moment(given, now_us)
        elif parameter.takes is Takes.PATTERN:
            parse_pattern(given)
    except LocalError as failure:
        raise revset_error(text, argument.at, failure.message, failure.hint) from None

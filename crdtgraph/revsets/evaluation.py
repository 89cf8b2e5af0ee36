"""A tree worked out over one plane of a graph."""

from __future__ import annotations

from difflib import get_close_matches
from itertools import islice

from crdtgraph.errors import AmbiguousError, LocalError, NotFoundError
from crdtgraph.ids import CommitId
from crdtgraph.planes import LEDGER
from crdtgraph.reader import Reader
from crdtgraph.records import Commit
from crdtgraph.revsets.calls import Arguments
from crdtgraph.revsets.errors import lookup_error
from crdtgraph.revsets.functions import FUNCTIONS, explicit, reach
from crdtgraph.revsets.sets import EVERYTHING, Algebra, NodeSet
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
from crdtgraph.steps import Stepwise

COMPARED_MAX = 1_000
"""Refs whose names are compared with one that is not there, to find what was meant."""


class Evaluation:
    """One text over one plane of a reader, at one time."""

    def __init__(self, reader: Reader, text: str, now_us: int, plane: str = LEDGER) -> None:
        self.reader = reader
        self.now_us = now_us
        self._text = text
        self._plane = plane
        home = reader._plane(plane)
        self.algebra = Algebra(home.projection, home.contents)

    def set_of(self, expression: Expression) -> Stepwise[NodeSet]:
        """The set that a tree means, in bounded steps; its calls have been checked."""
        match expression:
            case Name():
                return explicit([self.node(self.resolve(expression))])
            case Call():
                answer = FUNCTIONS[expression.function].work(Arguments(self, expression))
                return answer if isinstance(answer, NodeSet) else (yield from answer)
            case Steps():
                return (yield from self._steps(expression))
            case Range():
                beyond = expression.kind is RangeKind.BEYOND
                return (yield from self._beyond(expression) if beyond else self._paths(expression))
            case Complement():
                return (yield from self.algebra.difference(EVERYTHING, (yield from self.set_of(expression.operand))))
            case Narrowed():
                return (yield from self._narrowed(expression))
            case Union():
                return (yield from self._union(expression))

    def node(self, commit: CommitId) -> int:
        """The number of a commit."""
        return self.reader.node(commit, plane=self._plane)

    def commit(self, node: int) -> Commit:
        """The contents of a commit."""
        return self.algebra.contents.get(self.algebra.projection.locations[node])

    def resolve(self, name: Name) -> CommitId:
        """The commit that a name names; NotFoundError or AmbiguousError, with the column if the text holds more."""
        try:
            return self.reader.resolve(name.text, plane=self._plane)
        except (NotFoundError, AmbiguousError) as failure:
            remedy = self._remedy(name, failure)
            if self._text.strip() == str(name):
                raise type(failure)(failure.message, remedy) from None
            raise lookup_error(self._text, name.at, failure, remedy) from None

    def _remedy(self, name: Name, failure: LocalError) -> str:
        if isinstance(failure, AmbiguousError):
            return failure.hint
        if self._text.strip() in self.reader.refs:
            return "a ref has the whole text as its name; put it into quotes to mean that ref"
        if not name.text:
            return "an empty text names no commit; all() is all of them"
        if name.text.isdigit() and self._text[: name.at].endswith("~"):
            return "~ is without; the parents of x are x-, those of the parents x--"
        close = get_close_matches(name.text, list(islice(self.reader.refs, COMPARED_MAX)), 3)
        return f"did you mean {' or '.join(str(Name(each)) for each in close)}?" if close else failure.hint

    def _steps(self, expression: Steps) -> Stepwise[NodeSet]:
        members = yield from self.algebra.members((yield from self.set_of(expression.operand)))
        for step in expression.steps:
            members = self.algebra.stepped(members, step)
            if not members:
                break
            yield
        return explicit(members)

    def _beyond(self, expression: Range) -> Stepwise[NodeSet]:
        """`a..b`: what b reaches and a does not; without b, what all heads reach."""
        included = EVERYTHING
        if expression.high is not None:
            included = yield from reach(self.algebra, (yield from self.set_of(expression.high)))
        if expression.low is None:
            return included
        excluded = yield from reach(self.algebra, (yield from self.set_of(expression.low)))
        return (yield from self.algebra.difference(included, excluded))

    def _paths(self, expression: Range) -> Stepwise[NodeSet]:
        """`a::b`: what lies on paths from a to b, both included."""
        algebra = self.algebra
        if expression.low is None:
            above = EVERYTHING if expression.high is None else (yield from self.set_of(expression.high))
            return (yield from reach(algebra, above))
        lows = yield from algebra.members((yield from self.set_of(expression.low)))
        if expression.high is None:
            return explicit((yield from algebra.followed(lows)))
        highs = yield from algebra.members((yield from self.set_of(expression.high)))
        if not lows or not highs:
            return explicit(())
        region = yield from algebra.down_to(highs, min(map(algebra.dag.generation, lows)))
        return explicit((yield from algebra.marked_above(lows, region)) | (lows & region))

    def _union(self, expression: Union) -> Stepwise[NodeSet]:
        terms: list[NodeSet] = []
        for term in expression.terms:
            terms += [(yield from self.set_of(term))]
        return (yield from self.algebra.union(terms))

    def _narrowed(self, expression: Narrowed) -> Stepwise[NodeSet]:
        found = yield from self.set_of(expression.first)
        for against, other in expression.others:
            by = yield from self.set_of(other)
            narrow = self.algebra.intersection if against is Against.AND else self.algebra.difference
            found = yield from narrow(found, by)
        return found

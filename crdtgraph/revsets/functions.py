"""The functions of revsets as one table: name -> what it takes, a line of help, and how it is worked out.

docs/revsets.md has the same table for people; a test compares the two.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from itertools import islice

from crdtgraph import ancestry
from crdtgraph.errors import NotFoundError
from crdtgraph.revsets.calls import Arguments, Function, Parameter, Takes
from crdtgraph.revsets.sets import EVERYTHING, NOTHING, STEP_NODES, Algebra, Members, NodeSet, Reach, Test, Whole
from crdtgraph.steps import Stepwise

INDEPENDENT_MAX = 1_000
"""Heads of so many commits are found in one go (some milliseconds), of more of them in bounded steps."""
PAIRWISE_MAX = 16
"""So many commits are compared each with each; roots of more take a walk over what lies between them."""

_X = Parameter("x", Takes.SET)
_X_OR_ALL = Parameter("x", Takes.SET, optional=True)
_A, _B = Parameter("a", Takes.SET), Parameter("b", Takes.SET)
_N = Parameter("n", Takes.NUMBER)
_N_OR_ANY = _N_OR_ONE = Parameter("n", Takes.NUMBER, optional=True)
_TEXT = Parameter("text", Takes.PATTERN)
_TEXT_OR_ANY = Parameter("text", Takes.PATTERN, optional=True)
_PATH = Parameter("path", Takes.PATTERN)
_TIME = Parameter("time", Takes.MOMENT)


# Ancestry


def _all(_: Arguments) -> NodeSet:
    return EVERYTHING


def _none(_: Arguments) -> NodeSet:
    return NOTHING


def _heads(arguments: Arguments) -> Stepwise[NodeSet]:
    algebra = arguments.evaluation.algebra
    of = (yield from arguments.node_set(0)) if len(arguments) else EVERYTHING
    if of == EVERYTHING:
        return explicit(algebra.dag.heads())
    if isinstance(of.base, Reach) and not of.tests:
        return explicit(ancestry.independent(algebra.dag, of.base.starts))
    return explicit((yield from maximal(algebra, (yield from algebra.members(of)))))


def _roots(arguments: Arguments) -> Stepwise[NodeSet]:
    algebra = arguments.evaluation.algebra
    of = (yield from arguments.node_set(0)) if len(arguments) else EVERYTHING
    if of == EVERYTHING:
        return explicit(algebra.dag.roots())
    return explicit((yield from minimal(algebra, (yield from algebra.members(of)))))


def _ancestors(arguments: Arguments) -> Stepwise[NodeSet]:
    algebra = arguments.evaluation.algebra
    if len(arguments) == 1:
        return (yield from reach(algebra, (yield from arguments.node_set(0))))
    members = yield from arguments.members(0)
    return explicit((yield from algebra.within(members, "-", arguments.number(1))))


def _descendants(arguments: Arguments) -> Stepwise[NodeSet]:
    algebra = arguments.evaluation.algebra
    members = yield from arguments.members(0)
    if len(arguments) == 1:
        return explicit((yield from algebra.followed(members)))
    return explicit((yield from algebra.within(members, "+", arguments.number(1))))


def _parents(arguments: Arguments) -> Stepwise[NodeSet]:
    return explicit(arguments.evaluation.algebra.stepped((yield from arguments.members(0)), "-"))


def _children(arguments: Arguments) -> Stepwise[NodeSet]:
    return explicit(arguments.evaluation.algebra.stepped((yield from arguments.members(0)), "+"))


def _only(arguments: Arguments) -> Stepwise[NodeSet]:
    algebra = arguments.evaluation.algebra
    included = yield from reach(algebra, (yield from arguments.node_set(0)))
    excluded = yield from reach(algebra, (yield from arguments.node_set(1)))
    return (yield from algebra.difference(included, excluded))


def _merge_base(arguments: Arguments) -> Stepwise[NodeSet]:
    first = yield from arguments.members(0)
    second = yield from arguments.members(1)
    return explicit(ancestry.merge_bases(arguments.evaluation.algebra.dag, first, second))


def _fork_point(arguments: Arguments) -> Stepwise[NodeSet]:
    algebra = arguments.evaluation.algebra
    # Whatever all roots have in common with each other, their descendants have, too.
    roots = sorted((yield from minimal(algebra, (yield from arguments.members(0)))))
    if len(roots) == 2:
        return explicit(ancestry.merge_bases(algebra.dag, roots[:1], roots[1:]))
    common: set[int] | None = set(roots) if len(roots) < 2 else None
    for root in roots[: len(roots) if common is None else 0]:
        reached = yield from algebra.reached([root])
        common = reached if common is None else common & reached
    return explicit((yield from maximal(algebra, common or set())))


# Names and contents


def _conflicted(arguments: Arguments) -> NodeSet:
    evaluation = arguments.evaluation
    refs = [ref for ref in evaluation.reader.refs.values() if ref.conflicted]
    return explicit(evaluation.node(target) for ref in refs for target in ref.targets)


def _refs(arguments: Arguments) -> NodeSet:
    evaluation = arguments.evaluation
    names = list(evaluation.reader.refs)
    if len(arguments):
        pattern = arguments.pattern(0)
        names = [name for name in names if pattern.matches(name)]
    return explicit(evaluation.node(target) for name in names for target in evaluation.reader.refs.targets(name))


def _author(arguments: Arguments) -> NodeSet:
    pattern, commit = arguments.pattern(0), arguments.evaluation.commit
    known: dict[str, bool] = {}

    def passes(node: int) -> bool:
        author = commit(node).author
        found = known.get(author)
        if found is None:
            # "exact:Ada" and "exact:ada@example.org" both mean "Ada <ada@example.org>".
            name, _, address = author.partition(" <")
            found = known[author] = any(map(pattern.matches, (author, name, address.removesuffix(">"))))
        return found

    return EVERYTHING.narrowed(Test(passes, reads=True))


def _message(arguments: Arguments) -> NodeSet:
    pattern, commit = arguments.pattern(0), arguments.evaluation.commit
    return EVERYTHING.narrowed(Test(lambda node: pattern.matches(commit(node).message.rstrip("\n")), reads=True))


def _path(arguments: Arguments) -> NodeSet:
    pattern, commit = arguments.pattern(0, "below"), arguments.evaluation.commit
    exact, below = pattern.text.rstrip("/"), pattern.text.rstrip("/") + "/"

    def passes(node: int) -> bool:
        for path, _ in commit(node).changes:
            if path == exact or path.startswith(below) if pattern.kind == "below" else pattern.matches(path):
                return True
        return False

    return EVERYTHING.narrowed(Test(passes, reads=True))


def _origin(arguments: Arguments) -> NodeSet:
    evaluation = arguments.evaluation
    contents, locations = evaluation.algebra.contents, evaluation.algebra.projection.locations
    pattern = arguments.pattern(0, "start") if len(arguments) else None

    def passes(node: int) -> bool:
        [origin] = contents.origins((locations[node],))
        if pattern is None:
            return bool(origin)
        return origin.startswith(pattern.text) if pattern.kind == "start" else pattern.matches(origin)

    return EVERYTHING.narrowed(Test(passes, reads=True))


# Times, kinds and places in the order


def _since(arguments: Arguments) -> NodeSet:
    moment, times = arguments.moment(0), arguments.evaluation.algebra.projection.times
    return EVERYTHING.narrowed(Test(lambda node: times[node] >= moment, since_us=moment))


def _until(arguments: Arguments) -> NodeSet:
    moment, times = arguments.moment(0), arguments.evaluation.algebra.projection.times
    return EVERYTHING.narrowed(Test(lambda node: times[node] <= moment))


def _merges(arguments: Arguments) -> NodeSet:
    starts = arguments.evaluation.algebra.dag.edge_starts
    return EVERYTHING.narrowed(Test(lambda node: starts[node + 1] - starts[node] > 1))


def _discarded(arguments: Arguments) -> NodeSet:
    return EVERYTHING.narrowed(Test(arguments.evaluation.algebra.projection.discards.__contains__))


def _live(arguments: Arguments) -> NodeSet:
    return EVERYTHING.narrowed(Test(arguments.evaluation.algebra.projection.discards.__contains__).negated())


def _limit(arguments: Arguments) -> Stepwise[NodeSet]:
    of, left = (yield from arguments.node_set(0)), arguments.number(1)
    found: list[int] = []
    if left:
        for batch in arguments.evaluation.algebra.newest_first(of):
            found += batch
            if len(found) >= left:
                break
            yield
    return explicit(islice(found, left))


def _latest(arguments: Arguments) -> Stepwise[NodeSet]:
    projection = arguments.evaluation.algebra.projection
    members = yield from arguments.members(0)
    number = arguments.number(1) if len(arguments) > 1 else 1
    ids, times, generations = projection.ids, projection.times, projection.dag.generations
    if number >= len(members):
        return explicit(members)
    found: list[int] = []
    waiting = iter(members)
    while some := list(islice(waiting, max(STEP_NODES, number))):
        found = heapq.nlargest(number, found + some, key=lambda node: (times[node], generations[node], ids[node]))
        yield
    return explicit(found)


def _present(arguments: Arguments) -> Stepwise[NodeSet]:
    try:
        return (yield from arguments.node_set(0))
    except NotFoundError:
        return NOTHING


# What several of them need


def explicit(nodes: Iterable[int]) -> NodeSet:
    """A set of these nodes."""
    return NodeSet(Members(frozenset(nodes)))


def reach(algebra: Algebra, of: NodeSet) -> Stepwise[NodeSet]:
    """The members and all their ancestors."""
    if isinstance(of.base, Whole | Reach) and not of.tests:
        return of
    return NodeSet(Reach(frozenset((yield from algebra.members(of)))))


def maximal(algebra: Algebra, members: set[int]) -> Stepwise[set[int]]:
    """The members that are no ancestors of other members."""
    if len(members) <= INDEPENDENT_MAX:
        return set(ancestry.independent(algebra.dag, members))
    region = yield from algebra.down_to(members, min(map(algebra.dag.generation, members)))
    return members - (yield from algebra.parents_of(region))


def minimal(algebra: Algebra, members: set[int]) -> Stepwise[set[int]]:
    """The members that are no descendants of other members."""
    if len(members) <= PAIRWISE_MAX:
        dag = algebra.dag
        return {
            node
            for node in members
            if not any(other != node and ancestry.is_ancestor(dag, other, node) for other in members)
        }
    region = yield from algebra.down_to(members, min(map(algebra.dag.generation, members)))
    return members - (yield from algebra.marked_above(members, region))


FUNCTIONS: Mapping[str, Function] = {
    "all": Function((), "all commits", _all),
    "none": Function((), "no commits", _none),
    "heads": Function((_X_OR_ALL,), "those of x that are no ancestors of others of x; without x, of all", _heads),
    "roots": Function((_X_OR_ALL,), "those of x that are no descendants of others of x; without x, of all", _roots),
    "ancestors": Function((_X, _N_OR_ANY), "x and all before it, or what is at most n steps before it", _ancestors),
    "descendants": Function((_X, _N_OR_ANY), "x and all after it, or what is at most n steps after it", _descendants),
    "parents": Function((_X,), "the parents of x, as x-", _parents),
    "children": Function((_X,), "the children of x, as x+", _children),
    "only": Function((_A, _B), "what a reaches and b does not, as b..a", _only),
    "merge_base": Function((_A, _B), "the best common ancestors of a and b; several count as if merged", _merge_base),
    "fork_point": Function((_X,), "the best common ancestors of all of x together", _fork_point),
    "refs": Function((_TEXT_OR_ANY,), "what refs point at, all targets of conflicted ones; those named so", _refs),
    "conflicted": Function((), "all targets of conflicted refs", _conflicted),
    "author": Function((_TEXT,), "commits whose author has the text in it", _author),
    "message": Function((_TEXT,), "commits whose message has the text in it", _message),
    "path": Function((_PATH,), "commits that change that path or one below it", _path),
    "origin": Function((_TEXT_OR_ANY,), "imported commits; those whose origin begins with the text", _origin),
    "since": Function((_TIME,), "commits of that time or later", _since),
    "until": Function((_TIME,), "commits of that time or earlier", _until),
    "merges": Function((), "commits with more than one parent", _merges),
    "discarded": Function((), "commits that were thrown away, themselves or with an ancestor", _discarded),
    "live": Function((), "commits that were not", _live),
    "limit": Function((_X, _N), "the first n of x as they are listed: newest first, children before parents", _limit),
    "latest": Function((_X, _N_OR_ONE), "the n commits of x with the latest times, or the one", _latest),
    "present": Function((_X,), "x, or nothing if x names a commit that is not there", _present),
}

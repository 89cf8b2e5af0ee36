"""Revsets asked of a graph: the commits that texts select, or the one that a text names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from crdtgraph.errors import AmbiguousError, NotFoundError
from crdtgraph.ids import CommitId
from crdtgraph.planes import LEDGER
from crdtgraph.reader import CANDIDATES_SHOWN, Reader, commit_title
from crdtgraph.revsets.calls import check
from crdtgraph.revsets.errors import RevsetError
from crdtgraph.revsets.evaluation import Evaluation
from crdtgraph.revsets.functions import FUNCTIONS
from crdtgraph.revsets.parser import parse
from crdtgraph.revsets.sets import EVERYTHING, Algebra, NodeSet
from crdtgraph.revsets.syntax import Expression, Name, Range, RangeKind
from crdtgraph.revsets.tokens import is_bare
from crdtgraph.steps import Stepwise, run


class Selection:
    """The commits that a revset selects. Nothing is collected before it is asked for.

    Iterating gives commit ids, the latest first and children before parents, equal on all replicas.
    """

    def __init__(self, algebra: Algebra, found: NodeSet) -> None:
        self._algebra = algebra
        self._found = found

    @property
    def is_everything(self) -> bool:
        """Whether it is known to be all commits."""
        return self._found == EVERYTHING

    @property
    def nodes(self) -> set[int]:
        """The numbers of all selected commits, collected anew at each call: O(selected), or what is searched."""
        return run(self.node_steps())

    def node_steps(self) -> Stepwise[set[int]]:
        """`nodes` in bounded steps."""
        return self._algebra.members(self._found)

    def batches(self) -> Iterator[list[int]]:
        """The numbers of the selected commits, in order, in batches of bounded work: some of them may be empty.

        The first ones come after a few milliseconds, however many there are, except from sets like `~x` and `a..b` that
        have to be collected first.
        """
        for batch in self._algebra.newest_first(self._found):
            yield batch
            self._algebra.check_numbers()

    def __iter__(self) -> Iterator[CommitId]:
        ids = self._algebra.projection.ids
        for batch in self.batches():
            for node in batch:
                yield ids[node]


def evaluate(reader: Reader, text: str, *, now_us: int, plane: str = LEDGER) -> Selection:
    """The commits that a revset selects in a plane. `now_us` is what durations like `since("2h")` count back from.

    Raises:
        RevsetError: the text is no revset; the hint shows where and why.
        NotFoundError, AmbiguousError: a name in it names no commit, or several.
    """
    return run(evaluate_steps(reader, [text], now_us=now_us, plane=plane))


def evaluate_steps(
    reader: Reader, texts: Iterable[str], *, now_us: int, plane: str = LEDGER, with_history: bool = False
) -> Stepwise[Selection]:
    """The union of what several texts select, in bounded steps; raises as `evaluate` does.

    `with_history` is for listings: a text that is only a name (see `is_name`) then stands for that commit and all its
    ancestors, as in `git log NAME`; other texts stand for themselves.
    """
    wanted = [(text, _read(reader, text, now_us)) for text in texts]
    algebra = None
    terms = []
    for text, expression in wanted:
        if with_history and isinstance(expression, Name):
            expression = Range(RangeKind.PATHS, None, expression)
        evaluation = Evaluation(reader, text, now_us, plane)
        algebra = evaluation.algebra
        terms.append((yield from _checked(algebra, evaluation.set_of(expression))))
    if algebra is None:
        home = reader._plane(plane)
        algebra = Algebra(home.projection, home.contents)
    return Selection(algebra, terms[0] if len(terms) == 1 else (yield from _checked(algebra, algebra.union(terms))))


def _checked(algebra: Algebra, steps: Stepwise[NodeSet]) -> Stepwise[NodeSet]:
    while True:
        algebra.check_numbers()
        try:
            next(steps)
        except StopIteration as done:
            found: NodeSet = done.value
            return found
        yield


def is_name(text: str) -> bool:
    """Whether a text is only a name, bare or in quotes, and no larger expression. False for what is no revset."""
    try:
        return is_bare(text) or isinstance(parse(text), Name)
    except RevsetError:
        return False


def resolve_one(reader: Reader, text: str, *, now_us: int, plane: str = LEDGER) -> CommitId:
    """The one commit that a revset selects; a name is looked up at once, as `Reader.resolve` does it.

    Raises:
        NotFoundError: it selects none.
        AmbiguousError: it selects several; the hint lists them.
        RevsetError: as `evaluate`.
    """
    if is_bare(text):
        return Evaluation(reader, text, now_us, plane).resolve(Name(text))
    found = list(islice(evaluate(reader, text, now_us=now_us, plane=plane), CANDIDATES_SHOWN + 1))
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFoundError(f"{text[:80]!r} selects no commit", hint="one is asked for here; try it with crdtgraph log")
    shown = found[:CANDIDATES_SHOWN]
    lines = [
        f"{commit.hex()[:16]} {commit_title(content)}"
        for commit, content in zip(shown, reader.get_many(shown, plane=plane), strict=True)
    ]
    more = "\n  and more" if len(found) > len(shown) else ""
    raise AmbiguousError(
        f"{text[:80]!r} selects several commits",
        hint="one is asked for here, and limit(..., 1) is the newest; it selects\n  " + "\n  ".join(lines) + more,
    )


def _read(reader: Reader, text: str, now_us: int) -> Expression:
    try:
        expression = parse(text)
    except RevsetError:
        # A ref may have a name that is no revset; alone it needs no quotes.
        if text in reader.refs:
            return Name(text)
        raise
    check(text, expression, FUNCTIONS, now_us)
    return expression

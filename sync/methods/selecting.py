"""Methods that select commits by revsets (`crdtgraph.revsets`)."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from crdtgraph import LEDGER, CommitId
from crdtgraph.steps import Stepwise
from sync.methods.target import REVS_MAX, Handler, Parts, Target
from sync.params import Params, Rev
from sync.protocol.calls import Plain
from sync.protocol.limits import CHUNK_ENTRIES

if TYPE_CHECKING:
    from crdtgraph.revsets import Selection

_Result = TypeVar("_Result")
Selecting: TypeAlias = "Generator[Plain, None, Selection]"
"""Empty parts, and in the end what was selected."""


def in_parts(steps: Stepwise[_Result]) -> Generator[Plain, None, _Result]:
    """A computation in steps as part of an answer: after each an empty part, and others are served in between."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: _Result = done.value
            return result
        yield []


def selection(target: Target, revs: Sequence[Rev], plane: str, *, with_history: bool = True) -> Selecting:
    """What revsets select together, worked out in parts; see `evaluate_steps` for `with_history`."""
    from crdtgraph.revsets import evaluate_steps

    texts = [rev if isinstance(rev, str) else rev.hex() for rev in revs]
    steps = evaluate_steps(target.reader, texts, now_us=target.now_us(), plane=plane, with_history=with_history)
    return in_parts(steps)


def batches(target: Target, selected: Selection, limit: int | None, plane: str) -> Iterator[list[CommitId]]:
    """The ids of the first `limit` selected commits in batches, some of them empty."""
    left = limit
    for batch in selected.batches():
        ids = [target.reader.id_of(node, plane=plane) for node in batch[:left]]
        yield ids
        if left is not None:
            left -= len(ids)
            if not left:
                return


def _revset(target: Target, params: Params) -> Parts:
    revs = params.revs("revsets", REVS_MAX)
    limit = params.optional_integer("limit", 0)
    with_history = params.flag("with_history")
    plane = params.text("plane", LEDGER)
    params.done()
    selected = yield from selection(target, revs, plane, with_history=with_history)
    for ids in batches(target, selected, limit, plane):
        for start in range(0, max(len(ids), 1), CHUNK_ENTRIES):
            yield list(ids[start : start + CHUNK_ENTRIES])
    return None


TABLE: Mapping[str, Handler] = {"revset": _revset}

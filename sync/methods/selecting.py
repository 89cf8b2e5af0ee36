"""Methods that select commits by revsets (`crdtgraph.revsets`)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TypeVar

from crdtgraph import LEDGER
from crdtgraph.revsets import Stepwise, evaluate_steps
from sync.limits import CHUNK_ENTRIES
from sync.messages import Plain
from sync.methods.target import REVS_MAX, Handler, Parts, Target
from sync.params import Params

_Result = TypeVar("_Result")


def in_parts(steps: Stepwise[_Result]) -> Generator[Plain, None, _Result]:
    """A computation in steps as part of an answer: after each an empty part, and others are served in between."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: _Result = done.value
            return result
        yield []


def _revset(target: Target, params: Params) -> Parts:
    texts = params.texts("revsets", REVS_MAX)
    limit = params.optional_integer("limit", 0)
    with_history = params.flag("with_history")
    plane = params.text("plane", LEDGER)
    params.done()
    reader = target.reader
    steps = evaluate_steps(reader, texts, now_us=target.now_us(), plane=plane, with_history=with_history)
    selection = yield from in_parts(steps)
    left = limit
    for batch in selection.batches():
        ids = [reader.id_of(node, plane=plane) for node in batch[:left]]
        for start in range(0, max(len(ids), 1), CHUNK_ENTRIES):
            yield list(ids[start : start + CHUNK_ENTRIES])
        if left is not None:
            left -= len(ids)
            if not left:
                break
    return None


TABLE: Mapping[str, Handler] = {"revset": _revset}

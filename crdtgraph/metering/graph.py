"""A graph that measures itself. It does what every graph does, and notes how long it took.

Calls that fail are not counted. Measuring happens here and in `MeteredStore`, around the plain graph and store: those
know nothing of it, and who opens a graph without a meter has no line of it in the way.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from crdtgraph.durability import Durability, WriteKind, standard_class
from crdtgraph.graph import Graph
from crdtgraph.metering.meter import Timed, commit_series
from crdtgraph.planes import LEDGER

if TYPE_CHECKING:
    from crdtgraph.exchange import Received

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _timed(name: str, method: Callable[Concatenate[Graph, _P], _R]) -> Callable[Concatenate[Graph, _P], _R]:
    @wraps(method)
    def timed(graph: Graph, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        meter = graph.meter
        if meter is None:
            return method(graph, *args, **kwargs)
        began = meter.now_ns()
        result = method(graph, *args, **kwargs)
        meter.record(name, began)
        return result

    return timed


def _timed_by_class(method: Callable[Concatenate[Graph, _P], _R]) -> Callable[Concatenate[Graph, _P], _R]:
    @wraps(method)
    def timed(graph: Graph, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        meter = graph.meter
        if meter is None or meter.is_deferred or not isinstance(graph, MeteredGraph):
            return method(graph, *args, **kwargs)
        # Only where it isn't plain to see is a write put into its class by `_class_of`.
        moves_ref, in_search = kwargs.get("ref") is not None, kwargs.get("plane", LEDGER) != LEDGER
        graph.committed_as = standard_class(moves_ref=moves_ref, in_search=in_search)
        began = meter.now_ns()
        result = method(graph, *args, **kwargs)
        meter.record(_SERIES[graph.committed_as], began)
        return result

    return timed


class MeteredGraph(Graph):
    """A `Graph` with a meter; made by `crdtgraph.open(..., meter=...)`."""

    committed_as = Durability.NORMAL
    """The class of the commit that was made last."""

    commit = _timed_by_class(Graph.commit)
    commit_many = _timed(Timed.BATCH, Graph.commit_many)
    get = _timed(Timed.READ, Graph.get)
    get_many = _timed(Timed.READ, Graph.get_many)
    resolve = _timed(Timed.READ, Graph.resolve)
    is_ancestor = _timed(Timed.READ, Graph.is_ancestor)
    merge_bases = _timed(Timed.READ, Graph.merge_bases)
    between = _timed(Timed.READ, Graph.between)
    diff = _timed(Timed.READ, Graph.diff)
    state = _timed(Timed.STATE, Graph.state)
    state_many = _timed(Timed.STATE, Graph.state_many)

    def _class_of(self, kind: WriteKind, plane: str, chosen: Durability | None, *moves: str | None) -> Durability:
        found = super()._class_of(kind, plane, chosen, *moves)
        if kind is WriteKind.COMMIT:
            self.committed_as = found
        return found

    def receive_steps(self, plane: str, update: bytes) -> Generator[None, None, Received]:
        """See `Replica.receive_steps`. What is measured is the work, not what happens between the steps."""
        steps = super().receive_steps(plane, update)
        meter, spent_ns = self.meter, 0
        if meter is None:
            return (yield from steps)
        try:
            while True:
                began = meter.now_ns()
                try:
                    next(steps)
                except StopIteration as done:
                    now = meter.now_ns()
                    meter.add(Timed.APPLY, spent_ns + now - began, now)
                    received: Received = done.value
                    return received
                spent_ns += meter.now_ns() - began
                yield
        finally:
            steps.close()


_SERIES = {each: commit_series(each) for each in Durability}

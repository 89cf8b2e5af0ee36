"""What must hold of searches, each said once and by name; see `checkers.py`."""

from __future__ import annotations

from collections.abc import Mapping

from crdtgraph import LEDGER, Graph
from crdtgraph.searches.plane import PREFIX
from crdtgraph.searches.registers import GREATEST_NAMESPACE, VALUE_NAMESPACE, offer
from crdtgraph.segment import Segment
from simulations.checkers import Seen, ViolationError
from simulations.searchmodel import SearchModel


def check_closed_stay_closed(name: str, graph: Graph, seen: Seen) -> None:
    """A search that the ledger has closed is open nowhere that the ledger has come to, and never again."""
    closed = set(graph.closed_searches())
    back = (closed | seen.closed) & set(graph.searches())
    if back:
        raise ViolationError("a closed search stays closed", f"{name} has {', '.join(sorted(back))} open")
    if not seen.closed <= closed:
        raise ViolationError(
            "a closed search stays closed", f"{name} has forgotten {', '.join(sorted(seen.closed - closed))}"
        )
    seen.closed = closed


def check_equal_searches(replicas: Mapping[str, Graph]) -> None:
    """Replicas with equal segments of a search, and of the ledger that it stands on, have equal digests of it."""
    first: dict[tuple[str, bytes, bytes], str] = {}
    for name, graph in replicas.items():
        for plane in search_planes(graph):
            if graph.is_flushed(LEDGER) and graph.is_flushed(plane):
                sets = plane, graph.set_digest(LEDGER), graph.set_digest(plane)
                other = first.setdefault(sets, name)
                if replicas[other].digest(plane=plane) != graph.digest(plane=plane):
                    raise ViolationError("equal segment sets have equal digests", f"{other} and {name} in {plane}")


def check_search_model(name: str, graph: Graph, plane: str, segments: list[Segment]) -> None:
    """Live commits with parents, what was counted for live ones, and registers: as the independent model has them."""
    ledger = {graph.id_of(node): graph.parents(graph.id_of(node)) for node in range(len(graph))}
    model = SearchModel(segments, ledger)
    search = graph.search(plane.removeprefix(PREFIX))
    everything = [graph.id_of(node, plane=plane) for node in range(graph.plane_status(plane).commits)]
    live = [commit for commit in everything if search.is_live(commit)]
    own = [commit for commit in live if commit in search]
    _same("live commits", name, plane, {commit: search.parents(commit) for commit in own}, model.live)
    _same("the number of live commits", name, plane, search.live_count(), len(model.live))
    totals = {commit: search.counters(commit) for commit in live}
    _same("counters", name, plane, {commit: total for commit, total in totals.items() if total}, model.live_totals)
    for (namespace, key), values in model.values.items():
        if namespace == VALUE_NAMESPACE:
            _same(f"register {key!r}", name, plane, set(search.values(key)), values)
        elif namespace == GREATEST_NAMESPACE:
            greatest = search.greatest(key)
            shown = None if greatest is None else offer(*greatest)
            _same(f"register {key!r}", name, plane, shown, max(values, default=None))
    for commit in own:
        found = search.get(commit)
        if found.id != commit:
            raise ViolationError("ids match content", f"{name} reads {found.id.hex()[:16]} for {commit.hex()[:16]}")


def search_disagreement(replicas: Mapping[str, Graph]) -> str:
    """In what replicas differ about searches, when nobody writes any more; empty when in nothing."""
    if any(graph.searches_wait() for graph in replicas.values()):
        return "not everything that was said in searches is packed"
    shown = {
        name: {plane: (graph.set_digest(plane), graph.digest(plane=plane)) for plane in search_planes(graph)}
        for name, graph in replicas.items()
    }
    if all(each == next(iter(shown.values())) for each in shown.values()):
        return ""
    return ", ".join(
        f"{name} {plane} {sets.hex()[:8]}/{digest.hex()[:8]}"
        for name, planes in shown.items()
        for plane, (sets, digest) in planes.items()
    )


def search_planes(graph: Graph) -> list[str]:
    """The planes of the open searches in which anything was said, sorted."""
    return [
        plane
        for plane in graph.planes()
        if plane != LEDGER and (graph.state_vector(plane) or not graph.is_flushed(plane))
    ]


def _same(what: str, name: str, plane: str, ours: object, theirs: object) -> None:
    if ours != theirs:
        raise ViolationError("a search is the model's", f"{name} and the model differ in {what} of {plane}")

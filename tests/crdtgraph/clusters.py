"""Replicas that do anything at all, with a clock that the test moves: for laws that hold whatever happened."""

from __future__ import annotations

import random

from hypothesis import strategies as st

import crdtgraph
from crdtgraph import LEDGER, Commit, Graph, Host

START = 1_700_000_000_000_000
SECOND = 1_000_000


class Clock:
    """A clock that all replicas share, each with its own offset."""

    def __init__(self) -> None:
        self.now = START

    def host(self, name: str, offset_us: int = 0) -> Host:
        rng = random.Random(name)
        return Host(now_us=lambda: self.now + offset_us, random_bytes=rng.randbytes)


def act(graph: Graph, action: str, number: int) -> None:
    """One of the things that can be done to a graph; which commit or ref it is about depends on the number."""
    commits = graph.topological()
    some = commits[number % len(commits)] if commits else None
    refs = list(graph.refs)
    ref = refs[number % len(refs)] if refs else None
    if action == "commit":
        graph.commit(parents=[some] if some else [], message=f"{number}", changes={f"p{number % 5}": b"%d" % number})
    elif action == "critical":
        graph.commit(parents=[some] if some else [], message=f"ref {number}", ref=f"new{number}-{len(commits)}")
    elif action == "move" and some is not None and ref is not None:
        graph.set_ref(ref, some, force=True)
    elif action == "main" and some is not None:
        graph.set_ref("main", some, force=number % 3 == 0, keep_others=True)
    elif action == "remove" and ref is not None:
        graph.delete_ref(ref)
    elif action == "meta":
        graph.set_meta(f"key{number % 3}", b"%d" % number if number % 7 else None, commit=some)
    elif action == "count" and some is not None:
        graph.count(some, [number, 1])
    elif action == "discard" and some is not None and number % 4 == 0:
        graph.discard(some)
    elif action == "many":
        graph.commit_many(Commit((), "m", number, f"many {number} {each} {len(commits)}") for each in range(7))
    elif action == "flush":
        graph.flush()
    elif action == "compact":
        graph.compact()


ACTIONS = ["commit", "critical", "main", "move", "remove", "meta", "count", "discard", "many", "flush", "compact"]
actions = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 30)), min_size=1, max_size=30)


def exchange(source: Graph, target: Graph) -> None:
    source.flush()
    target.flush()
    for delta in source.deltas(LEDGER, target.state_vector(LEDGER)):
        target.receive(LEDGER, delta.update)
    here = target.segment_keys(LEDGER)
    for key, digest in source.segment_keys(LEDGER).items():
        if here.get(key) != digest:
            target.adopt(LEDGER, source.segments_of(LEDGER, key))


@st.composite
def clusters(draw: st.DrawFn) -> tuple[Clock, list[Graph]]:
    """Replicas with clocks that differ, each with its own and others' records, some in compacted segments."""
    clock = Clock()
    graphs = []
    for name in ("a", "b", "c"):
        offset = draw(st.integers(-50, 50))
        graphs.append(crdtgraph.open("memory:", author=name, host=clock.host(name, offset)))
    places = st.integers(0, 2)
    for _ in range(draw(st.integers(1, 25))):
        clock.now += draw(st.integers(0, 30))
        if draw(st.integers(0, 3)) == 0:
            source, target = draw(places), draw(places)
            if source != target:
                exchange(graphs[source], graphs[target])
        else:
            act(graphs[draw(places)], draw(st.sampled_from(ACTIONS)), draw(st.integers(0, 30)))
    return clock, graphs

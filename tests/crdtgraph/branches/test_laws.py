"""Whatever writers, merges and exchanges do in whatever order: all changes end in one main, equal everywhere."""

from __future__ import annotations

import random
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import CommitId, Graph
from tests.crdtgraph.clusters import Clock, exchange

REPLICAS = 3
WRITERS = 5
ACTIONS = ("commit", "commit", "commit", "update", "merge", "done", "break", "exchange", "exchange", "settle", "move")


def open_replicas() -> tuple[Clock, list[Graph]]:
    clock = Clock()
    graphs = [crdtgraph.open("memory:", author=f"r{n}", host=clock.host(f"r{n}", 40 * n)) for n in range(REPLICAS)]
    graphs[0].commit(message="start", changes={"readme": b"hello"}, ref="main")
    for graph in graphs[1:]:
        exchange(graphs[0], graph)
    return clock, graphs


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 60))
def test_all_changes_end_in_one_main(seed: int, steps: int) -> None:
    draw = random.Random(seed)
    clock, graphs = open_replicas()
    written: dict[str, bytes] = {"readme": b"hello"}
    commits: list[CommitId] = []
    branches: dict[tuple[int, str], crdtgraph.Branch] = {}
    for number in range(steps):
        clock.now += draw.randrange(30)
        place = draw.randrange(REPLICAS)
        graph = graphs[place]
        # Of five writers two use one name on several replicas.
        name = f"agents/w{draw.randrange(WRITERS - 1)}"
        branch = branches.setdefault((place, name), graph.branch(name))
        match draw.choice(ACTIONS):
            case "commit":
                path = f"{name}/{number}"
                written[path] = b"%d" % number
                commits.append(branch.commit(changes={path: written[path]}))
            case "update":
                branch.update()
            case "merge":
                branch.merge()
            case "done":
                with branches.pop((place, name)):
                    pass
            case "break":
                # The process is killed: its branches are what the refs say.
                branches = {key: each for key, each in branches.items() if key[0] != place}
            case "exchange":
                exchange(graph, draw.choice([each for each in graphs if each is not graph]))
            case "settle":
                graph.merge("main")
            case "move" if commits:
                known = [each for each in commits if each in graph]
                if known:
                    graph.set_ref("main", draw.choice(known), keep_others=True)
    finish(graphs)
    for graph in graphs:
        (target,) = graph.refs["main"].targets
        assert target == graphs[0].refs["main"]
        assert dict(graph.state(target)) == written
        assert all(graph.is_ancestor(each, target) for each in commits)
        assert graph.digest() == graphs[0].digest()
        assert graph.branches("agents/") == []


def finish(graphs: list[Graph]) -> None:
    """Everybody merges without looking at the others, then all is exchanged, and somebody settles main."""
    for graph in graphs:
        for info in graph.branches("agents/"):
            with graph.branch(info.name):
                pass
    for source, target in (*permutations(graphs, 2), *permutations(graphs, 2)):
        exchange(source, target)
    # A branch may be back: somebody wrote to it while somebody else merged and removed it.
    for info in graphs[0].branches("agents/"):
        with graphs[0].branch(info.name):
            pass
    for graph in graphs[1:]:
        exchange(graphs[0], graph)
    assert len({graph.merge("main").commit for graph in graphs}) == 1, "the same merge everywhere"
    for source, target in (*permutations(graphs, 2), *permutations(graphs, 2)):
        exchange(source, target)


def test_fifty_writers_who_merge_at_once_end_with_one_main() -> None:
    clock = Clock()
    graphs = [crdtgraph.open("memory:", author=f"w{n}", host=clock.host(f"w{n}")) for n in range(50)]
    graphs[0].commit(message="start", ref="main")
    for graph in graphs[1:]:
        exchange(graphs[0], graph)
    for number, graph in enumerate(graphs):
        clock.now += 7
        with graph.branch(f"agents/w{number}/task") as branch:
            for step in range(2):
                branch.commit(changes={f"w{number}/{step}": b"%d" % step})
    hub = graphs[0]
    for graph in graphs[1:]:
        exchange(graph, hub)
    for graph in graphs[1:]:
        exchange(hub, graph)
    assert all(len(graph.refs["main"].targets) == 50 for graph in graphs)
    assert len({graph.merge("main").commit for graph in graphs}) == 1
    assert len(hub.state(hub.refs["main"].targets[0])) == 100
    assert hub.refs["main"].targets == graphs[7].refs["main"].targets


def test_replicas_that_settle_what_they_have_seen_so_far_still_end_with_one_main() -> None:
    clock = Clock()
    graphs = [crdtgraph.open("memory:", author=f"w{n}", host=clock.host(f"w{n}")) for n in range(6)]
    graphs[0].commit(message="start", ref="main")
    for graph in graphs[1:]:
        exchange(graphs[0], graph)
    for number, graph in enumerate(graphs):
        with graph.branch(f"agents/w{number}") as branch:
            branch.commit(changes={f"w{number}": b""})
    # A ring: each merges with its neighbour only, then these merges meet.
    for source, target in zip(graphs, [*graphs[1:], graphs[0]], strict=True):
        exchange(source, target)
        target.merge("main")
    for _ in range(2):
        for source, target in permutations(graphs, 2):
            exchange(source, target)
    assert len({graph.merge("main").commit for graph in graphs}) == 1
    assert len(graphs[3].state(graphs[3].refs["main"].targets[0])) == 6

"""The newest commits come first, and still no parent ever before its child."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import Commit, CommitId, Graph
from crdtgraph.canonical import INT64_MAX, INT64_MIN


def history(graph: Graph, drafts: list[tuple[list[int], int]]) -> list[CommitId]:
    ids: list[CommitId] = []
    for number, (parents, time) in enumerate(drafts):
        chosen = dict.fromkeys(ids[parent % len(ids)] for parent in parents) if ids else ()
        ids += graph.commit_many([Commit(tuple(chosen), "a", time, str(number))])
    return ids


def test_the_latest_commit_comes_first_however_short_its_history_is() -> None:
    with crdtgraph.open("memory:") as graph:
        old = history(graph, [([], 1), ([0], 2), ([1], 3)])
        new = graph.commit(message="a root of its own", time=10)
        assert list(graph.newest_first()) == [new, *reversed(old)]


def test_a_child_whose_clock_was_behind_still_comes_before_its_parent() -> None:
    with crdtgraph.open("memory:") as graph:
        root, child, other = history(graph, [([], 100), ([0], 5), ([0], 101)])
        assert list(graph.newest_first()) in ([other, child, root], [child, other, root])


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 30), max_size=3),
            st.integers(-3, 3) | st.sampled_from((INT64_MIN, INT64_MAX - 1, INT64_MAX)),
        ),
        max_size=25,
    )
)
def test_every_order_of_arrival_lists_alike_and_children_come_first(drafts: list[tuple[list[int], int]]) -> None:
    with crdtgraph.open("memory:") as graph, crdtgraph.open("memory:") as other:
        history(graph, drafts)
        listed = list(graph.newest_first())
        assert sorted(listed) == sorted(graph.topological())
        place = {commit: number for number, commit in enumerate(listed)}
        for commit in listed:
            assert all(place[commit] < place[parent] for parent in graph.parents(commit))
        other.commit_many(graph.get_many(graph.topological()))
        assert list(other.newest_first()) == listed

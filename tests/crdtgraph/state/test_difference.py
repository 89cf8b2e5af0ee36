"""What changed between two states: the same as comparing the two, made by replay."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import CommitId, Graph, PathChange
from crdtgraph.state import States

PATHS = st.sampled_from(["a", "a/b", "b", "c/d", "é"])
VALUES = st.sampled_from([None, b"", b"1", b"2"])
STEPS = st.lists(
    st.tuples(st.lists(st.integers(0, 40), max_size=2), st.dictionaries(PATHS, VALUES, max_size=3)),
    min_size=1,
    max_size=14,
)


def grow(graph: Graph, steps: list[tuple[list[int], dict[str, bytes | None]]]) -> list[CommitId]:
    """Commits whose parents are picked among those before; now and then a further root."""
    made: list[CommitId] = []
    for number, (picks, changes) in enumerate(steps):
        parents = list(dict.fromkeys(made[pick % len(made)] for pick in picks)) if made else []
        made.append(graph.commit(parents=parents, changes=changes, message=str(number)))
    return made


def by_replay(graph: Graph, before: CommitId | None, after: CommitId) -> list[PathChange]:
    old = {} if before is None else graph.state(before)
    new = graph.state(after)
    return [
        PathChange(path, old.get(path), new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


@given(STEPS, st.integers(0, 40), st.integers(0, 40))
def test_the_difference_is_that_of_the_replayed_states(
    steps: list[tuple[list[int], dict[str, bytes | None]]], first: int, second: int
) -> None:
    with crdtgraph.open("memory:") as graph:
        made = grow(graph, steps)
        before, after = made[first % len(made)], made[second % len(made)]
        assert graph.diff(before, after) == by_replay(graph, before, after)
        assert graph.diff(None, after) == by_replay(graph, None, after)
        assert graph.diff(after, after) == []


def test_a_path_that_was_set_long_before_is_found_below_the_fork() -> None:
    with crdtgraph.open("memory:") as graph:
        fork = graph.commit(changes={"deep": b"old", "kept": b"k"})
        for number in range(50):
            fork = graph.commit(parents=[fork], changes={"other": b"%d" % number})
        left = graph.commit(parents=[fork], changes={"deep": b"new", "kept": b"k"})
        right = graph.commit(parents=[fork], changes={"deep": None})
        assert graph.diff(fork, left) == [PathChange("deep", b"old", b"new")]
        assert graph.diff(left, right) == [PathChange("deep", b"new", None)]
        assert graph.diff(right, fork) == [PathChange("deep", None, b"old")]


def test_only_what_lies_above_the_fork_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with crdtgraph.open("memory:") as graph:
        tip = graph.commit(changes={"a": b"1"})
        for number in range(3_000):
            tip = graph.commit(parents=[tip], message=str(number))
        left = graph.commit(parents=[tip], changes={"b": b"1"})
        right = graph.commit(parents=[tip], changes={"b": b"2"})
        home = graph._plane(crdtgraph.LEDGER)
        read: list[int] = []

        class Contents:
            def changes(self, locations):  # type: ignore[no-untyped-def]
                return home.contents.changes(read.append(each) or each for each in locations)

        watched = SimpleNamespace(projection=home.projection, contents=Contents())
        states = States(watched, None)
        places = [states.place(watched, graph.node(each)) for each in (left, right)]
        assert crdtgraph.state.difference(states, *places) == [PathChange("b", b"1", b"2")]
        assert len(read) == 2

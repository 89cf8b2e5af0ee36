"""What no live commit names is collected, and nothing else ever is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import Durability, Graph, LocalError, Reference
from crdtgraph.objects import (
    CHUNK_BYTES,
    INLINE_BYTES_MAX,
    ObjectMissingError,
    reference_of,
)
from tests.crdtgraph.objects.test_objects import LARGE, block_keys


def collected(graph: Graph) -> None:
    """Collect until nothing is fresh any more."""
    for _ in range(3):
        graph.collect_garbage()


def test_what_no_live_commit_names_is_collected(graph: Graph) -> None:
    kept = graph.commit(changes={"a": LARGE})
    dead = graph.commit(parents=[kept], changes={"a": LARGE[:-1], "b": LARGE})
    graph.put_object(b"never named" * 10_000)
    collected(graph)
    assert graph.read(dead, "a") == LARGE[:-1]
    assert not graph.has_object(reference_of(b"never named" * 10_000))
    graph.discard(dead)
    assert graph.collect_garbage(dry_run=True).objects == 1
    result = graph.collect_garbage()
    assert (result.objects, result.blocks, result.kept_objects, result.missing) == (1, 2, 1, 0)
    assert result.bytes > 4
    assert graph.read(kept, "a") == LARGE
    with pytest.raises(ObjectMissingError):
        graph.read(dead, "a")
    assert len(block_keys(graph.store)) == 5


def test_what_was_put_lately_outlives_a_collection_and_may_be_named_then(graph: Graph) -> None:
    reference = graph.put_object(LARGE)
    assert graph.collect_garbage().objects == 0
    assert graph.object(reference) == LARGE
    assert graph.collect_garbage().objects == 0
    assert graph.collect_garbage().objects == 1


def test_a_search_keeps_its_large_values_until_it_is_over_and_those_promoted_for_ever(graph: Graph) -> None:
    kept, lost = reference_of(LARGE), reference_of(LARGE[1:])
    with graph.search("s") as search:
        promoted = search.commit(parents=[], changes={"a": LARGE})
        search.commit(parents=[promoted], changes={"a": LARGE[1:]})
        collected(graph)
        assert graph.object(kept) == LARGE
        assert graph.object(lost) == LARGE[1:]
        search.promote(promoted, ref="main")
    collected(graph)
    assert graph.read(promoted, "a") == LARGE
    assert not graph.has_object(lost)


def test_one_collection_at_a_time(graph: Graph) -> None:
    graph.commit(changes={"a": LARGE})
    steps = graph.collect_steps()
    next(steps)
    with pytest.raises(LocalError, match="already"):
        graph.collect_garbage()
    assert graph.collect_garbage(dry_run=True).kept_objects == 1
    steps.close()
    assert graph.collect_garbage().kept_objects == 1


def test_a_process_that_starts_anew_collects_what_the_last_one_left(tmp_path: Path) -> None:
    with crdtgraph.open(str(tmp_path / "s")) as graph:
        graph.put_object(LARGE)
    with crdtgraph.open(str(tmp_path / "s")) as graph:
        assert graph.collect_garbage().objects == 1
        assert block_keys(graph.store) == []


def test_a_missing_object_of_a_discarded_commit_is_wanted_no_longer(graph: Graph) -> None:
    with crdtgraph.open("memory:") as other:
        commit = other.commit(changes={"a": LARGE}, ref="main")
        for delta in other.deltas("ledger", {}):
            graph.receive("ledger", delta.update)
    collected(graph)
    assert graph.objects.missing == 1
    graph.discard(commit)
    collected(graph)
    assert (graph.objects.missing, graph.objects.missing_bytes) == (0, 0)


VALUES = [random.Random(each).randbytes(INLINE_BYTES_MAX + 1 + 40_000 * each) for each in range(5)]
VALUES.append(VALUES[3][:CHUNK_BYTES] + VALUES[4])


@given(st.lists(st.tuples(st.sampled_from("cccdpgss"), st.integers(0, 30)), max_size=30))
def test_a_collection_never_removes_what_a_live_commit_names(actions: list[tuple[str, int]]) -> None:
    with crdtgraph.open("memory:") as graph:
        under_way: Iterator[None] | None = None
        reference = None
        for action, number in actions:
            commits = graph.topological()
            if action == "c":
                parents = [commits[number % len(commits)]] if commits else []
                value = reference if reference is not None and number % 3 == 0 else VALUES[number % len(VALUES)]
                reference = None
                graph.commit(
                    parents=parents,
                    changes={f"p{number % 3}": value},
                    durability=Durability.CRITICAL if number % 2 else None,
                )
            elif action == "d" and commits:
                graph.discard(commits[number % len(commits)])
            elif action == "p":
                reference = graph.put_object(VALUES[number % len(VALUES)])
            elif action == "g":
                under_way = graph.collect_steps()
            elif under_way is not None:
                next(under_way, None)
        for _ in under_way or ():
            pass
        for commit in graph.topological():
            if graph.is_live(commit):
                for value in graph.state(commit).values():
                    assert isinstance(value, Reference)
                    assert graph.object(value) in VALUES
        assert graph.objects.missing == 0
        collected(graph)
        live = [value for each in graph.topological() if graph.is_live(each) for _, value in graph.get(each).changes]
        named = {value.digest for value in live if isinstance(value, Reference)}
        assert {each for each, _ in graph.objects.whole()} == named

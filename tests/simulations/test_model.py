"""The independent model, by hand."""

from __future__ import annotations

from simulations.model import Assigned, Said, ancestors, fold

A, B, C, D = (bytes([number]) * 32 for number in range(4))


def ref(counter: int, value: bytes | None, *supersedes: tuple[int, int], writer: int = 1) -> Assigned:
    return Assigned("ref", "main", value, (writer, counter), frozenset(supersedes), counter)


def test_a_commit_waits_for_its_parents_and_what_names_it_waits_with_it() -> None:
    child = Said((1, 1), frozenset(), ((B, (A,), 2),), (ref(0, B),), ((B, (3,)),), (B,))
    alone = fold([child])
    assert (alone.parents, alone.refs, alone.counters, alone.pending_commits) == ({}, {}, {}, {B})
    both = fold([child, Said((1, 0), frozenset(), ((A, (), 1),))])
    assert both.refs == {"main": (B,)}
    assert both.counters == {B: (3,)}
    assert both.live == {A}
    assert both.generations == {A: 1, B: 2}
    assert ancestors(both, B) == {A}


def test_a_superseded_segment_counts_for_nothing() -> None:
    first = Said((1, 0), frozenset(), ((A, (), 1),), counts=((A, (1, 2)),))
    joined = Said((1, 1), frozenset({(1, 0)}), ((A, (), 1),), counts=((A, (1, 2)), (A, (1, -2))))
    assert fold([first]).counters == {A: (1, 2)}
    assert fold([first, joined]).counters == fold([joined]).counters == {A: (2,)}


def test_refs_drop_what_is_superseded_or_below_another_target() -> None:
    commits = Said((1, 0), frozenset(), ((A, (), 1), (B, (A,), 1), (C, (A,), 2), (D, (C,), 0)))
    assert fold([commits, Said((2, 0), frozenset(), assigns=(ref(0, A), ref(1, B)))]).refs == {"main": (B,)}
    apart = Said((2, 0), frozenset(), assigns=(ref(0, B), ref(1, C)))
    assert fold([commits, apart]).refs == {"main": (C, B)}, "the later one wins among equal generations"
    moved = Said((2, 1), frozenset(), assigns=(ref(2, D, (1, 1)),))
    assert fold([commits, apart, moved]).refs == {"main": (D, B)}
    removed = Said((2, 2), frozenset(), assigns=(ref(3, None, (1, 0), (1, 2)),))
    assert fold([removed, moved, apart, commits]).refs == {}


def test_of_concurrent_metadata_the_latest_stands() -> None:
    values = [
        Assigned("meta/graph", "k", value, (writer, 0), frozenset(), 5) for writer, value in ((1, b"a"), (2, b"b"))
    ]
    assert fold([Said((9, 0), frozenset(), assigns=tuple(values))]).meta == {("meta/graph", "k"): b"b"}

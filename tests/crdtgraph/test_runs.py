"""Runs of keys are a set of keys."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.ids import SegmentKey
from crdtgraph.searches.runs import KeyRuns

added = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30), st.integers(1, 6)), max_size=12)


@given(added)
def test_it_holds_what_was_added_in_as_few_runs_as_can_be(found):
    runs, expected = KeyRuns(), set()
    for writer, first, length in found:
        runs.add_run(writer, first, length)
        expected |= {SegmentKey(writer, seq) for seq in range(first, first + length)}
    assert list(runs) == sorted(expected)
    assert len(runs) == len(expected)
    assert bool(runs) == bool(expected)
    for writer in (0, 1, 2):
        assert all((SegmentKey(writer, seq) in runs) == (SegmentKey(writer, seq) in expected) for seq in range(40))
    beginnings = sum(SegmentKey(key.writer, key.seq - 1) not in expected for key in expected)
    assert sum(map(len, runs._starts.values())) == beginnings
    assert runs == runs_of(expected)


def runs_of(keys: set[SegmentKey]) -> KeyRuns:
    runs = KeyRuns()
    runs.update(keys)
    return runs

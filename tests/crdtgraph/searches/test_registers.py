"""Registers of a search: concurrent values are all there, and the greatest is the same on all replicas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph import Graph, LocalError
from crdtgraph.canonical import INT64_MAX, INT64_MIN
from tests.crdtgraph.searches.exchanging import digest, open_graph, send


def test_a_value_replaces_what_was_seen_and_nothing_else() -> None:
    with open_graph(0) as one, open_graph(1) as other:
        here, there = one.search("s"), other.search("s")
        assert here.values("line") == ()
        here.assign("line", b"a")
        here.assign("line", b"b")
        there.assign("line", b"c")
        assert (here.values("line"), there.values("line")) == ((b"b",), (b"c",))
        send(here, there)
        send(there, here)
        assert here.values("line") == there.values("line")
        assert sorted(here.values("line")) == [b"b", b"c"]
        assert digest(here) == digest(there)
        there.assign("line", b"d")
        send(there, here)
        assert here.values("line") == there.values("line") == (b"d",)
        here.assign("line", None)
        send(here, there)
        assert here.values("line") == there.values("line") == ()


def test_wrong_names_and_values_are_refused(graph: Graph) -> None:
    with graph.search("s") as search:
        for key, value in (("", b"x"), ("a\nb", b"x"), ("a", "text"), ("a", bytes(70_000))):
            with pytest.raises(LocalError):
                search.assign(key, value)
        for number in (1.5, INT64_MAX + 1, None):
            with pytest.raises(LocalError):
                search.raise_to("a", number)
        assert search.values("a") == ()
        assert search.greatest("a") is None


offers = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from((INT64_MIN, -1, 0, 1, INT64_MAX)),
        st.sampled_from((b"", b"a", b"b", b"ab")),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@given(offers)
def test_the_greatest_of_all_that_was_offered_is_read_on_all_replicas(offers):
    with open_graph(0) as one, open_graph(1) as other:
        sides = [one.search("s"), other.search("s")]
        for side, number, payload, exchanged in offers:
            found = sides[side].raise_to("best", number, payload)
            assert found == sides[side].greatest("best") >= (number, payload)
            if exchanged:
                send(sides[side], sides[1 - side])
        send(sides[0], sides[1])
        send(sides[1], sides[0])
        expected = max((number, payload) for _, number, payload, _ in offers)
        assert [side.greatest("best") for side in sides] == [expected, expected]
        assert digest(sides[0]) == digest(sides[1])

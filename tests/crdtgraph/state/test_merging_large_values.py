"""Merges of values that are kept as objects: what is looked into, what must be here, and what becomes of the result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import crdtgraph
from crdtgraph import Graph, LocalError, MergePolicy, PathConflict, Reference, SettledPath, Value, compare
from crdtgraph.objects.format import INLINE_BYTES_MAX, ObjectMissingError, reference_of
from crdtgraph.state.resolving import OPENED_BYTES_MAX
from tests.crdtgraph.state.heads import conflicted, meet, opened


@pytest.fixture
def graph() -> Iterator[Graph]:
    with opened(7) as graph:
        yield graph


def test_a_policy_may_make_a_large_value_of_small_ones() -> None:
    """Both sides' lines fit into their commits, and together they do not: the merge names an object, as any commit."""
    ours, theirs = (b"".join(b"%s %d\n" % (side, number) for number in range(1_000)) for side in (b"our", b"their"))
    union = b"".join(sorted((ours + theirs).splitlines(keepends=True)))
    assert max(len(ours), len(theirs)) < INLINE_BYTES_MAX < len(union)
    with opened(1) as one, opened(2) as two:
        one.set_merge_policy("lines", "set-union")
        conflicted(one, {"lines": b""}, {"lines": ours}, {"lines": theirs})
        meet(one, two)
        preview = two.preview_merge("main")
        assert not two.has_object(reference_of(union)), "a preview stores nothing"
        merged, again = two.merge("main"), one.merge_into("copy", one.refs["main"].targets)
        assert preview == merged == again, "the same commit wherever it is made"
        assert merged.settled == (SettledPath("lines", "set-union", reference_of(union)),)
        assert two.get(merged.commit).changes == (("lines", reference_of(union)),)
        assert two.read(merged.commit, "lines") == one.read(merged.commit, "lines") == union


def test_a_large_value_that_an_earlier_head_led_to_is_named_where_a_later_one_is_in_conflict(graph: Graph) -> None:
    large = b"x" * (INLINE_BYTES_MAX + 1)

    def policy(_path: str, _base: Value, ours: Value, _theirs: Value) -> Value | MergePolicy:
        return large if ours == b"one" else MergePolicy.CONFLICT

    conflicted(graph, {"a": b"base"}, {"a": b"one"}, {"a": b"two"}, {"a": b"three"})
    merged = graph.merge("main", policies={"a": policy})
    assert merged.conflicts == (PathConflict("a", b"base", reference_of(large), b"three"),)
    assert graph.read(merged.commit, "a") == large


def test_a_merge_that_may_not_be_written_puts_no_object(tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'store'}"
    with crdtgraph.open(store) as graph:
        ours, theirs = (side * (INLINE_BYTES_MAX // 2 + 1) for side in (b"o", b"t"))
        conflicted(graph, {"text": b""}, {"text": ours}, {"text": theirs})
    with crdtgraph.open(store, read_only=True) as graph, pytest.raises(LocalError, match="is open for reading only"):
        graph.merge("main", policies={"text": lambda _path, _base, ours, theirs: ours + theirs})


def lines(label: bytes, count: int = 2_000) -> bytes:
    return b"".join(b"%s %d\n" % (label, number) for number in range(count))


def test_large_sets_and_texts_are_merged_like_small_ones() -> None:
    base = lines(b"base")
    ours, theirs = b"first\n" + base, base + b"last\n"
    assert len(base) > INLINE_BYTES_MAX
    policies = {"set": "set-union", "text": "text"}
    with opened(1) as one, opened(2) as two:
        conflicted(one, dict.fromkeys(policies, base), dict.fromkeys(policies, ours), dict.fromkeys(policies, theirs))
        meet(one, two)
        assert [each.path for each in one.preview_merge("main").conflicts] == ["set", "text"]
        for each in (base, ours, theirs):
            two.objects.lose(reference_of(each).digest)
        for missing in (base, ours, theirs):
            with pytest.raises(ObjectMissingError, match=reference_of(missing).digest.hex()[:16]):
                two.merge("main", policies=policies)
            assert two.refs["main"].conflicted, "nothing was written"
            two.put_object(missing)
        merged = two.merge("main", policies=policies)
        assert merged == one.merge("main", policies=policies)
        assert merged.conflicts == ()
        assert two.read(merged.commit, "text") == b"first\n" + base + b"last\n"
        assert two.read(merged.commit, "set") == b"".join(sorted((ours + b"last\n").splitlines(keepends=True)))


@pytest.mark.parametrize(
    "side", [bytes(OPENED_BYTES_MAX + 1), Reference("git-blob", b"x" * 20, 5)], ids=["too large", "kept elsewhere"]
)
def test_what_cannot_be_looked_into_is_in_conflict(graph: Graph, side: Value) -> None:
    conflicted(graph, {"a": b"base\n"}, {"a": side}, {"a": b"theirs\n"})
    for policy in ("set-union", "text"):
        result = graph.preview_merge("main", policies={"a": policy})
        assert [each.path for each in result.conflicts] == ["a"]


def test_a_forecast_looks_into_large_values_that_a_side_has() -> None:
    base = lines(b"base")
    with opened(1) as one, opened(2) as two:
        one.set_merge_policy("text", "text")
        one.commit(changes={"text": base}, ref="main")
        meet(one, two)
        one.commit(changes={"text": b"first\n" + base}, ref="main")
        two.commit(changes={"text": base + b"last\n"}, ref="main")
        assert [merge.conflicts for merge in compare(one, two).merges] == [()]
        for side in (one, two):
            side.objects.lose(reference_of(base).digest)
        assert [len(merge.conflicts) for merge in compare(one, two).merges] == [1]

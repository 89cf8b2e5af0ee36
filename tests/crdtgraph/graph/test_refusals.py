"""Misuse of a graph is a local error that says what was wrong and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import crdtgraph
from crdtgraph import Commit, CommitId, Graph, LocalError, NotFoundError, Reference
from crdtgraph.assigning import META_VALUE_BYTES_MAX
from crdtgraph.records import PARENTS_MAX, RECORD_BYTES_MAX
from tests.crdtgraph.graph.machine import Machine
from tests.crdtgraph.graph.test_graph import ABSENT

BAD_CALLS: dict[str, Callable[[Graph, CommitId], object]] = {
    "missing parent": lambda graph, root: graph.commit(parents=[ABSENT]),
    "missing second parent": lambda graph, root: graph.commit(parents=[root, ABSENT]),
    "parent of hex": lambda graph, root: graph.commit(parents=[root.hex()]),
    "parent cut short": lambda graph, root: graph.commit(parents=[root[:31]]),
    "one parent outside a list": lambda graph, root: graph.commit(parents=root),
    "text for parents": lambda graph, root: graph.commit(parents=root.hex()),
    "number for parents": lambda graph, root: graph.commit(parents=5),
    "parent of bytearray": lambda graph, root: graph.commit(parents=[bytearray(root)]),
    "parent of list": lambda graph, root: graph.commit(parents=[[root]]),
    "parent of None": lambda graph, root: graph.commit(parents=[None]),
    "too many parents": lambda graph, root: graph.commit(parents=[root] * (PARENTS_MAX + 1)),
    "author of bytes": lambda graph, root: graph.commit(author=b"Ada"),
    "author of list": lambda graph, root: graph.commit(author=["Ada"]),
    "author with a lone surrogate": lambda graph, root: graph.commit(author="\ud800"),
    "message of bytes": lambda graph, root: graph.commit(message=b"m"),
    "message of None": lambda graph, root: graph.commit(message=None),
    "message with a lone surrogate": lambda graph, root: graph.commit(message="m\udc80"),
    "origin of bytes": lambda graph, root: graph.commit(origin=b"git:1"),
    "origin with a lone surrogate": lambda graph, root: graph.commit(origin="\udfff"),
    "time of float": lambda graph, root: graph.commit(time=1.5),
    "time of large float": lambda graph, root: graph.commit(time=1.5e15),
    "time of text": lambda graph, root: graph.commit(time="now"),
    "time beyond 64 bits": lambda graph, root: graph.commit(time=1 << 63),
    "time far beyond 64 bits": lambda graph, root: graph.commit(time=1 << 80),
    "time below 64 bits": lambda graph, root: graph.commit(time=-(1 << 63) - 1),
    "changes of list": lambda graph, root: graph.commit(changes=[("a", b"")]),
    "empty path": lambda graph, root: graph.commit(changes={"": b""}),
    "path of bytes": lambda graph, root: graph.commit(changes={b"a": b""}),
    "path too long": lambda graph, root: graph.commit(changes={"ä" * 2049: b""}),
    "path with a lone surrogate": lambda graph, root: graph.commit(changes={"a\ud800": b""}),
    "value of text": lambda graph, root: graph.commit(changes={"a": "text"}),
    "value of bytearray": lambda graph, root: graph.commit(changes={"a": bytearray(2)}),
    "value of number": lambda graph, root: graph.commit(changes={"a": 5}),
    "reference of a negative size": lambda graph, root: graph.commit(changes={"a": Reference("s", b"", -1)}),
    "reference of a huge size": lambda graph, root: graph.commit(changes={"a": Reference("s", b"", 1 << 63)}),
    "reference of a true size": lambda graph, root: graph.commit(changes={"a": Reference("s", b"", True)}),
    "reference with a number for a scheme": lambda graph, root: graph.commit(changes={"a": Reference(5, b"", 1)}),
    "reference with a lone surrogate": lambda graph, root: graph.commit(changes={"a": Reference("\ud800", b"", 1)}),
    "reference with a text for a digest": lambda graph, root: graph.commit(changes={"a": Reference("s", "d", 1)}),
    "too large": lambda graph, root: graph.commit(message="m" * RECORD_BYTES_MAX),
    "too large with a ref": lambda graph, root: graph.commit(message="m" * RECORD_BYTES_MAX, ref="new"),
    "ref that does not fast-forward": lambda graph, root: graph.commit(parents=[root], ref="main"),
    "ref without a common root": lambda graph, root: graph.commit(parents=[], ref="main"),
    "empty ref": lambda graph, root: graph.commit(ref=""),
    "ref of bytes": lambda graph, root: graph.commit(ref=b"main"),
    "ref with a control character": lambda graph, root: graph.commit(ref="a\nb"),
    "ref with a lone surrogate": lambda graph, root: graph.commit(ref="\ud800"),
    "ref too long": lambda graph, root: graph.commit(ref="r" * 1025),
    "unknown plane": lambda graph, root: graph.commit(plane="search"),
    "many: unordered changes": lambda graph, root: graph.commit_many(
        [Commit((), "a", 1, "", (("b", b""), ("a", b"")))]
    ),
    "many: repeated path": lambda graph, root: graph.commit_many([Commit((), "a", 1, "", (("a", b""), ("a", b"")))]),
    "many: empty path": lambda graph, root: graph.commit_many([Commit((), "a", 1, "", (("", b""),))]),
    "many: changes of None": lambda graph, root: graph.commit_many([Commit((), "a", 1, "", None)]),
    "many: changes of list": lambda graph, root: graph.commit_many([Commit((), "a", 1, "", [("a", b"")])]),
    "many: changes of triples": lambda graph, root: graph.commit_many([Commit((), "a", 1, "", (("a", b"", 1),))]),
    "many: changes of numbers": lambda graph, root: graph.commit_many([Commit((), "a", 1, "", (1, 2))]),
    "many: bad reference": lambda graph, root: graph.commit_many(
        [Commit((), "a", 1, "", (("a", Reference("s", b"", -1)),))]
    ),
    "many: value of text": lambda graph, root: graph.commit_many([Commit((), "a", 1, "", (("a", "b"),))]),
    "get what is absent": lambda graph, root: graph.get(ABSENT),
    "get by hex": lambda graph, root: graph.get(root.hex()),
    "get a list": lambda graph, root: graph.get([root]),
    "get many with one absent": lambda graph, root: graph.get_many([root, ABSENT]),
    "parents of an absent one": lambda graph, root: graph.parents(ABSENT),
    "merge base with an absent one": lambda graph, root: graph.merge_bases(root, ABSENT),
    "state of an absent one": lambda graph, root: graph.state(ABSENT),
    "set_ref to an absent one": lambda graph, root: graph.set_ref("main", ABSENT),
    "set_ref backwards": lambda graph, root: graph.set_ref("main", root),
    "set_ref to no name": lambda graph, root: graph.set_ref("", root),
    "delete an unknown ref": lambda graph, root: graph.delete_ref("nope"),
    "merge an unknown ref": lambda graph, root: graph.merge("nope"),
    "metadata of text": lambda graph, root: graph.set_meta("k", "v"),
    "metadata without a key": lambda graph, root: graph.set_meta("", b"v"),
    "metadata too large": lambda graph, root: graph.set_meta("k", bytes(META_VALUE_BYTES_MAX + 1)),
    "metadata of an absent commit": lambda graph, root: graph.set_meta("k", b"v", commit=ABSENT),
    "count nothing": lambda graph, root: graph.count(root, []),
    "count a number": lambda graph, root: graph.count(root, 5),
    "count floats": lambda graph, root: graph.count(root, [0.5]),
    "count truths": lambda graph, root: graph.count(root, [True]),
    "count beyond 64 bits": lambda graph, root: graph.count(root, [1 << 63]),
    "count too many": lambda graph, root: graph.count(root, [1] * 65),
    "count for an absent commit": lambda graph, root: graph.count(ABSENT, [1]),
    "discard an absent commit": lambda graph, root: graph.discard(ABSENT),
}  # fmt: skip


@pytest.mark.parametrize("call", BAD_CALLS.values(), ids=BAD_CALLS.keys())
def test_misuse_is_a_local_error_that_changes_nothing(
    call: Callable[[Graph, CommitId], object], tmp_path: Path, machine: Machine
) -> None:
    with crdtgraph.open("memory:", host=machine.host) as graph:
        root = graph.commit(message="root")
        graph.commit(parents=[root], ref="main")
        before = graph.digest(), len(graph), graph.status().buffered, dict(graph.refs)
        with pytest.raises(LocalError) as caught:
            call(graph, root)
        assert str(caught.value)
        assert (graph.digest(), len(graph), graph.status().buffered, dict(graph.refs)) == before
        graph.commit(message="and it goes on", ref="main")


def test_a_missing_parent_is_named_with_what_to_do(graph: Graph) -> None:
    with pytest.raises(LocalError, match=ABSENT.hex()) as caught:
        graph.commit(parents=[ABSENT])
    assert "commit or import it first" in caught.value.hint


def test_an_unknown_ref_lists_the_known_ones(graph: Graph) -> None:
    with pytest.raises(NotFoundError, match="'mian'") as caught:
        graph.merge("mian")
    assert "yet" in caught.value.hint
    for name in ("main", "v1"):
        graph.commit(ref=name)
    with pytest.raises(NotFoundError, match="'mian'") as caught:
        graph.delete_ref("mian")
    assert "main, v1" in caught.value.hint
    with pytest.raises(KeyError):
        graph.refs["mian"]
    with pytest.raises(NotFoundError, match="'mian'") as caught:
        graph.resolve("mian")
    assert "main, v1" in caught.value.hint


def test_a_move_that_is_no_fast_forward_names_the_target(graph: Graph) -> None:
    root = graph.commit(ref="main")
    tip = graph.commit(ref="main")
    with pytest.raises(LocalError, match=tip.hex()[:12]):
        graph.set_ref("main", root)
    graph.set_ref("main", root, force=True)
    assert graph.refs["main"] == root
    assert not graph.refs["main"].conflicted

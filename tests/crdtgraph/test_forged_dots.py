"""A writer that gives one dot to two assignments must not make anybody's own store unreadable."""

from __future__ import annotations

from pathlib import Path

import pytest

import crdtgraph
from crdtgraph import Graph
from crdtgraph.document import item_update
from crdtgraph.ids import Dot, SegmentKey
from crdtgraph.records import Assign
from crdtgraph.segment import Records, pack
from crdtgraph.signing import Identity

FORGER = Identity(bytes(range(32)), bytes(16))


def receive_twins(graph: Graph, namespace: str, key: str, values: tuple[bytes, bytes]) -> None:
    assigns = [Assign(namespace, key, value, Dot(FORGER.writer, 0), (), 1) for value in values]
    data = pack(Records(assigns=assigns), plane=crdtgraph.LEDGER, identity=FORGER, seq=0)
    graph.receive(crdtgraph.LEDGER, item_update(SegmentKey(FORGER.writer, 0), data).encode())


@pytest.mark.parametrize("kind", ["metadata", "deleted ref", "moved ref"])
def test_superseding_a_dot_with_two_values_leaves_a_store_that_opens(tmp_path: Path, kind: str) -> None:
    store = str(tmp_path / "store")
    with crdtgraph.open(store) as graph:
        root = graph.commit(message="root")
        left, right = (graph.commit(parents=[root], message=side) for side in ("left", "right"))
        if kind == "metadata":
            receive_twins(graph, "meta/graph", "owner", (b"one", b"two"))
            graph.set_meta("owner", b"three")
            assert graph.meta() == {"owner": b"three"}
        else:
            receive_twins(graph, "ref", "main", (left, right))
            assert set(graph.refs["main"].targets) == {left, right}
            if kind == "deleted ref":
                graph.delete_ref("main")
                assert "main" not in graph.refs
            else:
                graph.set_ref("main", root, force=True)
                assert graph.refs["main"].targets == (root,)
        digest = graph.digest()
    with crdtgraph.open(store, create=False) as graph:
        assert graph.digest() == digest
        assert not [finding for finding in graph.fsck() if finding.problem]

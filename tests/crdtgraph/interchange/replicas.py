"""Replicas that hold everything a replica can hold, for what is written out and read back."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import crdtgraph
from crdtgraph import Commit, Graph, Host, Reference
from crdtgraph.ids import SegmentKey
from crdtgraph.records import ordered_changes
from crdtgraph.segment import Records, pack
from crdtgraph.signing import Identity
from crdtgraph.union import unite

PLANE = "ledger"


def open_replica(seed: int, url: str = "memory:", cluster: str = "default") -> Graph:
    clock = itertools.count(1_700_000_000_000_000 + 1000 * seed)
    host = Host(now_us=lambda: next(clock), random_bytes=random.Random(seed).randbytes)
    return crdtgraph.open(url, cluster=cluster, host=host)


def grow(graph: Graph, count: int) -> None:
    """Commits with counts, each in a segment of its own."""
    for number in range(count):
        commit = graph.commit(parents=graph.heads()[:1], message=str(number))
        graph.count(commit, [1, number])
        graph.flush()


def give(source: Graph, target: Graph) -> None:
    unite(source, target)


def act(rng: random.Random, graph: Graph, other: Graph) -> None:
    """One step of a made-up history: something that `graph` does, or gives to `other`."""
    commits = graph.topological()
    match rng.randrange(8):
        case 0 | 1 | 2:
            parents = sorted(set(rng.choices(commits, k=rng.randrange(3)))) if commits else []
            changes = {rng.choice("abc"): rng.randbytes(3)}
            graph.commit(parents=parents, message=str(rng.random()), changes=changes)
        case 3 if commits:
            graph.set_ref(rng.choice("xy"), rng.choice(commits), force=True)
        case 4 if commits:
            graph.count(rng.choice(commits), [rng.randrange(-9, 9)])
        case 5:
            graph.compact()
        case 6 if commits and rng.random() < 0.2:
            graph.discard(rng.choice(commits))
        case _:
            graph.flush()
            if graph is not other:
                give(graph, other)


def everything() -> Graph:
    """A replica with odd texts, a conflicted ref, metadata, counters, discards, records that wait, deleted places,
    holes, and a segment kept beside the document."""
    graph, other, third = open_replica(1), open_replica(2), open_replica(3)
    odd = 'a\x00b\x1b[31m\u2028 \U0001f600 "quoted" \\ \x9b\x7f'
    changes = {"a": b"text", "bytes": b"\xff\x00", "ref": Reference("git-blob", bytes(20), 7), odd: b"", "a/b": b"c"}
    root = graph.commit(message=odd, author=odd, changes=changes, ref="main", origin="git:" + "0" * 40)
    give(graph, other)
    give(graph, third)
    graph.commit(message="ours", changes={"a": None}, ref="main", time=-5)
    other.commit(message="theirs", ref="main")
    grow(other, 3)
    other.compact()
    give(other, graph)
    graph.set_ref("side", root)
    graph.delete_ref("side")
    graph.set_meta("owner", b"\xff")
    graph.set_meta("owner", b"text")
    graph.set_meta("note", b"x", commit=root)
    graph.count(root, [2**63 - 1, -5])
    dead = graph.commit(parents=[root], message="dead")
    graph.discard(dead)
    graph.flush()
    twice_used(graph)
    hollow(third, graph)
    return graph


def twice_used(graph: Graph) -> None:
    """Two segments of a writer that was cloned: one in the document, the other beside it."""
    clone = Identity(bytes(range(32)), bytes(16))
    for number in range(2):
        missing = Commit((), "a", number, "never comes").id
        commit = Commit((missing,) if number else (), "clone", 7, f"clone {number}", ordered_changes({}))
        data = pack(Records([commit.id], [commit], [5]), plane=PLANE, identity=clone, seq=0)
        if number:
            assert graph.adopt(PLANE, [data]) == 1
        else:
            give_segments(graph, [data])


def hollow(writer: Graph, graph: Graph) -> None:
    """Places of a writer whose segments were compacted, and not what they were joined into."""
    grow(writer, 4)
    writer.compact()
    items = [item for delta in writer.deltas(PLANE, {}) for item in crdtgraph.update.decode_update(delta.update).items]
    gone = [item for item in items if item.key.writer == writer.writer and item.value is None]
    for item in gone:
        graph.receive(PLANE, crdtgraph.update.Update((item,)).encode())
    assert graph.holes(PLANE) == [item.key for item in gone]


def give_segments(graph: Graph, segments: Sequence[bytes]) -> None:
    for data in segments:
        key: SegmentKey = crdtgraph.segment.unpack(data).key
        graph.receive(PLANE, crdtgraph.document.item_update(key, data).encode())

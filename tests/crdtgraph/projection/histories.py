"""Random histories of several writers, cut into segments, and replicas that they are delivered to."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from crdtgraph.ids import CommitId, Dot, SegmentKey
from crdtgraph.pending import PendingCommit
from crdtgraph.projection import Projection, fold_all
from crdtgraph.records import Assign, Commit, Count, Discard
from crdtgraph.segment import Records, Segment, pack, unpack
from crdtgraph.signing import Identity
from tests.crdtgraph.projection.model import Content, Model, Record, content_of, pending_of

PLANE = "ledger"

IDENTITIES = [Identity(bytes([number]) * 32, bytes(16)) for number in range(4)]


# Histories


@dataclass
class Writer:
    """One writer: its own log, and how much of each writer's log it has seen."""

    identity: Identity
    log: list[Record] = field(default_factory=list)
    seen: dict[int, int] = field(default_factory=dict)
    dots: int = 0


def history(rng: random.Random, writers: int, steps: int) -> list[Writer]:
    """Writers that take turns at random; each builds only on what it has seen, and gossips now and then."""
    world = [Writer(identity) for identity in IDENTITIES[:writers]]
    stamp = 1000
    for _ in range(steps):
        me = rng.choice(world)
        for number, other in enumerate(world):
            if other is me or rng.random() < 0.25:
                me.seen[number] = len(other.log)
        view = Model([r for number, seen in me.seen.items() for r in world[number].log[:seen]])
        stamp += rng.randrange(1, 3)
        me.log.append(next_record(rng, me, view, stamp))
        me.seen[world.index(me)] = len(me.log)
    return world


def next_record(rng: random.Random, me: Writer, view: Model, stamp: int) -> Record:
    known = sorted(view.visible)
    kind = rng.choices(["commit", "ref", "meta", "count", "discard"], [10, 4, 2, 4, 1])[0]
    if not known or kind == "commit":
        width = rng.choice([0, 1, 1, 1, 1, 2, 2, 3, 6])
        parents = tuple(CommitId(parent) for parent in rng.sample(known, min(width, len(known))))
        message = rng.choice(["same for all", str(stamp)])
        return Commit(parents, "a", rng.choice([7, stamp]), message, (("p", b"%d" % rng.randrange(2)),))
    target = CommitId(rng.choice(known))
    if kind == "count":
        return Count(target, tuple(rng.randrange(-2, 3) for _ in range(rng.randrange(1, 4))), stamp)
    if kind == "discard":
        return Discard(target, stamp)
    dot = Dot(me.identity.writer, me.dots)
    me.dots += 1
    key = rng.choice(["main", "side"])
    namespace = "ref" if kind == "ref" else rng.choice(["meta/graph", f"meta/{target.hex()}"])
    live = [r for r in view.live_assigns() if (r.namespace, r.key) == (namespace, key)]
    value: bytes | None = target if kind == "ref" else b"%d" % rng.randrange(3)
    if rng.random() < 0.15:
        value = None
    if kind == "ref" and value is not None and rng.random() < 0.7:
        below = view.ancestors(target) | {target}
        live = [r for r in live if r.value is None or r.value in below]
    return Assign(namespace, key, value, dot, tuple(sorted(r.dot for r in live)), stamp)


# Segments


@dataclass(frozen=True)
class Packed:
    """A segment with the records that went into it."""

    segment: Segment
    records: tuple[Record, ...]

    @property
    def key(self) -> SegmentKey:
        return self.segment.key


def pack_records(identity: Identity, seq: int, records: Iterable[Record], supersedes: Iterable[int] = ()) -> Packed:
    batch = Records()
    inside = tuple(records)
    for record in inside:
        if isinstance(record, Commit):
            batch.ids.append(record.id)
            batch.commits.append(record)
            batch.stamps.append(0)
        elif isinstance(record, Assign):
            batch.assigns.append(record)
        elif isinstance(record, Count):
            batch.counts.append(record)
        else:
            batch.discards.append(record)
    data = pack(batch, plane=PLANE, identity=identity, seq=seq, supersedes=sorted(supersedes))
    return Packed(unpack(data, check_signature=False), inside)


def segments(rng: random.Random, writer: Writer) -> list[Packed]:
    """A writer's log in segments of random sizes, with compactions of random ones among them, in any depth."""
    packed: list[Packed] = []
    present: list[Packed] = []
    at = 0
    while at < len(writer.log):
        size = rng.choice([1, 1, 2, 3, 8])
        present.append(pack_records(writer.identity, len(packed), writer.log[at : at + size]))
        packed.append(present[-1])
        at += size
        if len(present) > 1 and rng.random() < 0.3:
            joined = sorted(rng.sample(present, rng.randrange(2, len(present) + 1)), key=lambda each: each.key)
            old = {key.seq for each in joined for key in (each.key, *each.segment.supersedes)}
            records = [record for each in joined for record in each.records]
            present = [each for each in present if each not in joined]
            present.append(pack_records(writer.identity, len(packed), records, old))
            packed.append(present[-1])
    return packed


class Replica:
    """A projection that is kept up to date, beside all the segments that it was given."""

    def __init__(self) -> None:
        self.projection = Projection()
        self.held: dict[tuple[SegmentKey, bytes], Packed] = {}

    def receive(self, packed: Packed) -> None:
        self.projection.fold(packed.segment, 0, self.load)
        self.held[packed.key, packed.segment.digest] = packed

    def load(self, key: SegmentKey) -> list[Segment]:
        return [packed.segment for (other, _), packed in self.held.items() if other == key]

    def model(self) -> Model:
        gone = {key for packed in self.held.values() for key in packed.segment.supersedes}
        return Model([r for packed in self.held.values() if packed.key not in gone for r in packed.records])

    def check(self) -> Content:
        kept, scratch = self.projection, fold_all(packed.segment for packed in self.held.values())
        assert kept.components() == scratch.components()
        assert kept.digest() == scratch.digest()
        assert pending_of(kept) == pending_of(scratch)
        assert content_of(kept) == content_of(scratch)
        model = self.model()
        content = content_of(kept)
        assert content == model.content()
        assert pending_of(kept) == model.pending()
        assert kept.live_count() == len(content.live)
        for record, missing in kept.pending:
            assert missing not in content.visible
            if isinstance(record, PendingCommit):
                assert missing in record.parents
        for commit in kept.ids:
            assert kept.dag.generation(kept.nodes[commit]) == model.generation(commit)
        return content


def deliveries(rng: random.Random, packed: list[Packed]) -> Iterator[Packed]:
    """All that is needed, in random order, with repetitions; what a compaction has replaced comes only now and then."""
    gone = {key for each in packed for key in each.segment.supersedes}
    wanted = [each for each in packed if each.key not in gone or rng.random() < 0.6]
    wanted += rng.choices(packed, k=len(packed) // 2) if packed else []
    rng.shuffle(wanted)
    if rng.random() < 0.3:
        wanted.sort(key=lambda each: each.key, reverse=rng.random() < 0.5)
    yield from wanted

"""The laws of the projection: it is a function of the *set* of segments, and of nothing else.

A random history is made by several writers as real ones would make it, cut into segments at random, partly joined by
compactions, and delivered in random order with repetitions. After every single step the projection that was kept up
to date is compared with one folded from scratch and with a model in plain sets and dicts that knows nothing of this
library but the records.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph.ids import CommitId, Dot, SegmentKey
from crdtgraph.pending import PendingCommit, PendingCount
from crdtgraph.projection import Projection, fold_all
from crdtgraph.records import Assign, Commit, Count, Discard
from crdtgraph.segment import Records, Segment, pack, unpack
from crdtgraph.signing import Identity

PLANE = "ledger"
Record = Commit | Assign | Count | Discard

IDENTITIES = [Identity(bytes([number]) * 32, bytes(16)) for number in range(4)]


# The model


@dataclass(frozen=True)
class Content:
    """What a user can see, as plain values."""

    visible: frozenset[bytes]
    live: frozenset[bytes]
    registers: frozenset[tuple[str, str, bytes | None, Dot]]
    counters: tuple[tuple[bytes, tuple[int, ...]], ...]
    refs: tuple[tuple[str, tuple[bytes, ...]], ...]

    def digested(self) -> object:
        """The part that digests are of."""
        return self.live, self.registers, tuple(item for item in self.counters if item[0] in self.live)


@dataclass
class Model:
    """All meaning of a bag of records, worked out from scratch at every question."""

    records: list[Record]
    commits: dict[bytes, Commit] = field(init=False)
    visible: set[bytes] = field(init=False)
    order: list[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.commits = {record.id: record for record in self.records if isinstance(record, Commit)}
        self.visible, self.order = set(), []
        while ready := [
            id
            for id, commit in self.commits.items()
            if id not in self.visible and all(parent in self.visible for parent in commit.parents)
        ]:
            self.visible.update(ready)
            self.order += ready

    def ancestors(self, commit: bytes) -> set[bytes]:
        found: set[bytes] = set()
        todo = [commit]
        while todo:
            for parent in self.commits[todo.pop()].parents:
                if parent not in found:
                    found.add(parent)
                    todo.append(parent)
        return found

    def generation(self, commit: bytes) -> int:
        height: dict[bytes, int] = {}
        for each in self.order:
            height[each] = 1 + max((height[parent] for parent in self.commits[each].parents), default=0)
        return height[commit]

    def live_commits(self) -> set[bytes]:
        roots = {record.commit for record in self.records if isinstance(record, Discard)}
        return {commit for commit in self.visible if not (self.ancestors(commit) | {commit}) & roots}

    def live_assigns(self) -> list[Assign]:
        applied = [r for r in self.records if isinstance(r, Assign) and not self.is_pending(r)]
        gone = {(r.namespace, r.key, dot) for r in applied for dot in r.supersedes}
        return [r for r in applied if (r.namespace, r.key, r.dot) not in gone]

    def is_pending(self, record: Record) -> bool:
        if isinstance(record, Commit):
            return record.id not in self.visible
        if isinstance(record, Assign):
            return record.namespace == "ref" and record.value is not None and record.value not in self.visible
        return record.commit not in self.visible

    def targets(self, name: str) -> tuple[bytes, ...]:
        live = [r for r in self.live_assigns() if (r.namespace, r.key) == ("ref", name)]
        values = {r.value for r in live if r.value is not None}
        best = [v for v in values if not any(v in self.ancestors(other) for other in values)]
        rank = {v: (self.generation(v), self.commits[v].time, v) for v in best}
        return tuple(sorted(best, key=lambda value: rank[value], reverse=True))

    def counters(self) -> dict[bytes, tuple[int, ...]]:
        found: dict[bytes, list[int]] = {}
        for record in self.records:
            if isinstance(record, Count) and record.commit in self.visible:
                total = found.setdefault(record.commit, [])
                total += [0] * (len(record.vector) - len(total))
                for place, number in enumerate(record.vector):
                    total[place] += number
        for total in found.values():
            while total and total[-1] == 0:
                total.pop()
        return {commit: tuple(total) for commit, total in found.items() if total}

    def pending(self) -> Counter[str]:
        waiting = [record for record in self.records if self.is_pending(record)]
        once = {record for record in waiting if not isinstance(record, Count)}
        return Counter([type(r).__name__ for r in once] + ["Count" for r in waiting if isinstance(r, Count)])

    def content(self) -> Content:
        names = sorted({r.key for r in self.live_assigns() if r.namespace == "ref" and r.value is not None})
        return Content(
            frozenset(self.visible),
            frozenset(self.live_commits()),
            frozenset((r.namespace, r.key, r.value, r.dot) for r in self.live_assigns()),
            tuple(sorted(self.counters().items())),
            tuple((name, self.targets(name)) for name in names),
        )


# The same, read from a projection


def content_of(projection: Projection) -> Content:
    return Content(
        frozenset(projection.ids),
        frozenset(commit for commit in projection.ids if projection.is_live(commit)),
        frozenset((r.namespace, r.key, r.value, r.dot) for r in projection.registers),
        tuple(projection.counters),
        tuple((name, ref.targets) for name, ref in sorted(projection.refs.items())),
    )


def pending_of(projection: Projection) -> Counter[str]:
    names = {PendingCommit: "Commit", PendingCount: "Count"}
    return Counter(names.get(type(record), type(record).__name__) for record, _ in projection.pending)


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


worlds = given(seed=st.integers(0, 2**32 - 1), writers=st.integers(1, 4), steps=st.integers(0, 45))


@worlds
@settings(max_examples=60, deadline=None)
def test_the_projection_is_a_function_of_the_set_of_segments(seed: int, writers: int, steps: int) -> None:
    rng = random.Random(seed)
    packed = [each for writer in history(rng, writers, steps) for each in segments(rng, writer)]
    digests: dict[object, bytes] = {Model([]).content().digested(): Projection().digest()}
    contents: dict[bytes, object] = {digest: content for content, digest in digests.items()}
    replicas = [Replica() for _ in range(3)]
    for replica in replicas:
        for each in deliveries(rng, packed):
            replica.receive(each)
            content = replica.check().digested()
            digest = replica.projection.digest()
            assert digests.setdefault(content, digest) == digest, "equal contents, different digests"
            assert contents.setdefault(digest, content) == content, "equal digests, different contents"
    final = [(replica.projection.digest(), content_of(replica.projection)) for replica in replicas]
    assert final[0] == final[1] == final[2]
    assert len(replicas[0].projection.pending) == 0
    everything = [record for each in packed if not each.segment.supersedes for record in each.records]
    assert final[0][1] == Model(everything).content(), "a compaction neither loses nor adds anything"


@worlds
@settings(max_examples=25, deadline=None)
def test_the_grouping_of_records_changes_nothing(seed: int, writers: int, steps: int) -> None:
    rng = random.Random(seed)
    world = history(rng, writers, steps)
    digests = set()
    for _ in range(4):
        replica = Replica()
        for each in deliveries(rng, [each for writer in world for each in segments(rng, writer)]):
            replica.receive(each)
        digests.add(replica.projection.digest())
    one_by_one = Projection()
    for writer in world:
        for record in writer.log:
            key = SegmentKey(writer.identity.writer, 0)
            if isinstance(record, Commit):
                one_by_one.add_commit(record.id, record.parents, record.time, 0)
            elif isinstance(record, Assign):
                one_by_one.add_assign(record)
            elif isinstance(record, Count):
                one_by_one.add_count(record, key)
            else:
                one_by_one.add_discard(record)
    digests.add(one_by_one.digest())
    assert len(digests) == 1


@worlds
@settings(max_examples=25, deadline=None)
def test_a_clock_that_was_used_twice_counts_both_times(seed: int, writers: int, steps: int) -> None:
    """A cloned process signs other records under keys that are taken; both segments are part of the set."""
    rng = random.Random(seed)
    world = history(rng, writers, steps)
    packed = []
    for writer in world:
        mine = [pack_records(writer.identity, seq, [record]) for seq, record in enumerate(writer.log)]
        clones = [
            pack_records(writer.identity, each.key.seq, said_by(writer, rng.choice(world).log[-1:]))
            for each in mine
            if rng.random() < 0.3
        ]
        packed += mine + clones
    replicas = [Replica(), Replica()]
    for replica in replicas:
        for each in rng.sample(packed, len(packed)):
            replica.receive(each)
            replica.check()
    assert replicas[0].projection.digest() == replicas[1].projection.digest()


def said_by(writer: Writer, records: list[Record]) -> list[Record]:
    """Records as this writer would say them: an assignment's dot bears the number of the segment it comes in."""
    own = writer.identity.writer
    said = [r._replace(dot=Dot(own, r.dot.counter)) if isinstance(r, Assign) else r for r in records]
    return said or [Commit((), "clone", 0, "")]


@worlds
@settings(max_examples=25, deadline=None)
def test_only_superseded_segments_may_be_missing(seed: int, writers: int, steps: int) -> None:
    """A replica that met only the last of several compactions equals one that met them all."""
    rng = random.Random(seed)
    packed = [each for writer in history(rng, writers, steps) for each in segments(rng, writer)]
    gone = {key for each in packed for key in each.segment.supersedes}
    few, all_of_them = Replica(), Replica()
    for each in packed:
        all_of_them.receive(each)
        if each.key not in gone:
            few.receive(each)
    assert few.projection.digest() == all_of_them.projection.digest()
    for each in rng.sample(packed, len(packed)):
        few.receive(each)
        few.check()
    assert few.projection.digest() == all_of_them.projection.digest()

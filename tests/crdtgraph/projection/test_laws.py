"""The laws of the projection: it is a function of the *set* of segments, and of nothing else.

A random history is made by several writers as real ones would make it, cut into segments at random, partly joined by
compactions, and delivered in random order with repetitions. After every single step the projection that was kept up
to date is compared with one folded from scratch and with a model in plain sets and dicts that knows nothing of this
library but the records.
"""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph.ids import Dot, SegmentKey
from crdtgraph.projection import Projection
from crdtgraph.records import Assign, Commit, Count
from tests.crdtgraph.projection.histories import Replica, Writer, deliveries, history, pack_records, segments
from tests.crdtgraph.projection.model import Model, Record, content_of

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

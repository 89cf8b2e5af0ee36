"""Documents that were given the same updates agree, whatever the order; claims in an update cost nothing."""

import hashlib

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph.checkpoints.recovery import load
from crdtgraph.document import Document, item_update
from crdtgraph.errors import RemoteError
from crdtgraph.exchange import RemoteGapError, deltas, receive_steps
from crdtgraph.ids import CommitId, SegmentKey
from crdtgraph.planes import LEDGER, Plane
from crdtgraph.records import Discard
from crdtgraph.segment import Records, pack
from crdtgraph.signing import Identity
from crdtgraph.store import open_store
from crdtgraph.update import CLOCK_MAX, Item, RemoteUpdateError, Update, decode_update, varint

READER = 999


@st.composite
def histories(draw):
    """Per writer a list of updates as it writes them: a segment, or one that supersedes earlier ones."""
    logs = []
    for writer in draw(st.lists(st.integers(0, 50), min_size=1, max_size=3, unique=True)):
        log, left = [], []
        for seq in range(draw(st.integers(1, 6))):
            doomed = draw(st.lists(st.sampled_from(left), unique=True)) if left and draw(st.booleans()) else []
            item = Item(SegmentKey(writer, seq), draw(st.binary(max_size=6)))
            log.append(Update((item,), tuple((writer, old, 1) for old in sorted(doomed))))
            left = [old for old in left if old not in doomed] + [seq]
        logs.append(log)
    return logs


def expected(logs):
    held = {item.key: item.value for log in logs for update in log for item in update.items}
    for log in logs:
        for update in log:
            for writer, first, length in update.deletes:
                for seq in range(first, first + length):
                    del held[SegmentKey(writer, seq)]
    return held


def digest_of(held):
    """The digest from scratch, from its definition alone."""
    total = 0
    for key, value in held.items():
        item = key.text.encode() + b"\0" + hashlib.sha256(value).digest()
        total += int.from_bytes(hashlib.sha256(item).digest(), "big")
    return (total % (1 << 256)).to_bytes(32, "big")


def contents(document):
    return {key: document.get(key) for key in document.segment_keys()}


def interleaved(logs, random, repeats):
    """All updates, each writer's in order, now and then one that was there before."""
    places = [0] * len(logs)
    done = []
    while any(place < len(log) for place, log in zip(places, logs, strict=True)):
        if done and repeats and random.random() < 0.4:
            yield random.choice(done)
            continue
        which = random.choice([n for n, log in enumerate(logs) if places[n] < len(log)])
        done.append(logs[which][places[which]])
        places[which] += 1
        yield done[-1]


@given(histories(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_any_order_and_any_repetition_give_the_same_document(logs, random):
    held = expected(logs)
    for repeats in (False, True):
        document = Document(READER)
        for update in interleaved(logs, random, repeats):
            document.apply(update)
            assert document.digest() == digest_of(contents(document))
            assert document.check_state_vector()
            assert document.check_content()
        assert contents(document) == held
        assert len(document) == len(held)
        assert all(key in document for key in held)
        assert document.digest() == digest_of(held)
        assert document.key_digests() == {key.text: hashlib.sha256(v).digest()[:8] for key, v in sorted(held.items())}


@given(histories(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_diffs_both_ways_make_two_documents_equal(logs, random):
    left, right = Document(READER), Document(READER + 1)
    for update in interleaved(logs, random, repeats=False):
        # Each side sees a beginning of each log: what follows a lost update would be a gap.
        for side in (left, right):
            writer, seq = update.items[0].key
            if side.state_vector.get(writer, 0) == seq and random.random() < 0.6:
                side.apply(update)
    to_right = left.diff(right.state_vector)
    to_left = right.diff(left.state_vector)
    for side, update in ((right, to_right), (left, to_left)):
        ready = decode_update(update.encode())
        assert ready == update
        side.apply(ready)
        side.apply(ready)
    assert left.state_vector == right.state_vector
    assert contents(left) == contents(right)
    assert left.digest() == right.digest() == digest_of(contents(left))
    assert not left.diff(right.state_vector).items


@given(histories(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_a_snapshot_is_the_whole_document(logs, random):
    document = Document(READER)
    for update in interleaved(logs, random, repeats=False):
        document.apply(update)
    again = Document(READER + 1)
    again.apply(decode_update(document.snapshot()))
    assert contents(again) == contents(document)
    assert again.digest() == document.digest()
    assert again.state_vector == document.state_vector
    assert again.snapshot() == document.snapshot()


@given(histories(), st.data(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_a_yjs_document_made_late_is_the_one_that_was_given_every_update_as_it_came(logs, data, random):
    early = pycrdt.Doc(client_id=READER)
    early.get("segments", type=pycrdt.Map)
    late = Document(READER)
    updates = list(interleaved(logs, random, repeats=True))
    made_after = data.draw(st.integers(0, len(updates)))
    for number, update in enumerate(updates):
        if number == made_after:
            late.prepare()
        early.apply_update(update.encode())
        late.apply(update)
    held = contents(late)
    assert late.snapshot() == early.get_update()
    assert late.diff({}).encode() == late.snapshot()
    assert late.check_state_vector()
    assert late.check_content()
    assert contents(late) == held


def test_segments_are_not_kept_twice():
    document = three_segments()
    document.prepare()
    document.apply(item_update(SegmentKey(5, 3), b"v3"))
    assert document._values == {}
    assert len(contents(document)) == 4


def three_segments():
    document = Document(READER)
    for seq in range(3):
        document.apply(item_update(SegmentKey(5, seq), b"v%d" % seq))
    return document


def test_equal_state_vectors_are_no_proof_of_agreement():
    one, other = three_segments(), three_segments()
    one.apply(Update((), ((5, 1, 1),)))
    assert one.state_vector == other.state_vector
    assert one.digest() != other.digest()
    other.apply(one.diff(other.state_vector))
    assert one.digest() == other.digest()


def test_a_deletion_that_is_named_twice_is_taken_out_once():
    document = three_segments()
    document.apply(Update((), ((5, 0, 2), (5, 1, 1))))
    document.apply(Update((), ((5, 0, 3),)))
    assert contents(document) == {}
    assert document.digest() == bytes(32)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("length", [1 << 31, CLOCK_MAX - 2])
def test_a_deletion_of_billions_takes_only_what_is_there(length):
    document = three_segments()
    runs = ((4, 0, length), (5, 1, length), (6, 1, length))
    assert list(document.present(runs)) == [SegmentKey(5, 1), SegmentKey(5, 2)]
    document.apply(Update((), ((5, 1, 2),)))
    assert list(document.present(runs)) == []
    document.apply(Update((Item(SegmentKey(5, 3), b"v3"),), ((5, 1, length),)))
    assert list(contents(document)) == [SegmentKey(5, 0)]
    assert document.digest() == digest_of(contents(document))


@pytest.mark.timeout(10)
@pytest.mark.parametrize("clock", [3, 4, 1 << 31, CLOCK_MAX, 1 << 53, (1 << 64) + 1, 1 << 200])
def test_a_peer_that_claims_to_have_more_than_there_is_gets_nothing(clock):
    document = three_segments()
    assert document.diff({5: clock}).items == ()
    assert document.diff({clock: clock, 5: 3}).items == ()


def test_a_peer_that_claims_less_than_nothing_gets_everything():
    document = three_segments()
    for vector in ({}, {5: 0}, {5: -1}, {5: -(1 << 70)}, {4: 1}, {-1: 1}):
        assert len(document.diff(vector).items) == 3


# What peers may do to a plane through a delta

OWNER = Identity(bytes(32), bytes(16))
WRITER = Identity(bytes(range(32)), bytes(16))
W = WRITER.writer


def plane_of(identity=OWNER):
    plane = Plane(LEDGER, open_store("memory:"), identity)
    load(plane)
    return plane


def segment(seq, *, identity=WRITER, plane=LEDGER, supersedes=()):
    records = Records(discards=[Discard(CommitId(bytes([seq]) * 32), seq)])
    return pack(records, plane=plane, identity=identity, seq=seq, supersedes=supersedes)


def receive(plane, data):
    steps = receive_steps(plane, data)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def items(*seqs):
    return Update(tuple(Item(SegmentKey(W, seq), segment(seq)) for seq in seqs)).encode()


@pytest.fixture
def plane():
    plane = plane_of()
    receive(plane, items(0, 1, 2))
    return plane


def refused(plane, data, error=RemoteUpdateError, match=None):
    before = plane.document.digest(), plane.projection.digest(), dict(plane.document.state_vector)
    with pytest.raises(error, match=match):
        receive(plane, data)
    assert (plane.document.digest(), plane.projection.digest(), dict(plane.document.state_vector)) == before


def test_a_delta_brings_segments_once(plane):
    assert [key.seq for key in plane.document.segment_keys()] == [0, 1, 2]
    assert receive(plane, items(0, 1, 2)).delta is None
    assert receive(plane, items(1, 2, 3)).segments == (SegmentKey(W, 3),)


def test_a_delta_with_a_gap_is_refused(plane):
    refused(plane, items(4), RemoteGapError)
    refused(plane, Update((), ((W, 2, 2),)).encode(), RemoteGapError)
    refused(plane, Update((), ((W + 1, 0, 1),)).encode(), RemoteGapError)


@pytest.mark.timeout(10)
def test_a_delta_that_deletes_billions_is_refused_at_once(plane):
    refused(plane, Update((), ((W, 0, 1 << 31),)).encode(), RemoteGapError)
    refused(plane, Update((), ((W, 0, CLOCK_MAX - 1),)).encode(), RemoteGapError)
    refused(plane, Update((), ((W, 1, CLOCK_MAX - 1),)).encode())
    refused(plane, b"\0\1" + varint(W) + b"\1\0" + varint(1 << 40))


def test_a_segment_that_no_other_supersedes_cannot_be_deleted(plane):
    before = contents(plane.document), plane.document.digest()
    for run in ((W, 1, 1), (W, 0, 3)):
        assert receive(plane, Update((), (run,)).encode()).delta is None
        assert (contents(plane.document), plane.document.digest()) == before


def test_of_a_deletion_only_what_is_superseded_is_applied_and_relayed(plane):
    receive(plane, Update((Item(SegmentKey(W, 3), segment(3, supersedes=(0, 1))),)).encode())
    delta = receive(plane, Update((), ((W, 0, 3),)).encode()).delta
    assert delta is not None
    assert decode_update(delta.update).deletes == ((W, 0, 2),)
    assert [key.seq for key in plane.document.segment_keys()] == [2, 3]


def test_a_deletion_named_twice_cannot_corrupt_the_digest(plane):
    joined = Update((Item(SegmentKey(W, 3), segment(3, supersedes=(0, 1))),)).encode()
    receive(plane, joined)
    refused(plane, b"\0\1" + varint(W) + b"\2\0\2\1\1")
    assert receive(plane, Update((), ((W, 0, 2),)).encode()).delta is not None
    assert plane.document.digest() == digest_of(contents(plane.document))
    assert [key.seq for key in plane.document.segment_keys()] == [2, 3]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"garbage",
        segment(3)[:-1],
        segment(4),
        segment(3, plane="search"),
        segment(3, identity=Identity(bytes(32), bytes(range(16)))),
    ],
    ids=["nothing", "garbage", "cut short", "another seq", "another plane", "another writer"],
)
def test_a_key_that_holds_something_else_than_its_segment_is_refused(plane, value):
    refused(plane, Update((Item(SegmentKey(W, 3), value),)).encode(), RemoteError)


def test_nobody_can_write_under_our_own_number(plane):
    forged = segment(0, identity=OWNER)
    refused(plane, Update((Item(SegmentKey(OWNER.writer, 0), forged),)).encode(), match="our own")
    refused(plane, Update((Item(SegmentKey(OWNER.writer, 0), None),)).encode(), match="our own")


@pytest.mark.timeout(10)
@pytest.mark.parametrize("vector", [{W: 1 << 40}, {W: -1}, {W: 1 << 70}, {1 << 70: 5}, {-1: 0}])
def test_a_peer_with_an_absurd_state_vector_gets_a_diff_all_the_same(plane, vector):
    found = list(deltas(plane, vector))
    assert found[-1].last
    assert sum(len(decode_update(delta.update).items) for delta in found) == (0 if vector.get(W, 0) > 0 else 3)

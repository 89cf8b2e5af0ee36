"""Records wait for what they name, come out when it comes, once each, and end as if they had come in order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph.ids import CommitId, Dot, SegmentKey
from crdtgraph.pending import Pending, PendingCommit, PendingCount
from crdtgraph.projection import Projection, fold_all
from crdtgraph.records import Assign, Commit, Count, Discard
from crdtgraph.segment import Records, pack, unpack
from crdtgraph.signing import Identity

A, B, C, D = (CommitId(bytes([n]) * 32) for n in range(1, 5))
ONE, TWO = SegmentKey(1, 0), SegmentKey(1, 1)
ME = Identity(bytes(32), bytes(16))


@pytest.fixture
def pending():
    return Pending()


def waiting(commit, *parents, location=0):
    return PendingCommit(commit, parents, 0, location)


def test_nothing_waits_at_first(pending):
    assert not pending
    assert len(pending) == 0
    assert pending.release(A) == []
    assert list(pending) == []


def test_a_record_comes_out_when_what_it_waits_for_comes_and_only_then(pending):
    records = [
        waiting(B, A),
        Assign("ref", "x", A, Dot(1, 0), (), 0),
        PendingCount(Count(A, (1,), 0), ONE),
        Discard(A, 0),
    ]
    for record in records:
        pending.wait(A, record)
    pending.wait(C, Discard(C, 0))
    assert list(pending) == [(record, A) for record in records] + [(Discard(C, 0), C)]
    assert pending.holds(B)
    assert pending.release(B) == []
    assert pending.release(A) == records
    assert not pending.holds(B)
    assert pending.release(A) == []
    assert len(pending) == 1
    assert pending.release(C) == [Discard(C, 0)]
    assert not pending


def test_a_commit_that_comes_again_waits_once_and_takes_its_new_place(pending):
    pending.wait(A, waiting(C, A, B, location=1))
    pending.wait(A, waiting(C, A, B, location=2))
    assert len(pending) == 1
    # What is listed has to be what can be read: the old location may be gone.
    assert list(pending) == [(waiting(C, A, B, location=2), A)]
    assert pending.release(A) == [waiting(C, A, B, location=2)]
    assert not pending


def test_a_commit_that_comes_again_while_it_waits_for_its_second_parent_waits_once(pending):
    pending.wait(A, waiting(C, A, B))
    [released] = pending.release(A)
    pending.wait(B, released)
    pending.wait(B, waiting(C, A, B, location=9))
    assert [missing for _, missing in pending] == [B]
    assert pending.release(B) == [waiting(C, A, B, location=9)]
    assert not pending


def test_a_commit_cannot_wait_in_two_lists(pending):
    pending.wait(A, waiting(C, A, B))
    pending.wait(B, waiting(C, A, B, location=5))
    assert list(pending) == [(waiting(C, A, B, location=5), A)]
    assert pending.release(B) == []
    assert pending.release(A) == [waiting(C, A, B, location=5)]


@pytest.mark.parametrize("record", [Assign("ref", "x", A, Dot(1, 0), (), 0), Discard(A, 0)])
def test_what_a_compaction_repeats_waits_once(pending, record):
    for _ in range(3):
        pending.wait(A, record)
    assert len(pending) == 1
    assert pending.release(A) == [record]


def test_two_equal_counts_are_two(pending):
    count = PendingCount(Count(A, (1,), 0), ONE)
    pending.wait(A, count)
    pending.wait(A, count)
    assert len(pending) == 2
    assert pending.release(A) == [count, count]


def test_the_counts_of_a_superseded_segment_are_forgotten_and_nothing_else(pending):
    kept = [waiting(B, A), PendingCount(Count(A, (1,), 0), TWO), Discard(A, 0)]
    for record in (*kept, PendingCount(Count(A, (1,), 0), ONE), PendingCount(Count(A, (1,), 0), ONE)):
        pending.wait(A, record)
    pending.wait(C, PendingCount(Count(C, (1,), 0), ONE))
    pending.drop_counts(ONE)
    assert [record for record, _ in pending] == kept
    # Its place is not taken by one that comes later.
    pending.wait(A, PendingCount(Count(A, (2,), 0), TWO))
    assert len(pending) == 4
    assert pending.release(C) == []
    assert pending.release(A) == [*kept, PendingCount(Count(A, (2,), 0), TWO)]


# As part of the projection


def load_nothing(key):
    raise AssertionError(key)


def segment(seq, records, supersedes=()):
    return unpack(pack(records, plane="p", identity=ME, seq=seq, supersedes=supersedes))


def single(seq, record, supersedes=()):
    records = Records()
    if isinstance(record, Commit):
        records = Records([record.id], [record], [seq])
    elif isinstance(record, Assign):
        records.assigns.append(record)
    elif isinstance(record, Count):
        records.counts.append(record)
    else:
        records.discards.append(record)
    return segment(seq, records, supersedes)


def folded(segments):
    projection = Projection()
    known = {}
    for found in segments:
        known[found.key] = found
        projection.fold(found, 0, lambda key: [known[key]])
    return projection


@st.composite
def stories(draw):
    """Commits with up to three parents among the earlier ones, and records that name them, a segment each."""
    commits, records = [], []
    for n in range(draw(st.integers(1, 6))):
        parents = draw(st.lists(st.sampled_from(commits), max_size=3)) if commits else []
        commit = Commit(tuple(parents), "a", n, "")
        commits.append(commit.id)
        records.append(commit)
    for n in range(draw(st.integers(0, 4))):
        target = draw(st.sampled_from(commits))
        kind = draw(st.sampled_from(("ref", "count", "discard")))
        if kind == "ref":
            old = draw(st.lists(st.integers(0, n - 1), unique=True)) if n else []
            name = draw(st.sampled_from(("x", "y")))
            records.append(
                Assign("ref", name, target, Dot(ME.writer, n), tuple(Dot(ME.writer, o) for o in sorted(old)), n)
            )
        elif kind == "count":
            records.append(Count(target, (n + 1,), n))
        else:
            records.append(Discard(target, n))
    return records


@given(stories(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_any_order_and_any_repetition_end_as_if_nothing_had_waited(records, random):
    segments = [single(seq, record) for seq, record in enumerate(records)]
    in_order = folded(segments)
    assert not in_order.pending
    shuffled = segments + random.sample(segments, len(segments) // 2)
    random.shuffle(shuffled)
    projection = folded(shuffled)
    assert not projection.pending
    assert projection.digest() == in_order.digest() == fold_all(segments).digest()
    assert set(projection.ids) == set(in_order.ids)
    assert dict(projection.counters) == dict(in_order.counters)
    assert {name: ref.targets for name, ref in projection.refs.items()} == {
        name: ref.targets for name, ref in in_order.refs.items()
    }


@given(stories(), st.data(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_with_a_commit_missing_every_order_shows_the_same_and_waits_for_the_same(records, data, random):
    segments = [single(seq, record) for seq, record in enumerate(records)]
    commits = [n for n, record in enumerate(records) if isinstance(record, Commit)]
    lost = segments.pop(data.draw(st.sampled_from(commits)))
    first = folded(segments)
    random.shuffle(segments)
    second = folded(segments)
    assert first.digest() == second.digest()
    assert set(first.ids) == set(second.ids)
    assert len(first.pending) == len(second.pending)
    assert {record for record, _ in first.pending} == {record for record, _ in second.pending}
    for projection in (first, second):
        projection.fold(lost, 0, load_nothing)
        assert not projection.pending
    assert first.digest() == second.digest()


def test_a_merge_waits_for_each_of_its_parents_in_turn():
    roots = [Commit((), "a", n, "") for n in range(4)]
    merge = Commit(tuple(root.id for root in roots), "a", 9, "")
    child = Commit((merge.id,), "a", 10, "")
    projection = Projection()
    projection.fold(single(0, child), 0, load_nothing)
    projection.fold(single(1, merge), 0, load_nothing)
    for seq, place in enumerate((2, 0, 3), 2):
        projection.fold(single(seq, roots[place]), 0, load_nothing)
        assert merge.id not in projection
        assert len(projection.pending) == 2
    projection.fold(single(5, roots[1]), 0, load_nothing)
    assert merge.id in projection
    assert child.id in projection
    assert not projection.pending


@pytest.mark.timeout(20)
def test_a_long_chain_that_waited_for_its_first_commit_is_no_recursion():
    commits = [Commit((), "a", 0, "")]
    for n in range(1, 3_000):
        commits.append(Commit((commits[-1].id,), "a", n, ""))
    projection = Projection()
    for commit in reversed(commits):
        projection.add_commit(commit.id, commit.parents, commit.time, 0)
    assert len(projection) == 3_000
    assert not projection.pending


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2), (2, 0, 3, 1), (0, 2, 1, 3), (2, 3, 0, 1)])
def test_a_compaction_counts_once_whatever_still_waits(order):
    target = Commit((), "a", 0, "")
    count = Count(target.id, (5, 1), 1)
    joined = Records(counts=[count, count])
    segments = [
        single(0, count),
        single(1, count),
        segment(2, joined, supersedes=(0, 1)),
        single(3, target),
    ]
    projection = folded([segments[n] for n in order])
    assert projection.counters.get(target.id) == (10, 2)
    assert not projection.pending
    assert projection.digest() == folded([segments[3], segments[0], segments[1]]).digest()


def test_a_compaction_of_waiting_records_lists_each_of_them_once():
    assign = Assign("ref", "x", A, Dot(ME.writer, 0), (), 0)
    discard = Discard(A, 1)
    old = [single(0, assign), single(1, discard)]
    new = segment(2, Records(assigns=[assign], discards=[discard]), supersedes=(0, 1))
    assert len(folded([*old, new]).pending) == len(folded([new, *old]).pending) == len(folded([new]).pending) == 2

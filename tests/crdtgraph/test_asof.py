"""The graph as of a time or a digest: every version that there was is found again, with its contents."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import LEDGER, AmbiguousError, Commit, Graph, LocalError, NotFoundError
from crdtgraph.asof import AsOf, as_of, as_of_digest, as_of_time
from crdtgraph.projection import Projection
from crdtgraph.revsets import evaluate
from crdtgraph.scanning import Batch, Handle, MovedError, PlaneScan, RecordKind, newest_first, oldest_first, spans
from crdtgraph.segment import RECORDS_MAX
from crdtgraph.steps import run
from tests.crdtgraph.clusters import SECOND, START, Clock, act, actions, clusters, exchange


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def graph(clock: Clock) -> Iterator[Graph]:
    with crdtgraph.open("memory:", host=clock.host("a")) as opened:
        yield opened


def assert_same_contents(view: AsOf, graph: Graph) -> None:
    commits = view.topological()
    assert view.get_many(commits) == graph.get_many(commits)
    for commit in commits[::5]:
        assert view.state(commit) == graph.state(commit)


@given(actions, st.integers(0, 40))
@settings(max_examples=40)
def test_every_version_of_one_writer_is_found_again_by_its_time_and_by_its_digest(
    done: list[tuple[str, int]], step_us: int
) -> None:
    clock = Clock()
    versions: list[tuple[int, bytes, int]] = []
    with crdtgraph.open("memory:", host=clock.host("a")) as graph:
        for action, number in done:
            clock.now += step_us
            act(graph, action, number)
            if len(graph):
                versions.append((graph._clock.last, graph.digest(), len(graph)))
        for stamp, digest, commits in versions:
            by_time = as_of_time(graph, stamp)
            assert (by_time.digest(), len(by_time)) == (digest, commits)
            assert_same_contents(by_time, graph)
            assert as_of(graph, f"@{stamp}").digest() == digest
        for _, digest, _ in versions[::3]:
            for digits in (digest.hex(), digest.hex()[:16]):
                by_digest = as_of(graph, digits)
                assert by_digest.digest() == digest
                assert_same_contents(by_digest, graph)
        if versions:
            assert as_of(graph, "now").digest() == as_of_time(graph, clock.now + 10**6).digest() == graph.digest()


Record = tuple[int, Callable[[Projection], object]]


def all_records(graph: Graph) -> list[Record]:
    """Every record of a flushed graph with its stamp, read from the segments by the test itself."""
    plane = graph._plane(LEDGER)
    datas = [plane.document.get(key) for key in plane.document.segment_keys()]
    segments = [crdtgraph.segment.unpack(data) for data in datas if data] + plane.stray_segments()
    superseded = {key for segment in segments for key in segment.supersedes}
    records: list[Record] = []

    def add(stamp: int, fold: Callable[..., object], *arguments: Any) -> None:
        records.append((stamp, lambda projection: fold(projection, *arguments)))

    for segment in segments:
        if segment.key in superseded:
            continue
        for row in zip(segment.stamps, segment.ids, segment.parents, segment.times, strict=True):
            add(row[0], Projection.add_commit, *row[1:], 0)
        for assign in segment.assigns:
            add(assign.stamp, Projection.add_assign, assign)
        for count in segment.counts:
            add(count.stamp, Projection.add_count, count, segment.key)
        for discard in segment.discards:
            add(discard.stamp, Projection.add_discard, discard)
    return records


@given(clusters(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_a_time_is_the_fold_of_exactly_the_records_until_then(
    cluster: tuple[Clock, list[Graph]], rng: random.Random
) -> None:
    for graph in cluster[1]:
        graph.flush()
        records = all_records(graph)
        stamps = sorted({stamp for stamp, _ in records})
        rng.shuffle(records)
        for at_us in [*rng.sample(stamps, min(4, len(stamps))), *(stamp - 1 for stamp in stamps[1:3])]:
            scratch = Projection()
            for stamp, fold in records:
                if stamp <= at_us:
                    fold(scratch)
            view = as_of_time(graph, at_us)
            assert view.digest() == scratch.digest()
            assert sorted(view.topological()) == sorted(scratch.ids)
            assert len(view.pending()) == len(scratch.pending)
            assert view.records == sum(stamp <= at_us for stamp, _ in records)
            assert_same_contents(view, graph)
        if stamps:
            assert as_of(graph, "now").digest() == graph.digest()
            with pytest.raises(NotFoundError):
                as_of_time(graph, stamps[0] - 1)


@given(clusters())
@settings(max_examples=60)
def test_records_come_in_the_order_of_their_stamps_each_once(cluster: tuple[Clock, list[Graph]]) -> None:
    for graph in cluster[1]:
        scan = PlaneScan(graph._plane(LEDGER))
        said = list(oldest_first(scan, run(spans(scan))))
        assert [each.stamp for each in said] == sorted(each.stamp for each in said)
        assert len({each[:5] for each in said}) == len(said) == sum(len(scan.load(each)) for each in scan.handles())
        commits = {each.batch.ids[each.position] for each in said if each.kind is RecordKind.COMMIT}
        assert set(graph.topological()) <= commits
        names = [(each.stamp, each.writer, each.kind) for each in said]
        backwards = [(each.stamp, each.writer, each.kind) for each in newest_first(scan) if each is not None]
        assert backwards == names[::-1]
        if said:
            view = as_of_time(graph, said[len(said) // 2].stamp)
            then = [(each.stamp, each.writer, each.kind) for each in newest_first(view.scan()) if each is not None]
            assert then == [name for name in names if name[0] <= said[len(said) // 2].stamp][::-1]


def test_the_latest_records_are_found_without_reading_the_whole_store(graph: Graph, clock: Clock) -> None:
    graph.commit_many(Commit((), "a", number, "") for number in range(10 * RECORDS_MAX))
    for number in range(200):
        clock.now += SECOND
        graph.commit(message=f"small {number}", ref="main")
        graph.compact()
    scan = PlaneScan(graph._plane(LEDGER))
    loads = []

    class Counting:
        handles, replica = scan.handles, scan.replica

        def load(self, handle: Handle) -> Batch:
            loads.append(handle)
            return scan.load(handle)

    found = [said for said in islice(newest_first(Counting()), 30) if said is not None]
    assert [said.stamp for said in found] == sorted((said.stamp for said in found), reverse=True)
    assert found[0].stamp == graph._clock.last
    assert len(loads) < 4 < len(scan.handles())


def test_a_joined_segment_may_hold_earlier_records_than_one_that_was_written_before_it(graph: Graph) -> None:
    first = graph.commit(message="small", ref="main")
    graph.commit_many(Commit((), "a", number, "") for number in range(RECORDS_MAX))
    graph.commit(message="small again", ref="main")
    assert graph.compact()
    scan = PlaneScan(graph._plane(LEDGER))
    said = [each for each in newest_first(scan) if each is not None]
    assert [each.stamp for each in said] == sorted((each.stamp for each in said), reverse=True)
    assert said[-2].batch.ids[said[-2].position] == first or said[-1].batch.ids[said[-1].position] == first


def test_segments_that_are_joined_in_the_middle_of_a_scan_lose_and_repeat_nothing(graph: Graph, clock: Clock) -> None:
    for number in range(150):
        clock.now += SECOND
        graph.commit(message=f"{number}", ref="main")
    scan = PlaneScan(graph._plane(LEDGER))
    expected = [said.stamp for said in newest_first(scan) if said is not None]
    records, found = newest_first(scan), []
    for said in records:
        if said is not None:
            found.append(said.stamp)
        if len(found) in (10, 60):
            graph.compact()
    assert found == expected
    handles = scan.handles()
    graph.commit(message="more", ref="main")
    graph.commit(message="more", ref="main")
    graph.compact()
    with pytest.raises(MovedError):
        [scan.load(handle) for handle in handles]


def test_what_one_side_of_a_partition_had_is_found_by_its_digest_although_the_stamps_interleave(clock: Clock) -> None:
    a = crdtgraph.open("memory:", author="a", host=clock.host("a"))
    b = crdtgraph.open("memory:", author="b", host=clock.host("b"))
    act(a, "critical", 1)
    exchange(a, b)
    sides: dict[str, list[bytes]] = {"a": [], "b": []}
    for number in range(6):
        clock.now += SECOND
        for graph in (a, b):
            act(graph, "critical", number + (10 if graph is a else 0))
            sides[graph.author].append(graph.digest())
    exchange(a, b)
    exchange(b, a)
    assert a.digest() == b.digest()
    for graph in (a, b):
        for digest in sides[graph.author]:
            assert as_of(graph, digest.hex()).digest() == digest
            assert as_of(graph, digest.hex()[:10]).digest() == digest
    with pytest.raises(NotFoundError, match="no version"):
        as_of(a, sides["b"][3].hex())


def test_versions_are_found_after_compaction_and_in_a_store_that_was_opened_again(tmp_path: Path, clock: Clock) -> None:
    path = str(tmp_path / "store")
    versions: list[tuple[int, bytes]] = []
    for incarnation in range(3):
        with crdtgraph.open(path, host=clock.host(f"a{incarnation}")) as graph:
            for number in range(70):
                clock.now += SECOND
                graph.count(graph.commit(message=f"{incarnation} {number}", ref="main"), [number])
                versions.append((graph._clock.last, graph.digest()))
            if incarnation:
                assert graph.compact()
    with crdtgraph.open(path, read_only=True, host=clock.host("reader")) as graph:
        assert graph.status().segments < 75
        for stamp, digest in versions[::17]:
            assert as_of_time(graph, stamp).digest() == digest
            assert as_of(graph, digest.hex()).digest() == digest
        view = as_of(graph, versions[100][1].hex())
        assert view.at_us == versions[100][0]
        assert graph.get(view.refs["main"].targets[0]).message == "1 30"
        assert view.counters(view.refs["main"].targets[0]) == (30,)


def test_a_view_stays_as_it_is_while_the_graph_goes_on_and_after_it_was_closed(graph: Graph, clock: Clock) -> None:
    for number in range(80):
        clock.now += SECOND
        act(graph, "critical", number)
    graph.commit(message="buffered")
    view, digest = as_of(graph, "now"), graph.digest()
    earlier = as_of_time(graph, START + 40 * SECOND)
    graph.compact()
    for number in range(300):
        graph.commit(message=f"later {number}")
    graph.close()
    assert view.digest() == digest
    commits = view.topological()
    assert len(commits) == 81
    assert "buffered" in {commit.message for commit in view.get_many(commits)}
    assert len(earlier.get_many(earlier.topological())) == 40


def test_full_segments_are_folded_whole_and_cut_where_the_time_falls_into_one(graph: Graph) -> None:
    ids = graph.commit_many(Commit((), "a", number, "") for number in range(2 * RECORDS_MAX + 10))
    graph.flush()
    cut = START + RECORDS_MAX + 500
    view = as_of_time(graph, cut)
    assert 0 < len(view) - RECORDS_MAX < RECORDS_MAX
    scan = PlaneScan(graph._plane(LEDGER))
    assert len(view) == sum(said.stamp <= cut for handle in scan.handles() for said in scan.load(handle).records())
    assert view.get(ids[RECORDS_MAX + 1]).time == RECORDS_MAX + 1


def test_a_ref_and_metadata_are_as_they_were(graph: Graph, clock: Clock) -> None:
    first = graph.commit(message="first", ref="main", changes={"a": b"1"})
    graph.set_meta("owner", b"ann")
    before = graph._clock.last
    clock.now += SECOND
    second = graph.commit(message="second", ref="main", changes={"a": b"2"})
    graph.commit(message="other", ref="other")
    graph.set_meta("owner", b"bob")
    graph.discard(second)
    view = as_of_time(graph, before)
    assert list(view.refs) == ["main"]
    assert view.refs["main"] == first
    assert view.meta() == {"owner": b"ann"}
    assert view.heads() == [first]
    assert view.state(first) == {"a": b"1"}
    assert list(evaluate(view, "main | heads()", now_us=0)) == [first]
    assert view.resolve(first.hex()[:8]) == first
    assert second not in view
    with pytest.raises(NotFoundError):
        view.get(second)
    assert as_of(graph, "now").is_live(second) is False
    status = view.status()
    assert (status.commits, status.refs, status.heads, status.digest) == (1, 1, 1, view.digest().hex())
    assert status.replica == graph.status().replica


def test_the_forms_of_a_time(graph: Graph, clock: Clock) -> None:
    first = graph.commit(message="first")
    clock.now += 7_200 * SECOND
    graph.commit(message="second")
    for text in ("1h", "1h ago", f"@{START + 5}", "2023-11-14T22:13:20.5", "2023-11-14T23:00+00:00"):
        assert as_of(graph, text).topological() == [first]
    assert len(as_of(graph, "now")) == len(as_of(graph, "2030-01-01")) == len(as_of(graph, "0s")) == 2
    assert as_of(graph, "2030-01-01").at_us == clock.now
    assert as_of(graph, "1h").now_us() == clock.now - 3_600 * SECOND


def test_before_the_first_record_there_was_nothing(graph: Graph, clock: Clock) -> None:
    with pytest.raises(NotFoundError, match="no records yet"):
        as_of(graph, "now")
    empty = graph.digest().hex()
    graph.commit(message="first")
    with pytest.raises(NotFoundError, match="the first record is of 2023-11-14T22:13:20Z"):
        as_of(graph, "1h")
    with pytest.raises(NotFoundError, match="the first record is of"):
        as_of(graph, "0001-01-01")
    with pytest.raises(NotFoundError, match="a graph without records"):
        as_of(graph, empty)


@pytest.mark.parametrize("text", ["", "yesterday", "abc", "ABCDEF0123", "0" * 65, "main", "12h30"])
def test_what_is_neither_time_nor_digest_is_told_the_forms(graph: Graph, text: str) -> None:
    graph.commit()
    with pytest.raises(LocalError) as caught:
        as_of(graph, text)
    assert "2026-11-01" in caught.value.hint


def test_a_digest_that_never_was_is_not_found_and_a_short_one_may_be_ambiguous(graph: Graph) -> None:
    graph.commit(ref="main")
    with pytest.raises(NotFoundError) as caught:
        as_of(graph, "0" * 64)
    assert "a time is always found" in caught.value.hint
    for number in range(40):
        graph.count(graph.refs["main"], [number])
    others = [digit for digit in "0123456789abcdef" if not graph.digest().hex().startswith(digit)]
    with pytest.raises(AmbiguousError, match="begin with") as several:
        [as_of_digest(graph, digit) for digit in others]
    assert "candidates" in several.value.hint


def test_a_version_that_there_was_twice_is_found(graph: Graph) -> None:
    root = graph.commit(ref="main")
    once = graph.digest()
    graph.count(root, [5])
    graph.count(root, [-5])
    assert graph.digest() == once
    graph.count(root, [1])
    assert as_of(graph, once.hex()[:12]).digest() == once


def test_a_version_in_which_all_was_thrown_away_has_the_digest_of_an_empty_graph_and_is_found(graph: Graph) -> None:
    empty = graph.digest()
    root = graph.commit()
    graph.discard(root)
    assert graph.digest() == empty
    graph.commit(message="new")
    view = as_of(graph, empty.hex())
    assert view.topological() == [root]


def test_the_records_of_every_kind_are_what_they_say(graph: Graph) -> None:
    root = graph.commit(ref="main")
    graph.count(root, [1])
    graph.discard(root)
    scan = PlaneScan(graph._plane(LEDGER))
    kinds = [said.kind for said in oldest_first(scan, run(spans(scan)))]
    assert kinds == [RecordKind.COMMIT, RecordKind.ASSIGN, RecordKind.COUNT, RecordKind.DISCARD]

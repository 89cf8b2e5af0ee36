"""Who set a ref or a key, when and superseding what; what every writer said: against plain lists of all records."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings

import crdtgraph
from crdtgraph import LEDGER, AmbiguousError, Commit, CommitId, Graph, LocalError, NotFoundError
from crdtgraph.asof import as_of_time
from crdtgraph.history import CONCURRENT_MAX, Assignment, Standing, history
from crdtgraph.ids import Dot
from crdtgraph.operations import operations
from crdtgraph.reader import Reader, meta_namespace
from crdtgraph.records import REF_NAMESPACE, Assign
from crdtgraph.scanning import PlaneScan, RecordKind
from crdtgraph.segment import RECORDS_MAX
from crdtgraph.steps import run
from tests.crdtgraph.clusters import SECOND, START, Clock, act, clusters, exchange


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def graph(clock: Clock) -> Iterator[Graph]:
    with crdtgraph.open("memory:", author="a", host=clock.host("a")) as opened:
        yield opened


def ref_history(reader: Reader, name: str = "main") -> list[Assignment]:
    return run(history(reader, REF_NAMESPACE, name))


def all_assigns(graph: Graph) -> list[Assign]:
    scan = PlaneScan(graph._plane(LEDGER))
    return [assign for handle in scan.handles() for assign in scan.load(handle).assigns]


def before(assigns: dict[Dot, Assign], dot: Dot) -> set[Dot]:
    """All that an assignment supersedes, directly or not."""
    found: set[Dot] = set()
    waiting = [dot]
    while waiting:
        for each in assigns[waiting.pop()].supersedes:
            if each in assigns and each not in found:
                found.add(each)
                waiting.append(each)
    return found


@given(clusters())
@settings(max_examples=80)
def test_the_history_of_any_register_is_all_its_assignments_and_how_they_stand(
    cluster: tuple[Clock, list[Graph]],
) -> None:
    for graph in cluster[1]:
        assigns = all_assigns(graph)
        registers = graph._plane(LEDGER).projection.registers
        for namespace, key in sorted({(assign.namespace, assign.key) for assign in assigns}):
            of_key = {each.dot: each for each in assigns if (each.namespace, each.key) == (namespace, key)}
            told = run(history(graph, namespace, key))
            assert {each.assign.dot for each in told} == set(of_key)
            assert len(told) == len(of_key)
            live = {each.assign for each in told if each.standing is Standing.LIVE}
            assert live == set(registers.live(namespace, key))
            superseded = {each.assign.dot for each in told if each.standing is Standing.SUPERSEDED}
            assert superseded <= {dot for each in of_key.values() for dot in each.supersedes}
            if namespace == REF_NAMESPACE:
                targets = {each.assign.value for each in told if each.standing is Standing.LIVE and each.assign.value}
                assert set(graph.refs.targets(key)) <= targets
                if len(graph.refs.targets(key)) > 1:
                    assert {each.assign.value for each in told if each.in_conflict} >= set(graph.refs.targets(key))
            below = {dot: before(of_key, dot) for dot in of_key}
            earlier: set[Dot] = set()
            for each in reversed(told):
                dot = each.assign.dot
                # What supersedes comes later, and those named by it were there.
                assert below[dot] <= earlier
                beside = {other for other in earlier if other not in below[dot]}
                assert bool(each.concurrent) == bool(beside)
                assert set(each.concurrent_with) <= beside
                assert set(each.superseded_by) == {other.dot for other in of_key.values() if dot in other.supersedes}
                earlier.add(dot)


def test_a_ref_that_moved_and_was_removed_and_came_again(graph: Graph, clock: Clock) -> None:
    moments = []
    first = graph.commit(message="first", ref="main")
    moments.append(graph._clock.last)
    clock.now += SECOND
    second = graph.commit(parents=[first], message="second", ref="main")
    moments.append(graph._clock.last)
    graph.delete_ref("main")
    moments.append(graph._clock.last)
    graph.set_ref("main", first)
    moments.append(graph._clock.last)
    told = ref_history(graph)
    assert [each.assign.value for each in told] == [first, None, second, first]
    assert [each.assign.stamp for each in told] == moments[::-1]
    assert [each.standing for each in told] == [Standing.LIVE] + [Standing.SUPERSEDED] * 3
    assert [each.assign.supersedes for each in told] == [*((each.assign.dot,) for each in told[1:]), ()]
    assert [each.superseded_by for each in told] == [(), *((each.assign.dot,) for each in told[:-1])]
    assert not any(each.concurrent or each.in_conflict for each in told)
    assert {each.replica for each in told} == {graph.replica_id}
    graph.delete_ref("main")
    assert "main" not in graph.refs
    assert [each.assign.value for each in ref_history(graph)][:2] == [None, first]
    then = as_of_time(graph, moments[1])
    assert [each.assign.value for each in ref_history(then)] == [second, first]
    assert ref_history(then)[0].standing is Standing.LIVE


def test_both_sides_of_a_split_brain_are_in_conflict_until_somebody_merges(clock: Clock) -> None:
    a = crdtgraph.open("memory:", author="a", host=clock.host("a"))
    b = crdtgraph.open("memory:", author="b", host=clock.host("b"))
    a.commit(message="start", ref="main")
    exchange(a, b)
    for number in range(3):
        for graph in (a, b):
            clock.now += SECOND
            graph.commit(message=f"{graph.author}{number}", ref="main")
    exchange(a, b)
    exchange(b, a)

    def titles(told: list[Assignment]) -> list[str]:
        return [a.get(CommitId(each.assign.value or b"")).message for each in told]

    told = ref_history(a)
    assert titles(told) == ["b2", "a2", "b1", "a1", "b0", "a0", "start"]
    assert [each.in_conflict for each in told] == [True] * 6 + [False]
    assert [each.standing for each in told][:3] == [Standing.LIVE, Standing.LIVE, Standing.SUPERSEDED]
    assert told[0].concurrent_with == (told[1].assign.dot,)
    assert told[0].replica == b.replica_id
    clock.now += SECOND
    a.merge("main")
    told = ref_history(a)
    assert set(told[0].assign.supersedes) == {told[1].assign.dot, told[2].assign.dot}
    assert not told[0].in_conflict
    assert not told[0].concurrent
    assert [each.standing for each in told] == [Standing.LIVE] + [Standing.SUPERSEDED] * 7


def test_a_fast_forward_seen_from_two_sides_is_concurrent_and_no_conflict(clock: Clock) -> None:
    a = crdtgraph.open("memory:", author="a", host=clock.host("a"))
    b = crdtgraph.open("memory:", author="b", host=clock.host("b"))
    start = a.commit(message="start", ref="main")
    middle = a.commit(parents=[start], message="middle")
    tip = a.commit(parents=[middle], message="tip")
    exchange(a, b)
    clock.now += SECOND
    a.set_ref("main", middle)
    clock.now += SECOND
    b.set_ref("main", tip)
    exchange(b, a)
    told = ref_history(a)
    assert [each.assign.value for each in told] == [tip, middle, start]
    assert (told[0].concurrent, told[0].in_conflict, told[1].in_conflict) == (1, False, False)
    assert a.refs["main"] == tip


def test_a_clock_that_is_behind_does_not_put_a_move_before_the_one_it_superseded(clock: Clock) -> None:
    ahead = crdtgraph.open("memory:", author="a", host=clock.host("a", 60 * SECOND))
    behind = crdtgraph.open("memory:", author="b", host=clock.host("b"))
    first = ahead.commit(message="first", ref="main")
    exchange(ahead, behind)
    second = behind.commit(parents=[first], message="second", ref="main")
    told = ref_history(behind)
    assert told[0].assign.stamp < told[1].assign.stamp
    assert [each.assign.value for each in told] == [second, first]
    assert not told[0].concurrent


def test_metadata_of_the_graph_and_of_a_commit(graph: Graph) -> None:
    root = graph.commit()
    graph.set_meta("owner", b"ann")
    graph.set_meta("owner", b"bob")
    graph.set_meta("owner", None)
    graph.set_meta("note", b"x", commit=root)
    told = run(history(graph, meta_namespace(None), "owner"))
    assert [each.assign.value for each in told] == [None, b"bob", b"ann"]
    assert [each.assign.value for each in run(history(graph, meta_namespace(root), "note"))] == [b"x"]
    with pytest.raises(NotFoundError, match="'note' was never set") as caught:
        run(history(graph, meta_namespace(None), "note"))
    assert caught.value.hint == "there were: owner"


def test_a_ref_that_never_was_is_not_found_and_a_removed_one_is_suggested(graph: Graph) -> None:
    graph.commit(ref="feature/x")
    graph.delete_ref("feature/x")
    with pytest.raises(NotFoundError, match="was never set") as caught:
        ref_history(graph, "feature/y")
    assert caught.value.hint == "did you mean 'feature/x'?"
    with pytest.raises(NotFoundError) as unlike:
        ref_history(graph, "main")
    assert unlike.value.hint == "there were: feature/x"


def test_an_assignment_whose_commit_is_not_here_waits(clock: Clock, graph: Graph) -> None:
    start = graph.commit(message="start", ref="main")
    late = Assign(REF_NAMESPACE, "main", b"\x55" * 32, Dot(77, 0), (), START + 5)
    graph._plane(LEDGER).add(late)
    told = ref_history(graph)
    assert [(each.assign.value, each.standing) for each in told] == [
        (b"\x55" * 32, Standing.WAITING),
        (start, Standing.LIVE),
    ]


def test_of_many_concurrent_assignments_the_latest_are_named_and_all_are_counted(graph: Graph) -> None:
    targets = [graph.commit(message=f"{number}") for number in range(40)]
    plane = graph._plane(LEDGER)
    for number, target in enumerate(targets):
        plane.add(Assign(REF_NAMESPACE, "main", target, Dot(100 + number, 0), (), START + 100 + number))
    told = ref_history(graph)
    assert told[0].concurrent == 39
    assert told[0].concurrent_with == tuple(Dot(138 - place, 0) for place in range(CONCURRENT_MAX))
    assert all(each.in_conflict for each in told)


def test_forged_assignments_that_supersede_each_other_end_in_the_list_and_not_in_a_loop(graph: Graph) -> None:
    target = graph.commit()
    plane = graph._plane(LEDGER)
    one, two = Dot(101, 0), Dot(102, 0)
    plane.add(Assign(REF_NAMESPACE, "main", target, one, (two,), START + 1))
    plane.add(Assign(REF_NAMESPACE, "main", target, two, (one,), START + 2))
    plane.add(Assign(REF_NAMESPACE, "main", target, Dot(103, 0), (Dot(103, 0),), START + 3))
    assert len(ref_history(graph)) == 3


# Operations


def said(reader: Reader, **options: object) -> list[tuple[RecordKind, int]]:
    found = [each for each in operations(reader, **options) if each is not None]  # type: ignore[arg-type]
    return [(each.kind, each.stamp) for each in found]


@given(clusters())
@settings(max_examples=60)
def test_operations_are_all_records_by_stamp_each_with_its_writer(cluster: tuple[Clock, list[Graph]]) -> None:
    graphs = {graph.replica_id: graph for graph in cluster[1]}
    for graph in graphs.values():
        scan = PlaneScan(graph._plane(LEDGER))
        found = [each for each in operations(graph) if each is not None]
        assert len(found) == sum(len(scan.load(handle)) for handle in scan.handles())
        assert [each.stamp for each in found] == sorted((each.stamp for each in found), reverse=True)
        for each in found:
            assert each.segment.writer == each.writer
            assert graphs[each.replica].writer == each.writer
            if isinstance(each.record, Commit):
                assert each.record.id == each.commit
        for kind in RecordKind:
            assert said(graph, kind=kind) == [(each.kind, each.stamp) for each in found if each.kind is kind]
        for replica in {each.replica for each in found}:
            own = [(each.kind, each.stamp) for each in found if each.replica == replica]
            assert said(graph, writer=replica.hex()) == said(graph, writer=f"{graphs[replica].writer:x}") == own


def test_operations_as_of_a_time(graph: Graph, clock: Clock) -> None:
    graph.count(graph.commit(message="first", ref="main"), [1])
    then = graph._clock.last
    expected = said(graph)
    clock.now += SECOND
    graph.discard(graph.refs["main"].targets[0])
    assert said(as_of_time(graph, then)) == expected
    assert [kind for kind, _ in said(graph)] == [
        RecordKind.DISCARD,
        RecordKind.COUNT,
        RecordKind.ASSIGN,
        RecordKind.COMMIT,
    ]


def test_a_writer_is_named_by_the_beginning_of_its_id(graph: Graph) -> None:
    graph.commit()
    for wrong in ("", "abc", "xyzw", "ABCD", "zz" * 8):
        with pytest.raises(LocalError, match="is no writer"):
            said(graph, writer=wrong)
    with pytest.raises(NotFoundError) as caught:
        said(graph, writer="0" * 12)
    assert graph.replica_id.hex()[:8] in caught.value.hint


def test_a_beginning_that_several_writers_have_lists_them(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtgraph.operations.PREFIX_DIGITS_MIN", 0)
    a = crdtgraph.open("memory:", author="a", host=clock.host("a"))
    b = crdtgraph.open("memory:", author="b", host=clock.host("b"))
    act(a, "critical", 1)
    act(b, "critical", 2)
    exchange(a, b)
    with pytest.raises(AmbiguousError) as caught:
        said(b, writer="")
    assert f"writer {a.writer:x} of replica {a.replica_id.hex()}" in caught.value.hint


def test_the_last_operations_of_a_large_graph_are_not_all_that_is_read(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph.commit_many(Commit((), "a", number, "") for number in range(20 * RECORDS_MAX))
    graph.flush()
    loads = []
    load = PlaneScan.load
    monkeypatch.setattr(PlaneScan, "load", lambda self, handle: loads.append(handle) or load(self, handle))
    found = operations(graph)
    assert len([each for each, _ in zip(found, range(50), strict=False)]) == 50
    assert len(loads) == 1
    kinds = operations(graph, kind=RecordKind.COUNT)
    assert list(kinds).count(None) >= 20

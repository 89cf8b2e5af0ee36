"""Each checker passes on a healthy replica and fails on a planted violation."""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

import crdtgraph
from crdtgraph import LEDGER, CommitId, Graph
from crdtgraph.records import Assign
from simulations import checkers
from simulations.checkers import Seen, Shown, ViolationError
from simulations.journal import Journal, Written
from simulations.model import Said
from simulations.reading import Held, Order, Reading
from simulations.scenario import Workload as Properties
from simulations.trace import Trace
from simulations.workload import Workload
from sync import Node, Settings
from sync.protocol.limits import QUEUE_BYTES_MAX
from sync.protocol.wants import OpenWant
from tests.sync.replicas import host, replica

NO_OBJECTS = SimpleNamespace(exchange=SimpleNamespace(peers={}))
"""What a node has that exchanges none."""


def busy(name: str = "a", seed: int = 1, steps: int = 150) -> tuple[Graph, Journal]:
    """A replica that a workload has used, everything written."""
    journal = Journal()
    graph = replica(name)
    trace = cast(Trace, SimpleNamespace(note=lambda *_: None))
    workload = Workload(graph, name, journal, trace, random.Random(seed), Properties())
    for _ in range(steps):
        workload.step()
    graph.flush()
    workload.acknowledge()
    return graph, journal


def give(source: Graph, target: Graph) -> None:
    for delta in source.deltas(LEDGER, target.state_vector(LEDGER)):
        target.receive(LEDGER, delta.update)


def plane(graph: Graph) -> Any:
    return graph._planes[LEDGER]


def fails(rule: str) -> Any:
    return pytest.raises(ViolationError, match=rule)


@pytest.mark.parametrize("seed", range(5))
def test_all_pass_on_a_healthy_replica(seed: int) -> None:
    graph, journal = busy(seed=seed)
    other = replica("b")
    give(graph, other)
    for name, each in (("a", graph), ("b", other)):
        reading, shown = Reading(), Shown(name, each)
        held = reading.held(each)
        checkers.check_never_unsees(shown, Seen())
        checkers.check_parents_visible(shown, checkers.check_contents(shown, shown.commits, journal.written, {}))
        checkers.check_set(name, held, reading.held_in_truth(each))
        checkers.check_from_scratch(name, each, held)
        checkers.check_model(shown, held.model)
        checkers.check_nothing_lost(name, held.said, journal)
        checkers.check_own_durable(name, each, journal)
        checkers.check_document(name, each.state_vector(LEDGER), held)
        checkers.check_holes(name, each, held)
    checkers.check_equal_sets({"a": graph, "b": other})
    assert graph.digest() == other.digest()


def test_a_commit_that_disappears() -> None:
    graph, _ = busy()
    seen = Seen()
    checkers.check_never_unsees(Shown("a", graph), seen)
    seen.commits.append(CommitId(bytes(32)))
    with fails("never un-sees"):
        checkers.check_never_unsees(Shown("a", graph), seen)


def test_a_discarded_commit_that_lives_again() -> None:
    graph, _ = busy()
    seen = Seen(dead={graph.commit(parents=[], message="a live one")})
    with fails("never un-sees.*are live"):
        checkers.check_never_unsees(Shown("a", graph), seen)


def test_a_state_vector_that_shrinks() -> None:
    graph, _ = busy()
    with fails("never un-sees.*had 9999"):
        checkers.check_never_unsees(Shown("a", graph), Seen(vector={graph.writer: 9999}))


def test_an_orphan_made_visible() -> None:
    graph, _ = busy()
    orphan = crdtgraph.Commit((CommitId(bytes(32)),), "a", 0, "")
    with fails("parents are visible"):
        checkers.check_parents_visible(Shown("a", graph), [orphan])


def test_content_under_a_wrong_id() -> None:
    graph, journal = busy()
    locations = plane(graph).projection.locations
    locations[0], locations[1] = locations[1], locations[0]
    with fails("ids match content"):
        checkers.check_contents(Shown("a", graph), graph.topological(), journal.written, {})


def test_content_that_is_not_what_was_written() -> None:
    graph, journal = busy()
    commit = next(iter(journal.written))
    journal.written[commit] = Written((), "something else", ())
    with fails("ids match content.*other content"):
        checkers.check_contents(Shown("a", graph), graph.topological(), journal.written, {})


def test_a_digest_that_was_not_updated() -> None:
    graph, _ = busy()
    plane(graph).projection.registers.sum += 1
    for order in Order:
        with fails(f"from scratch.*{order.name.lower()} order"):
            checkers.check_from_scratch("a", graph, Reading().held(graph), [order])
    other, _ = busy()
    with fails("equal segment sets"):
        checkers.check_equal_sets({"a": graph, "b": other})


def test_a_counter_that_is_off() -> None:
    graph, _ = busy()
    commit = graph.topological()[0]
    plane(graph).projection.counters.add(commit, (1,), live=True)
    with fails("differ in counters"):
        checkers.check_model(Shown("a", graph), Reading().held(graph).model)


def test_a_ref_that_lost_a_target() -> None:
    graph, _ = busy()
    registers = plane(graph).projection.registers
    dots = tuple(assign.dot for assign in graph.refs.live("main"))
    assert dots
    registers.apply(Assign("ref", "main", None, crdtgraph.ids.Dot(1, 1), dots, 0))
    with fails("differ in refs"):
        checkers.check_model(Shown("a", graph), Reading().held(graph).model)


def test_a_discard_that_was_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = busy()
    discards = plane(graph).projection.discards
    assert len(discards)
    monkeypatch.setattr(type(discards), "__contains__", lambda self, node: False)
    with fails("differ in live commits"):
        checkers.check_model(Shown("a", graph), Reading().held(graph).model)


def test_a_segment_that_was_lost() -> None:
    graph, journal = busy()
    held = Reading().held_by(graph)
    with fails("nothing durable is lost"):
        checkers.check_nothing_lost("a", held[1:], journal)


def test_a_count_that_came_twice() -> None:
    graph, journal = busy()
    held = Reading().held_by(graph)
    again = next(said for said in held if said.counts)
    twice = Said((again.name[0], 9999), frozenset(), counts=again.counts)
    with fails("nothing is made up"):
        checkers.check_nothing_lost("a", [*held, twice], journal)


def test_a_machine_that_forgot_what_it_acknowledged() -> None:
    _, journal = busy()
    with fails("lost its own"):
        checkers.check_own_durable("a", replica("b"), journal)
    for writer in journal.writers.values():
        writer.is_at_home = False
    checkers.check_own_durable("a", replica("b"), journal)


def test_a_machine_that_forgot_what_it_gave_away() -> None:
    graph, journal = busy()
    journal.promise(graph.writer, Reading().held_by(graph))
    checkers.check_own_durable("a", graph, journal)
    for writer in journal.writers.values():
        writer.acknowledged = 0
    with fails("gave .* away and lost it"):
        checkers.check_own_durable("a", replica("b"), journal)


def test_a_key_with_two_segments() -> None:
    graph, clone = busy()[0], busy(seed=3)[0]
    assert graph.writer == clone.writer
    reading = Reading()
    before = reading.held(graph)
    key = next(key for key in graph.segment_keys(LEDGER) if key in clone.segment_keys(LEDGER))
    assert graph.adopt(LEDGER, clone.segments_of(LEDGER, key)) == 1
    with fails("a key has one segment"):
        checkers.check_document("a", graph.state_vector(LEDGER), reading.held(graph))
    with fails("equal set digests mean equal segments"):
        checkers.check_set("a", before, reading.held(graph))


def test_a_queue_beyond_its_bound() -> None:
    outbox = SimpleNamespace(queued=0, queued_bytes=QUEUE_BYTES_MAX + 1)
    gossip = SimpleNamespace(
        peers={1: SimpleNamespace(outbox=outbox)}, wants=(), alarms=SimpleNamespace(standing=())
    )  # fmt: skip
    graph = SimpleNamespace(searches=list)
    node = cast(Node, SimpleNamespace(graph=graph, connections={}, gossip=gossip, objects=NO_OBJECTS))
    with fails("queues are bounded"):
        checkers.check_bounds("a", node)
    outbox.queued_bytes = 0
    checkers.check_bounds("a", node)


def test_a_wait_without_an_end() -> None:
    want = OpenWant(peer=1, deadline=0.0, theirs=b"", before=b"", claimed={})
    wants = {LEDGER: want}
    node = cast(Node, SimpleNamespace(gossip=SimpleNamespace(wants=wants), settings=Settings(want_timeout_s=10)))
    seen = Seen()
    for now, is_paused in ((0, False), (13, False), (14, True), (27, False)):
        checkers.check_waits("a", node, seen, now, is_paused=is_paused)
    want.deadline += 1
    for now in (28, 41):
        checkers.check_waits("a", node, seen, now, is_paused=False)
    wants[LEDGER] = replace(want)
    checkers.check_waits("a", node, seen, 42, is_paused=False)
    with fails("every wait ends.*since 42 s"):
        checkers.check_waits("a", node, seen, 56, is_paused=False)


def test_endings_among_honest_peers() -> None:
    checkers.check_ending("a", "silent for 30.0 s")
    with fails("honest peers find no fault"):
        checkers.check_ending("a", "a delta deletes 3 segments")


def test_any_alarm_at_all() -> None:
    with fails("no alarm among honest replicas"):
        checkers.check_alarm("a", "they differ")


def test_a_hole_that_nobody_knows_of_and_one_that_is_none() -> None:
    graph, _ = busy()
    held = Reading().held(graph)
    assert held.superseded
    checkers.check_holes("a", graph, held)
    joined = {key: reads for key, reads in held.by_key.items() if not any(read.said.supersedes for read in reads)}
    with fails("knows its holes"):
        checkers.check_holes("a", graph, Held(joined))
    plane(graph).beside.holes.add(crdtgraph.ids.SegmentKey(7, 0))
    with fails("knows its holes.*has 0, and says that it has 1"):
        checkers.check_holes("a", graph, held)


def test_a_backup_forgives_what_is_nowhere_else() -> None:
    graph, journal = busy(seed=3)
    held = Reading().held_by(graph)
    journal.forgive("a", [*held[:-3], *held[:-3]])
    checkers.check_nothing_lost("a", held[:-3], journal)
    checkers.check_nothing_lost("a", held, journal)
    with fails("nothing durable is lost"):
        checkers.check_nothing_lost("a", held[:-4], journal)


def test_a_merge_of_equal_heads_into_another_commit() -> None:
    journal = Journal()
    trace = cast(Trace, SimpleNamespace(note=lambda *_: None))
    graph, other = replica("a"), replica("b")
    heads = [graph.commit(message=message) for message in ("one", "two")]
    for head in heads:
        graph.set_ref("main", head, keep_others=True)
    graph.flush()
    give(graph, other)
    properties = Properties(refs=1)
    Workload(graph, "a", journal, trace, random.Random(0), properties).step("merge")
    [(parents, merged)] = journal.merges.items()
    assert sorted(parents) == sorted(heads)
    assert merged in graph
    journal.merges[parents] = heads[0]
    with fails("equal heads merge alike"):
        Workload(other, "b", journal, trace, random.Random(0), properties).step("merge")


def test_a_call_that_raises_and_changes_something() -> None:
    graph = crdtgraph.open("memory:", host=host("a"))
    trace = cast(Trace, SimpleNamespace(note=lambda *_: None))
    workload = Workload(graph, "a", Journal(), trace, random.Random(0), Properties(mix={"flush": 1.0}))

    def broken() -> None:
        graph.commit(message="there all the same")
        raise crdtgraph.StoreError("the disk refuses")

    graph.flush = broken  # type: ignore[method-assign]
    with fails("a call that raises changes nothing"):
        workload.step()


def test_agreement_is_quiet() -> None:
    checkers.check_quiet(100, 100.0)
    with pytest.raises(ViolationError, match="agreement is quiet"):
        checkers.check_quiet(101, 100.0)

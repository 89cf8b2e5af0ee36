"""What was looked at once is not read again, and nothing escapes by that."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from crdtgraph import LEDGER, CommitId, Graph
from crdtgraph.projection import Projection
from simulations.checkers import Seen
from simulations.inspection import Depth, Inspection
from simulations.journal import Journal, Written
from simulations.process import Process
from simulations.tallies import Tallies
from tests.simulations.test_checkers import NO_OBJECTS, busy, fails, give, plane
from tests.sync.replicas import replica


class Counted:
    """An inspection of some replicas that counts what is read and folded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *graphs: Graph, journal: Journal | None = None) -> None:
        self.read = 0
        self.folded = 0
        self.seen = {graph.author: Seen() for graph in graphs}
        self.inspection = Inspection(journal if journal is not None else Journal(), Tallies())
        self._graphs = graphs
        get_many, fold = Graph.get_many, Projection.fold

        def count_read(graph: Graph, commits: list[CommitId]) -> Any:
            self.read += len(commits)
            return get_many(graph, commits)

        def count_fold(*args: Any) -> bool:
            self.folded += 1
            return fold(*args)

        monkeypatch.setattr(Graph, "get_many", count_read)
        monkeypatch.setattr(Projection, "fold", count_fold)

    def look(self, depth: Depth = Depth.DEEP) -> tuple[int, int]:
        """Look; how many commits were read and segments folded."""
        self.read = self.folded = 0
        self.inspection.look(map(self._process, self._graphs), depth)
        return self.read, self.folded

    def _process(self, graph: Graph) -> Process:
        outbox: dict[int, object] = {}
        gossip = SimpleNamespace(peers=outbox, wants=(), alarms=SimpleNamespace(standing=()))
        return cast(
            Process,
            SimpleNamespace(
                name=graph.author,
                graph=graph,
                seen=self.seen[graph.author],
                workload=None,
                node=SimpleNamespace(graph=graph, connections={}, gossip=gossip, objects=NO_OBJECTS),
                is_running=True,
            ),
        )


def test_a_light_look_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch, busy()[0])
    assert counted.look(Depth.LIGHT) == (0, 0)


def test_only_what_is_new_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = busy()
    counted = Counted(monkeypatch, graph)
    assert counted.look() == (len(graph), len(graph.segment_keys(LEDGER)))
    assert counted.look() == (0, 0)
    graph.commit(ref="new")
    read, folded = counted.look()
    assert (read, folded) == (1, len(graph.segment_keys(LEDGER)))


def test_a_set_is_folded_once_whoever_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = busy()
    other = replica("b")
    give(graph, other)
    counted = Counted(monkeypatch, graph, other)
    assert counted.look() == (2 * len(graph), len(graph.segment_keys(LEDGER)))


def test_after_a_compaction_all_is_read_where_it_lies_now(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = busy()
    counted = Counted(monkeypatch, graph)
    counted.look()
    assert graph.compact()
    assert counted.look()[0] == len(graph)
    assert counted.look()[0] == 0


def test_a_new_process_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = busy()
    counted = Counted(monkeypatch, graph)
    counted.look()
    counted.seen[graph.author] = Seen()
    assert counted.look()[0] == len(graph)


def test_the_last_look_reads_and_folds_everything_again(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = busy()
    counted = Counted(monkeypatch, graph)
    counted.look()
    assert counted.look(Depth.WHOLE) == (len(graph), 2 * len(graph.segment_keys(LEDGER)))


def test_a_projection_that_changes_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = busy()
    counted = Counted(monkeypatch, graph)
    counted.look()
    plane(graph).projection.counters.add(graph.topological()[0], (1,), live=True)
    with fails("from scratch"):
        counted.look()


def test_a_projection_that_changes_behind_its_digest_shows_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = busy()
    counted = Counted(monkeypatch, graph)
    counted.look()
    plane(graph).projection.counters._totals[graph.topological()[0]] = (7,)
    counted.look()
    with fails("differ in counters"):
        counted.look(Depth.WHOLE)


def test_content_that_changes_where_it_lies_shows_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, journal = busy()
    counted = Counted(monkeypatch, graph, journal=journal)
    counted.look()
    commit = next(iter(journal.written))
    journal.written[commit] = Written((), "something else", ())
    counted.look()
    with fails("ids match content"):
        counted.look(Depth.WHOLE)


def test_a_set_digest_that_hides_a_segment_shows_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = busy()
    other = replica("b")
    give(graph, other)
    counted = Counted(monkeypatch, graph, other)
    counted.look()
    digest = other.set_digest(LEDGER)
    key = next(iter(other.segment_keys(LEDGER)))
    monkeypatch.setattr(Graph, "set_digest", lambda *_: digest)
    monkeypatch.setattr(other, "segment_keys", lambda _: [each for each in graph.segment_keys(LEDGER) if each != key])
    counted.look()
    with fails("equal set digests mean equal segments"):
        counted.look(Depth.WHOLE)


def test_what_is_buffered_is_folded_when_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = busy()
    counted = Counted(monkeypatch, graph)
    graph.commit()
    assert counted.look() == (len(graph), 0)
    graph.flush()
    assert counted.look() == (0, len(graph.segment_keys(LEDGER)))

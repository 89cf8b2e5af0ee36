"""A driver with nodes that are objects in this process, under a clock that moves when it waits."""

from __future__ import annotations

import pytest

from crdtgraph import LocalError
from crdtgraph.mcts.budget import Budget, Stop
from sync.fleet.driving import STARTS_MAX
from sync.fleet.errors import FleetLostError, HeadLostError, ProblemFailedError
from sync.fleet.plan import Place, Report
from tests.sync.fleet.fakes import PACE, FakeCluster, FakeSite, drive


def test_a_budget_of_iterations_is_used_up_exactly() -> None:
    cluster = FakeCluster("a", "b")
    run = drive(cluster, Budget(iterations=1_000))
    assert run.run() is Stop.ITERATIONS
    assert run.meter.iterations == 1_000
    assert [site.peers for site in cluster.sites] == [[], ["address of a"]]
    assert {workers for site in cluster.sites for workers in site.workers} == {2}


def test_a_budget_of_time_ends_in_time() -> None:
    cluster = FakeCluster("a", "b")
    run = drive(cluster, Budget(seconds=20))
    assert run.run() is Stop.TIME
    # It begins with the first result, which comes after a lease, and one that is under way may be looked at late.
    assert 20 <= cluster.clock <= 20 + 3 * PACE.lease_s


def test_a_leader_that_stays_ends_a_run() -> None:
    run = drive(FakeCluster("a"), Budget(stable=200))
    assert run.run() is Stop.CONVERGED
    assert 200 <= run.meter.iterations <= 300


def test_a_node_that_leaves_is_done_without() -> None:
    cluster = FakeCluster("a", "b")
    cluster.at(5, lambda: cluster.there.pop("a") and None)
    run = drive(cluster, Budget(iterations=1_000))
    run.run()
    assert run.meter.iterations == 1_000
    assert [*run.sites] == ["b"]
    assert run.tally.sites_lost == 1
    # Its workers are where there is room.
    assert cluster.sites[1].workers[-1] == 4


def test_a_process_that_dies_is_started_again_on_its_node() -> None:
    cluster = FakeCluster("a", "b")
    cluster.at(5, lambda: cluster.kill(cluster.sites[0]))
    run = drive(cluster, Budget(iterations=1_000))
    run.run()
    assert run.meter.iterations == 1_000
    assert [site.node for site in cluster.sites] == ["a", "b", "a"]
    assert cluster.sites[2].peers == ["address of b"]


def test_a_node_that_comes_takes_part() -> None:
    cluster = FakeCluster("a")
    cluster.at(5, lambda: cluster.there.update(c=Place("here", 4.0)))
    run = drive(cluster, Budget(iterations=1_000))
    run.run()
    assert [site.node for site in cluster.sites] == ["a", "c"]
    assert cluster.sites[1].workers
    assert cluster.sites[0].workers[0] == 4
    assert cluster.sites[0].workers[-1] == 2


def test_a_node_that_does_not_answer_is_lost_and_replaced() -> None:
    cluster = FakeCluster("a", "b")
    cluster.at(3, lambda: setattr(cluster.sites[0], "silent", True))
    run = drive(cluster, Budget(iterations=2_000))
    run.run()
    assert run.meter.iterations == 2_000
    assert "did not answer" in run.tally.last_loss
    assert [site.node for site in cluster.sites] == ["a", "b", "a"]


def test_a_node_whose_processes_die_again_and_again_is_left_out() -> None:
    cluster = FakeCluster("a", "b")
    cluster.made = lambda site: setattr(site, "dead", site.node == "a")
    run = drive(cluster, Budget(iterations=1_000))
    run.run()
    assert [site.node for site in cluster.sites].count("a") == STARTS_MAX
    assert run.tally.left_out == {"a"}


def test_without_any_node_left_the_run_ends() -> None:
    cluster = FakeCluster("a")
    cluster.made = lambda site: setattr(site, "dead", True)
    with pytest.raises(FleetLostError, match="no node of the fleet is left: the process of a died"):
        drive(cluster, Budget(iterations=1_000)).run()


def test_workers_that_never_answer_end_the_run() -> None:
    cluster = FakeCluster("a")
    cluster.made = lambda site: setattr(site, "speed", 0)
    with pytest.raises(FleetLostError, match="no worker has answered within 60 s"):
        drive(cluster, Budget(iterations=1_000)).run()


def test_a_head_that_comes_back_in_time_is_waited_for() -> None:
    cluster = FakeCluster("a")
    cluster.at(3, lambda: setattr(cluster, "head", False))
    cluster.at(6, lambda: setattr(cluster, "head", True))
    run = drive(cluster, Budget(iterations=1_000))
    run.run()
    assert run.meter.iterations == 1_000


def test_a_head_that_is_gone_ends_the_run() -> None:
    cluster = FakeCluster("a")
    cluster.at(3, lambda: setattr(cluster, "head", False))
    run = drive(cluster, Budget(iterations=1_000_000))
    with pytest.raises(HeadLostError):
        run.run()
    # The nodes can still be asked.
    run.hurry()
    assert run.pace.answer_s < PACE.answer_s
    run.settle()
    assert run.ask(run.ready(), "hello", timeout_s=1) == [(run.sites["a"], "1.0")]


def test_what_a_problem_raises_ends_the_run() -> None:
    cluster = FakeCluster("a")

    def fail(*_: object) -> Report:
        raise ProblemFailedError("it raised", report="Traceback")

    cluster.made = lambda site: setattr(site, "lease", fail)
    with pytest.raises(ProblemFailedError, match="it raised"):
        drive(cluster, Budget(iterations=1_000)).run()


def test_a_node_with_another_version_is_refused() -> None:
    with pytest.raises(LocalError, match=r"Ray node a has crdtgraph 1\.0, and this process 2\.0"):
        drive(FakeCluster("a"), Budget(iterations=1_000), version="2.0").run()


def test_a_node_with_another_version_that_comes_late_is_left_out() -> None:
    cluster = FakeCluster("a")

    def make(site: FakeSite) -> None:
        if site.node == "c":
            site.hello = lambda: "0.9"  # type: ignore[method-assign]

    cluster.made = make
    cluster.at(5, lambda: cluster.there.update(c=Place("here", 4.0)))
    run = drive(cluster, Budget(iterations=1_000))
    run.run()
    assert run.tally.left_out == {"c"}
    assert "Ray node c has crdtgraph 0.9" in run.tally.last_loss
    assert cluster.sites[0].workers[-1] == 4


def test_who_does_not_end_its_last_lease_is_lost() -> None:
    cluster = FakeCluster("a", "b")
    cluster.at(6, lambda: setattr(cluster.sites[1], "silent", True))
    run = drive(cluster, Budget(seconds=5))
    run.run()
    run.settle()
    assert [site.node for site in run.ready()] == ["a"]
    assert run.tally.last_loss == "its last lease did not end"


def test_who_does_not_answer_a_question_is_lost() -> None:
    cluster = FakeCluster("a", "b")
    run = drive(cluster, Budget(iterations=100))
    run.run()
    run.settle()
    cluster.sites[1].silent = True
    answers = run.ask(run.ready(), "hello", timeout_s=3)
    assert [(site.node, answer) for site, answer in answers] == [("a", "1.0")]
    assert [*run.sites] == ["a"]

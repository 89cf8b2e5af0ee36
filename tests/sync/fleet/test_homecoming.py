"""How an answer comes home from nodes that are objects in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import crdtgraph
from crdtgraph import Graph, StoreError
from crdtgraph.mcts.budget import Budget
from sync.fleet.driving import Drive
from sync.fleet.errors import FleetLostError
from sync.fleet.homecoming import bring_home, feed_of, part
from tests.sync.fleet.fakes import FakeCluster, drive


@pytest.fixture
def home() -> Iterator[Graph]:
    with crdtgraph.open("memory:") as graph:
        yield graph


def finished(cluster: FakeCluster) -> Drive:
    run = drive(cluster, Budget(iterations=500))
    run.run()
    return run


def test_one_node_promotes_and_the_ledger_is_carried_home(home: Graph) -> None:
    cluster = FakeCluster("a", "b")
    run = finished(cluster)
    found = bring_home(run, home, "best")
    assert home.refs.targets("best") == (found.commit,)
    assert home.is_durable(found.commit)
    assert sum(found.commit in site.graph for site in cluster.sites) == 1
    part(run)
    assert all(site.dead for site in cluster.sites)


def test_a_node_that_cannot_promote_is_passed_over(home: Graph) -> None:
    cluster = FakeCluster("a", "b")
    run = finished(cluster)
    cluster.sites[0].refuses = StoreError("the disk is full")
    found = bring_home(run, home, "best")
    assert home.get(found.commit).message == "found by b"


def test_when_all_refuse_it_is_said_why(home: Graph) -> None:
    cluster = FakeCluster("a", "b")
    run = finished(cluster)
    for site in cluster.sites:
        site.refuses = StoreError(f"the disk of {site.node} is full")
    with pytest.raises(StoreError, match="the disk of a is full"):
        bring_home(run, home, "best")
    assert len(home) == 0


def test_when_all_are_gone_it_is_said_how(home: Graph) -> None:
    cluster = FakeCluster("a")
    run = finished(cluster)
    cluster.sites[0].dead = True
    with pytest.raises(FleetLostError, match="the process of a died"):
        bring_home(run, home, "best")
    part(run)


def test_nodes_that_disagree_are_waited_for(home: Graph) -> None:
    cluster = FakeCluster("a", "b")
    run = finished(cluster)
    cluster.sites[0].digests = [b"one", b"two"]
    bring_home(run, home, "best")
    assert cluster.sites[0].digests == []


def test_a_ref_that_somebody_moved_meanwhile_is_in_conflict(home: Graph) -> None:
    other = home.commit(message="other", ref="best")
    found = bring_home(finished(FakeCluster("a")), home, "best")
    assert {*home.refs.targets("best")} == {other, found.commit}


def test_a_ledger_is_fed_to_a_replica_that_has_nothing(home: Graph) -> None:
    commit = home.commit(message="what was there")
    with crdtgraph.open("memory:") as replica:
        for plane, update in feed_of(home):
            replica.receive(plane, update)
        assert commit in replica
        assert replica.digest() == home.digest()

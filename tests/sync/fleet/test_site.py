"""Sites of a fleet in this process, without Ray: real nodes over loopback, each in a thread of its own."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

import crdtgraph
from crdtgraph import LocalError, StoreLockedError
from crdtgraph.mcts import ProblemMismatchError, SearchTree
from sync.fleet.crew import Work
from sync.fleet.errors import ProblemFailedError
from sync.fleet.evaluating import Evaluator, Matter
from sync.fleet.plan import Plan
from sync.fleet.searching import Searching
from tests.sync.fleet.games import Raises, RaisesDeep, TicTacToe

NO_WORK = Work(0, 0, 0, 0, False)


def plan(problem: object, stores: str = "memory:") -> Plan:
    return Plan(
        cluster="default",
        search="game",
        root=None,
        matter=pickle.dumps(Matter(problem, {})),
        seed=1,
        batch=8,
        patience_s=1.0,
        stores=stores,
        beyond_loopback=False,
        cpus_per_worker=1.0,
    )


class Sites:
    """As many as a test likes, closed at its end."""

    def __init__(self) -> None:
        self.open: list[Searching] = []

    def start(self, of: Plan, name: str = "one") -> Searching:
        peers = [each.arrived().address for each in self.open]
        self.open.append(Searching(of, name=name, host="127.0.0.1", peers=peers, feed=[]))
        return self.open[-1]


@pytest.fixture
def sites() -> Iterator[Sites]:
    found = Sites()
    try:
        yield found
    finally:
        for each in found.open:
            each.close()


def work(site: Searching, problem: object, rounds: int, seed: str = "1") -> None:
    evaluator = Evaluator(pickle.dumps(Matter(problem, {})), seed)
    for _ in range(rounds):
        tasks = site.ask(8)
        # They go to another process.
        site.tell(evaluator.evaluate(pickle.loads(pickle.dumps(tasks))))


def until_they_agree(*sites: Searching) -> None:
    """Gossip takes some milliseconds; the test's own time limit ends it if they never do."""
    while len({site.digest() for site in sites}) > 1:
        pass


def test_sites_grow_one_tree(sites: Sites) -> None:
    one, two = sites.start(plan(TicTacToe())), sites.start(plan(TicTacToe()), "two")
    work(one, TicTacToe(), 10)
    work(two, TicTacToe(), 10, "2")
    one.rest()
    two.rest()
    until_they_agree(one, two)
    first, second = one.report(NO_WORK), two.report(NO_WORK)
    assert one.iterations + two.iterations == first.visits == second.visits
    assert first.leader == second.leader == first.line[0]
    # What the other found beyond where a site itself has been, it takes over when it gets there.
    assert all(a == b for a, b in zip(first.line, second.line, strict=False))


def test_what_a_site_promotes_can_be_carried_home(sites: Sites, tmp_path: Path) -> None:
    site = sites.start(plan(TicTacToe(), str(tmp_path / "stores")))
    assert site.arrived().store == f"rocksdb:{tmp_path / 'stores' / 'one'}"
    work(site, TicTacToe(), 10)
    found = site.promote()
    with crdtgraph.open("memory:") as home:
        for plane, update in site.ledger({}):
            home.receive(plane, update)
        assert home.get(found.commit).message == found.line[-1]
        assert "game" in home.closed_searches()


def test_tasks_that_are_forgotten_are_not_in_flight(sites: Sites) -> None:
    site = sites.start(plan(TicTacToe()))
    tasks = site.ask(4)
    assert all(task.state is None for task in tasks)
    site.forget(tasks)
    site.tell([(task.id, 0.0) for task in tasks])
    assert site.iterations == 0


def test_a_position_whose_value_is_certain(sites: Sites) -> None:
    won = TicTacToe("XX.OO....")
    site = sites.start(plan(won))
    assert not site.is_over
    work(site, won, 20)
    assert site.is_over


def test_a_store_that_somebody_else_has_open(sites: Sites, tmp_path: Path) -> None:
    with crdtgraph.open(f"rocksdb:{tmp_path / 'one'}"), pytest.raises(StoreLockedError):
        sites.start(plan(TicTacToe(), str(tmp_path)))


def test_another_problem_under_the_same_name_is_refused(sites: Sites) -> None:
    class Other(TicTacToe):
        pass

    site = sites.start(plan(TicTacToe()))
    graph = site._site.graph
    with pytest.raises(ProblemMismatchError):
        site._site.do(lambda: SearchTree(graph, Other(), name="game"))


def test_mistakes_of_a_problem_bring_the_traceback_along(sites: Sites) -> None:
    site = sites.start(plan(RaisesDeep()))
    with pytest.raises(ProblemFailedError, match="a mistake in the rules") as caught:
        work(site, RaisesDeep(), 20)
    assert "in apply" in caught.value.report
    with pytest.raises(ProblemFailedError, match="a mistake in the evaluation") as caught:
        Evaluator(pickle.dumps(Matter(Raises(), {})), "1").evaluate(site.ask(1))
    assert "in evaluate" in caught.value.report


def test_a_problem_that_is_not_there_on_a_node() -> None:
    data = pickle.dumps(Matter(Random, {})).replace(b"random", b"rendom")
    with pytest.raises(ProblemFailedError, match=r"cannot be unpickled .*: ModuleNotFoundError") as caught:
        Evaluator(data, "1")
    assert "runtime_env" in caught.value.hint


def test_a_site_that_is_closed_says_so() -> None:
    site = Searching(plan(TicTacToe()), name="one", host="127.0.0.1", peers=[], feed=[])
    site.close()
    site.close()
    with pytest.raises(LocalError, match="the site is closed"):
        site.ask(1)

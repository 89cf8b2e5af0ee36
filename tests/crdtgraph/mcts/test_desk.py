"""The desk of a tree: whatever workers do, in flight is what they hold, and the budget is met exactly."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import Graph, LocalError
from crdtgraph.mcts import Budget, Evaluation, ProblemError, SearchTree, Stop
from crdtgraph.mcts.desk import FAILURES_MAX, TASKS_MAX, Desk, Order, WorkersFailedError
from crdtgraph.mcts.evaluating import STATES_MAX, Evaluator
from tests.crdtgraph.searches.graphs import ticking
from tests.sync.problems import Nim


@pytest.fixture
def graph() -> Iterator[Graph]:
    with crdtgraph.open("memory:", host=ticking()) as opened:
        yield opened


@pytest.fixture
def tree(graph: Graph) -> SearchTree:
    return SearchTree(graph, Nim(), name="s", solve=False)


@pytest.fixture
def evaluator() -> Evaluator:
    return Evaluator(Nim(), Random(1))


def desk_of(tree: SearchTree, budget: Budget | int, *workers: str, **options: Any) -> Desk:
    desk = Desk(tree, budget, now=0.0, **options)
    for worker in workers:
        desk.join(worker)
    return desk


def work(desk: Desk, worker: str, evaluator: Evaluator, count: int, now: float) -> int:
    orders = desk.ask(worker, count, now)
    answers, failures = evaluator.evaluate(orders)
    assert not failures
    desk.tell(worker, answers, now)
    return len(orders)


def test_a_budget_is_met_exactly(tree: SearchTree, evaluator: Evaluator) -> None:
    desk = desk_of(tree, 100, "a", "b")
    held = desk.ask("a", 7, 1.0)
    assert [len(order.line) for order in held][:1] == [0]
    while work(desk, "b", evaluator, 16, 2.0):
        pass
    # What is with `a` could still fail, so nobody else may have it, and it is not over.
    assert (desk.iterations, desk.in_flight, desk.is_over) == (93, 7, False)
    desk.tell("a", evaluator.evaluate(held)[0], 3.0)
    assert desk.spent is not None
    assert (desk.spent.iterations, desk.spent.stop, desk.in_flight) == (100, Stop.ITERATIONS, 0)
    assert tree.inflight() == {}
    assert sum(tree.search.counters(tree.root)[:1]) == 100
    assert desk.ask("b", 5, 4.0) == []


def test_lines_lead_from_the_problems_initial_state(tree: SearchTree, evaluator: Evaluator) -> None:
    tree.run(50)
    tree.advance(tree.best_action())
    desk = desk_of(tree, 10, "a")
    (order,) = desk.ask("a", 1, 1.0)
    assert order.line[: len(tree.actions)] == tuple(map(str, tree.actions))
    assert len(evaluator.evaluate([order])[0]) == 1


def test_a_worker_that_leaves_has_nothing_in_flight(tree: SearchTree) -> None:
    desk = desk_of(tree, 100, "a", "b")
    desk.ask("a", 5, 1.0)
    desk.ask("b", 2, 1.0)
    desk.leave("a")
    assert (desk.in_flight, len(tree._flights)) == (2, 2)
    desk.leave("a")
    desk.leave("b")
    assert tree.inflight() == {}


def test_a_task_that_is_kept_too_long_is_taken_back_and_its_answer_passed_over(
    tree: SearchTree, evaluator: Evaluator
) -> None:
    desk = desk_of(tree, 100, "a", lease_s=10.0)
    held = desk.ask("a", 3, 1.0)
    assert desk.deadline == 11.0
    desk.tick(10.9)
    assert desk.in_flight == 3
    desk.tick(11.0)
    assert (desk.in_flight, desk.workers["a"].tasks) == (0, 0)
    desk.tell("a", evaluator.evaluate(held)[0], 12.0)
    assert (desk.iterations, desk.workers["a"].told) == (0, 0)


def test_nobody_answers_for_somebody_else(tree: SearchTree, evaluator: Evaluator) -> None:
    desk = desk_of(tree, 100, "a", "b")
    held = desk.ask("a", 1, 1.0)
    answers, _ = evaluator.evaluate(held)
    desk.tell("b", answers, 1.0)
    desk.fail("b", held[0].id, "wrong", "")
    assert (desk.iterations, desk.in_flight) == (0, 1)
    desk.tell("a", [*answers, *answers, (99, 0.5)], 1.0)
    assert (desk.iterations, desk.in_flight) == (1, 0)


def test_what_fails_is_tried_with_somebody_else(tree: SearchTree, evaluator: Evaluator) -> None:
    desk = desk_of(tree, 100, "a", "b")
    (order,) = desk.ask("a", 1, 1.0)
    desk.fail("a", order.id, "ValueError: no luck", "traceback")
    assert order not in desk.ask("a", 3, 1.0)
    found = desk.ask("b", 1, 1.0)
    assert found == [order]
    desk.tell("b", evaluator.evaluate(found)[0], 1.0)
    assert (desk.workers["a"].failed, desk.iterations, desk.is_over) == (1, 1, False)


def test_a_worker_that_is_alone_tries_again_itself_and_then_the_search_ends(tree: SearchTree) -> None:
    desk = desk_of(tree, 100, "a")
    for attempt in range(FAILURES_MAX):
        (order,) = desk.ask("a", 1, 1.0)
        assert not desk.is_over
        desk.fail("a", order.id, f"ValueError: no luck {attempt}", f"traceback {attempt}")
    assert isinstance(desk.error, WorkersFailedError)
    assert "worker 'a': ValueError: no luck 2" in str(desk.error)
    assert desk.error.detail == "traceback 2"
    assert desk.error.__notes__ == ["traceback 2"]
    assert (desk.is_over, desk.in_flight, tree.inflight()) == (True, 0, {})
    assert desk.spent is None


def test_what_failed_with_everybody_is_tried_a_last_time(tree: SearchTree) -> None:
    desk = desk_of(tree, 100, "a", "b")
    (order,) = desk.ask("a", 1, 1.0)
    desk.fail("a", order.id, "no luck", "")
    assert desk.ask("b", 1, 1.0) == [order]
    desk.fail("b", order.id, "no luck", "")
    assert desk.ask("a", 1, 1.0) == [order]


@pytest.mark.parametrize("answer", [float("nan"), float("inf"), 7.0, "much", None, [1.0], Evaluation(0.5, [1.0])])
def test_an_answer_that_is_none_is_a_failure(tree: SearchTree, answer: Any, evaluator: Evaluator) -> None:
    desk = desk_of(tree, 100, "a", "b")
    first, second = desk.ask("a", 2, 1.0)
    good, _ = evaluator.evaluate([second])
    desk.tell("a", [(first.id, answer), *good], 1.0)
    assert (desk.iterations, desk.in_flight, desk.workers["a"].failed) == (1, 1, 1)
    assert desk.ask("b", 1, 1.0) == [first]


@pytest.mark.parametrize("priors", [["a", "b", "c"], 7, [1.0], [float("nan")] * 3])
@pytest.mark.parametrize("count", [1, 3])
def test_a_worker_tells_of_priors_that_are_none(tree: SearchTree, priors: Any, count: int) -> None:
    class Bad(Nim):
        def evaluate(self, state: Any, rng: Random) -> Evaluation:
            return Evaluation(0.5, priors)

    orders = desk_of(tree, 100, "a").ask("a", count, 1.0)
    answers, failures = Evaluator(Bad(), Random(1)).evaluate(orders)
    assert (answers, [each.id for each in failures]) == ([], [each.id for each in orders])
    assert "evaluate gave the weights" in failures[0].message


def test_priors_where_the_game_is_over_are_left_out() -> None:
    class Bad(Nim):
        def evaluate(self, state: Any, rng: Random) -> Evaluation:
            return Evaluation(0.5, ["what"])  # type: ignore[list-item]

    assert Evaluator(Bad(2), Random(1)).evaluate([Order(1, ("2",))]) == ([(1, Evaluation(0.5))], [])


def test_a_leaf_that_kills_three_workers_ends_the_search(tree: SearchTree) -> None:
    desk = desk_of(tree, 100)
    for number in range(FAILURES_MAX):
        assert not desk.is_over
        desk.join(f"w{number}")
        desk.ask(f"w{number}", 1, 1.0)
        desk.leave(f"w{number}")
    with pytest.raises(WorkersFailedError, match=r"3 workers were lost or failed .* the last of them was 'w2'"):
        raise desk.error or AssertionError
    assert tree.inflight() == {}


def test_time_is_a_budget(tree: SearchTree, evaluator: Evaluator) -> None:
    desk = desk_of(tree, Budget(seconds=5.0), "a")
    work(desk, "a", evaluator, 8, 4.9)
    assert desk.deadline == 5.0
    desk.ask("a", 2, 4.9)
    desk.tick(5.0)
    assert desk.spent is not None
    assert (desk.spent.stop, desk.spent.iterations, tree.inflight()) == (Stop.TIME, 8, {})


def test_a_search_can_be_stopped(tree: SearchTree, evaluator: Evaluator) -> None:
    desk = desk_of(tree, 100, "a")
    work(desk, "a", evaluator, 8, 1.0)
    desk.ask("a", 4, 1.0)
    assert desk.stop(2.0).iterations == 8
    assert (desk.is_over, tree.inflight()) == (True, {})
    assert desk.stop(9.0).seconds == 2.0


def test_what_is_proven_needs_no_more_work(graph: Graph, evaluator: Evaluator) -> None:
    tree = SearchTree(graph, Nim(5), name="small")
    desk = desk_of(tree, 100_000, "a")
    small = Evaluator(Nim(5), Random(1))
    while not desk.is_over:
        work(desk, "a", small, 4, 1.0)
    assert desk.spent is not None
    assert desk.spent.stop is Stop.PROVEN
    assert desk.iterations < 100_000


def test_a_search_ends_when_the_best_has_settled(tree: SearchTree, evaluator: Evaluator) -> None:
    desk = desk_of(tree, Budget(iterations=50_000, stable=400), "a")
    while not desk.is_over:
        work(desk, "a", evaluator, 16, 1.0)
    assert desk.spent is not None
    assert desk.spent.stop is Stop.CONVERGED


def test_what_cannot_be_begun(graph: Graph, tree: SearchTree) -> None:
    desk = desk_of(tree, 10, "a")
    with pytest.raises(LocalError, match="is here already"):
        desk.join("a")
    with pytest.raises(LocalError, match="nothing to search"):
        desk_of(SearchTree(graph, Nim(0), name="over"), 10)
    with pytest.raises(LocalError, match="budget"):
        desk_of(tree, 0)
    assert len(desk_of(tree, 10_000, "b").ask("b", 10 * TASKS_MAX, 1.0)) <= TASKS_MAX


def test_a_problem_that_fails_here_ends_the_search(graph: Graph) -> None:
    class Failing(Nim):
        def apply(self, state: object, action: object) -> tuple[int, int]:
            raise RuntimeError("broken board")

    tree = SearchTree(graph, Failing(), name="failing", solve=False)
    desk = desk_of(tree, 10, "a")
    (order,) = desk.ask("a", 1, 1.0)
    desk.tell("a", [(order.id, 0.5)], 1.0)
    with pytest.raises(ProblemError, match="broken board"):
        desk.ask("a", 1, 1.0)
    assert isinstance(desk.error, ProblemError)
    assert tree.inflight() == {}


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["work", "ask", "tell", "fail", "leave", "late", "nan"]), st.integers(0, 2), st.integers(1, 9)
    ),
    max_size=60,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_whatever_workers_do_in_flight_is_what_they_hold(steps: list[Step]) -> None:
    evaluator, now = Evaluator(Nim(), Random(1)), 0.0
    with crdtgraph.open("memory:", host=ticking()) as graph:
        tree = SearchTree(graph, Nim(), name="s", solve=False)
        desk = desk_of(tree, 60, "0", "1", "2", lease_s=100.0)
        held: dict[str, list[Order]] = {"0": [], "1": [], "2": []}
        for step, number, count in steps:
            worker, now = str(number), now + 1.0
            if worker not in desk.workers:
                desk.join(worker)
                held[worker] = []
            if step in ("work", "ask"):
                held[worker] += desk.ask(worker, count, now)
            mine, held[worker] = held[worker][:count], held[worker][count:]
            if step in ("work", "tell"):
                desk.tell(worker, evaluator.evaluate(mine)[0], now)
            elif step == "nan":
                desk.tell(worker, [(order.id, float("nan")) for order in mine], now)
            elif step == "fail":
                for order in mine:
                    desk.fail(worker, order.id, "no luck", "")
            elif step == "leave":
                desk.leave(worker)
                held[worker] = []
            elif step == "late":
                now += 100.0
                desk.tick(now)
            else:
                held[worker] = mine + held[worker]
            assert desk.in_flight == len(tree._flights)
            assert desk.iterations + desk.in_flight <= 60
            assert sum(card.tasks for card in desk.workers.values()) == len(desk._leases)
        desk.stop(now)
        assert (tree.inflight(), desk.in_flight) == ({}, 0)
        assert sum(tree.search.counters(tree.root)[:1]) == desk.iterations


# --- what a worker does


def test_an_evaluator_says_which_leaf_failed() -> None:
    class Picky(Nim):
        def evaluate(self, state: object, rng: Random) -> Any:
            if state == (19, 0):
                raise ValueError("not that one")
            return super().evaluate(state, rng)

        def evaluate_many(self, states: list[object], rng: Random) -> list[Any]:
            return [self.evaluate(state, rng) for state in states]

    answers, failures = Evaluator(Picky(), Random(1)).evaluate(
        [Order(1, ("1",)), Order(2, ("1", "1")), Order(3, ()), Order(4, ("4",)), Order(5, ("1", "1", "x"))]
    )
    assert [number for number, _ in answers] == [1, 3]
    assert [failure.id for failure in failures] == [4, 5, 2]
    assert "'4' is no action" in failures[0].message
    assert "ValueError: not that one" in failures[2].message
    assert "Traceback" in failures[2].detail
    assert 'raise ValueError("not that one")' in failures[2].detail


def test_an_evaluator_keeps_so_many_states() -> None:
    evaluator = Evaluator(Nim(60), Random(1))
    lines = [tuple(Random(number).choices(["1", "2", "3"], k=15)) for number in range(1_000)]
    assert len(evaluator.evaluate([Order(number, line) for number, line in enumerate(lines)])[0]) == 1_000
    assert len(evaluator._states) <= STATES_MAX


def test_batches_go_to_the_problem_in_one_call() -> None:
    calls: list[int] = []

    class Batched(Nim):
        def evaluate_many(self, states: list[object], rng: Random) -> list[float]:
            calls.append(len(states))
            return [0.5] * len(states)

    answers, _ = Evaluator(Batched(), Random(1)).evaluate([Order(1, ()), Order(2, ("1",)), Order(3, ("2",))])
    assert (calls, answers) == ([3], [(1, 0.5), (2, 0.5), (3, 0.5)])


def test_a_worker_that_hangs_does_not_outlast_the_time(tree: SearchTree) -> None:
    desk = Desk(tree, Budget(seconds=5), now=0.0)
    desk.join("w")
    assert desk.ask("w", 1, 0.0)
    assert desk.deadline == 5.0
    desk.tick(desk.deadline)
    assert desk.spent is not None
    assert desk.spent.stop is Stop.TIME
    assert tree.inflight() == {}

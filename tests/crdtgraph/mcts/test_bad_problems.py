"""A problem that does what it may not: who is told, and that the tree goes on as if nothing had been."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crdtgraph import CrdtGraphError, Graph, LocalError
from crdtgraph.mcts import PUCT, UCT, Evaluation, InFlight, ProblemError, SearchTree, Widening
from crdtgraph.mcts.rules import Numbers
from tests.crdtgraph.mcts.problems import Counted, Line, Nim, open_graph


@pytest.fixture
def graph() -> Graph:
    return open_graph(0)


class Bad(Nim):
    """Nim whose answers are replaced one by one."""

    def __init__(self, **answers: Any) -> None:
        super().__init__()
        for name, answer in answers.items():
            object.__setattr__(self, name, answer)


def answering(value: Any) -> Callable[..., Any]:
    return lambda *_: value


class Plain:
    """An action that has no text of its own."""


class Unsaid:
    """What cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("too long")


class Said:
    """What a test of bad answers says went wrong."""

    def __init__(self, error: CrdtGraphError) -> None:
        assert isinstance(error, ProblemError)
        assert error.hint
        self.text = str(error)


@pytest.mark.parametrize(
    "answers, said",
    [
        ({"evaluate": answering(float("nan"))}, "nan"),
        ({"evaluate": answering(float("inf"))}, "inf"),
        ({"evaluate": answering(-float("inf"))}, "-inf"),
        ({"evaluate": answering(1.5)}, "outside of -1 to 1"),
        ({"evaluate": answering([0.5, float("nan")])}, "nan"),
        ({"evaluate": answering([0.5])}, "there are 2 players"),
        ({"evaluate": answering([0.1, 0.2, 0.3])}, "there are 2 players"),
        ({"evaluate": answering(None)}, "no number"),
        ({"evaluate": answering("won")}, "no number"),
        ({"evaluate": answering(10**400)}, "greater than any float"),
        ({"evaluate": answering([0.5, -(10**5_000)])}, "greater than any float"),
        ({"evaluate": answering(Evaluation(0.5, [1.0]))}, "for 3 actions"),
        ({"evaluate": answering(Evaluation(0.5, [1.0, -1.0, 1.0]))}, "for 3 actions"),
        ({"evaluate": answering(Evaluation(0.5, [0.0, 0.0, 0.0]))}, "for 3 actions"),
        ({"evaluate": answering(Evaluation(0.5, [float("nan"), 1.0, 1.0]))}, "for 3 actions"),
        ({"evaluate_many": answering([0.5])}, "1 evaluations of"),
        ({"evaluate_many": answering(7)}, "0 evaluations of"),
        ({"actions": answering([1, 2, 1])}, "'1'"),
        ({"actions": answering([1, "1"])}, "'1'"),
        ({"actions": answering({1, 2})}, "no order"),
        ({"actions": answering("ab")}, "no order"),
        ({"actions": answering(None)}, "no order"),
        ({"actions": answering([Plain(), Plain()])}, "no text that is the same"),
        ({"actions": answering([1, 10**5_000])}, "integer string conversion"),
        ({"actions": answering([Unsaid(), 2])}, "raised RuntimeError"),
        ({"action_text": answering("same")}, "'same'"),
        ({"action_text": answering(3)}, "is 3"),
        ({"action_text": answering("x" * 2_000)}, "xxx"),
        ({"key": answering("text")}, "'text'"),
        ({"player": answering(2)}, "is 2"),
        ({"player": answering(None)}, "is None"),
        ({"initial": answering((21, Unsaid())), "player": answering(3)}, "is 3"),
        ({"priors": answering([1.0])}, "priors"),
        ({"priors": answering([10**400, 1, 1])}, "priors"),
        ({"chance": answering([0.5])}, "chance"),
        ({"changes": answering([1])}, "changes"),
        ({"changes": answering({"a": 1})}, "'a' is int"),
        ({"changes": answering({"": b""})}, "is not a path"),
    ],
)
def test_a_wrong_answer_is_told_with_its_value_and_a_remedy(graph: Graph, answers: dict[str, Any], said: str) -> None:
    with pytest.raises(CrdtGraphError) as caught:
        SearchTree(graph, Bad(**answers)).run(300)
    assert said in Said(caught.value).text


@pytest.mark.parametrize(
    "declared, said",
    [
        ({"players": 0}, "players"),
        ({"players": "two"}, "players"),
        ({"players": 65}, "players"),
        ({"rewards": (1, 0)}, "rewards"),
        ({"rewards": (-5, 5)}, "rewards"),
        ({"rewards": (0, float("nan"))}, "rewards"),
        ({"rewards": 1}, "rewards"),
        ({"rewards": (0, 10**400)}, "rewards"),
        ({"identity": ""}, "identity"),
        ({"identity": 3}, "identity"),
        ({"key": 3}, "key"),
    ],
)
def test_a_problem_that_declares_nonsense_is_refused(graph: Graph, declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ProblemError, match=said) as caught:
        SearchTree(graph, Bad(**declared))
    assert caught.value.hint


def test_a_problem_lacks_methods(graph: Graph) -> None:
    with pytest.raises(ProblemError, match="lacks initial, apply, evaluate"):
        SearchTree(graph, type("Half", (), {"initial": 1, "actions": len})())


def test_two_players_and_nobody_says_whose_turn_it_is(graph: Graph) -> None:
    problem = type("Two", (Line,), {"players": 2})()
    with pytest.raises(ProblemError, match="whose turn"):
        SearchTree(graph, problem)


def test_no_moves_at_the_root(graph: Graph) -> None:
    tree = SearchTree(graph, Nim(0))
    with pytest.raises(LocalError, match="nothing to search") as caught:
        tree.run(10)
    assert caught.value.hint


@pytest.mark.parametrize("method", ["initial", "actions", "apply", "evaluate"])
def test_a_problem_that_exits_is_told_like_one_that_raises(graph: Graph, method: str) -> None:
    def leave(*_: object) -> None:
        raise SystemExit(5)

    with pytest.raises(ProblemError, match=rf"{method}\(.* raised SystemExit: 5"):
        SearchTree(graph, Bad(**{"evaluate": answering(0.5), method: leave})).run(10)


@pytest.mark.parametrize("method", ["actions", "apply", "evaluate", "player", "key"])
@pytest.mark.parametrize("batch", [1, 8])
def test_what_a_problem_raises_is_the_cause_and_nothing_stays_behind(graph: Graph, method: str, batch: int) -> None:
    problem = Counted(Nim(60))
    tree = SearchTree(graph, problem, solve=False, seed=1)
    tree.run(40)
    problem.fails[method] = ZeroDivisionError("in the user's code")
    before, reason = tree.iterations, problem.fails[method]
    with pytest.raises(ProblemError, match="in the user's code") as caught:
        tree.run(200, batch=batch)
    assert caught.value.__cause__ is reason
    assert f"{method}(" in str(caught.value)
    assert tree.inflight() == {}
    done = tree.iterations
    assert done >= before
    assert tree.search.counters(tree.root)[0] == done, "what was found until then is counted"
    problem.fails.clear()
    tree.run(100, batch=batch)
    assert tree.search.counters(tree.root)[0] == tree.iterations == done + 100
    assert all(edge.flying == 0 for edge in tree._growth.by_commit.values())


def test_an_interrupt_passes_and_nothing_stays_in_flight(graph: Graph) -> None:
    problem = Counted(Nim(60))
    tree = SearchTree(graph, problem, solve=False)
    tree.run(10)
    problem.fails["evaluate"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        tree.run(100, batch=8)
    assert tree.inflight() == {}


def test_a_wrong_answer_among_good_ones_costs_only_itself(graph: Graph) -> None:
    tree = SearchTree(graph, Line(8))
    tasks = tree.ask(4)
    answers = [(task.id, 0.5) for task in tasks]
    answers[1] = (tasks[1].id, float("nan"))
    with pytest.raises(ProblemError, match="nan"):
        tree.tell(answers)
    assert tree.iterations == 3
    assert tree.inflight() == {}


def test_a_reward_a_hair_beyond_is_taken_for_what_it_is_meant(graph: Graph) -> None:
    tree = SearchTree(graph, Bad(evaluate=answering(1 + 1e-12)), solve=False)
    tree.run(20)
    assert abs(tree.statistics(tree.root).value) == 20_000_000


def test_numbers_of_other_kinds_are_numbers(graph: Graph) -> None:
    class Half:
        def __float__(self) -> float:
            return 0.5

    tree = SearchTree(graph, Line(8))
    tasks = tree.ask(3)
    tree.tell(zip([task.id for task in tasks], [1, True, Half()], strict=True))
    assert tree.statistics(tree.root).value == 2_500_000


# What else can be wrong


@pytest.mark.parametrize(
    "options",
    [
        {"rule": "uct"},
        {"in_flight": "wu-uct"},
        {"widening": 2},
        {"nodes_max": 0},
        {"nodes_max": 1.5},
        {"root": b"x" * 32},
        {"root": "main"},
        {"name": ""},
    ],
)
def test_options_that_are_none_are_refused(graph: Graph, options: dict[str, Any]) -> None:
    with pytest.raises(LocalError):
        SearchTree(graph, Nim(), **options)
    SearchTree(graph, Nim()).run(10)


def test_it_takes_a_search_or_a_graph() -> None:
    with pytest.raises(LocalError, match="neither a search nor a graph"):
        SearchTree("main", Nim())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [lambda: UCT(-1), lambda: UCT(float("nan")), lambda: PUCT("x"), lambda: PUCT(10**400)],  # type: ignore[arg-type]
)
def test_constants_are_numbers(make: Callable[[], object]) -> None:
    with pytest.raises(LocalError, match="constant"):
        make()


BEYOND = pytest.param(10**400, 0.5, id="beyond floats")


@pytest.mark.parametrize("k, alpha", [(0, 0.5), (1, 0), (1, 1.5), (float("nan"), 0.5), ("x", 0.5), BEYOND])
def test_widening_is_by_numbers(k: Any, alpha: Any) -> None:
    with pytest.raises(LocalError, match="widening"):
        Widening(k=k, alpha=alpha)


@pytest.mark.parametrize("scores", [[], [1.0] * 50, ["a", "b", "c"], None, [float("nan")] * 3, [0.0, float("nan")]])
def test_a_rule_that_answers_nonsense_is_told(graph: Graph, scores: Any) -> None:
    class Wrong:
        def scores(self, node: Numbers) -> Any:
            return scores if scores is None or len(scores) != 2 else scores[: len(node.visits)]

    with pytest.raises(LocalError, match="gave the scores"):
        SearchTree(graph, Nim(), rule=Wrong()).run(50)


def test_asking_and_running_for_nothing(graph: Graph) -> None:
    tree = SearchTree(graph, Nim())
    for count in (0, -1, 1.5, True):
        with pytest.raises(LocalError):
            tree.ask(count)  # type: ignore[arg-type]
    with pytest.raises(LocalError, match="batch"):
        tree.run(10, batch=0)
    with pytest.raises(LocalError, match="in flight"):
        tree.set_remote_inflight("w2", {tree.root: -1})


def test_a_search_that_was_closed_is_told(graph: Graph) -> None:
    tree = SearchTree(graph, Nim(60), in_flight=InFlight.IGNORED, solve=False)
    tree.run(10)
    tree.search.close()
    with pytest.raises(LocalError, match="closed"):
        tree.run(2_000)
    with pytest.raises(LocalError, match="closed before"):
        SearchTree(graph, Nim(60))


@pytest.mark.parametrize("second", [object(), "long" * 300, "\ud800"], ids=["object", "long", "surrogate"])
def test_every_action_needs_a_good_text_and_not_only_the_first(second: object) -> None:
    class Odd(Nim):
        def actions(self, state: Any) -> list[Any]:
            return [1, second]

    with pytest.raises(ProblemError, match=r"the text of the action|has no text") as caught:
        SearchTree(open_graph(0), Odd()).run(5)
    assert caught.value.hint

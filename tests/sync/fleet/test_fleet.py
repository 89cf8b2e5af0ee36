"""Fleets on a Ray cluster of simulated nodes: real processes, some of which are killed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import crdtgraph
from crdtgraph import Graph, LocalError
from crdtgraph.mcts import Budget, ProblemError, Stop
from sync.fleet import Fleet, FleetLostError, Pace, ProblemFailedError, Progress
from tests.sync.fleet import games

pytest.importorskip("ray", reason="a fleet needs Ray: pip install 'crdtgraph[ray]'")

pytestmark = pytest.mark.timeout(300)
"""Each test starts up to a dozen processes, of a second of computing each."""
ROOT = Path(__file__).resolve().parents[3]
QUICK = Pace(lease_s=0.2, look_s=0.2, head_s=30.0, start_s=120.0, answer_s=30.0, agree_s=10.0)
OBJECT_STORE_BYTES = 80 << 20
WIN_AT_TWO = "XX.OO...."
"""X to move: 2 wins, everything else lets O win."""


def node_arguments(cpus: int = 2) -> dict[str, Any]:
    return {"num_cpus": cpus, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and one more node, and this process connected to them."""
    import ray
    import ray.cluster_utils

    found = ray.cluster_utils.Cluster(initialize_head=True, head_node_args=node_arguments())
    try:
        found.add_node(**node_arguments())
        ray.init(address=found.address, log_to_driver=False, logging_level="error")
        yield found
    finally:
        ray.shutdown()
        found.shutdown()


@pytest.fixture
def graph() -> Iterator[Graph]:
    with crdtgraph.open("memory:") as found:
        yield found


def once(condition: Callable[[Progress], bool], event: Callable[[], object]) -> Callable[[Progress], None]:
    """Have something happen the first time that a fleet is so far."""
    happened: list[object] = []

    def look(progress: Progress) -> None:
        if not happened and condition(progress):
            happened.append(None)
            event()

    return look


def test_the_answer_comes_home(cluster: Any, graph: Graph) -> None:
    before = graph.commit(message="what was there")
    game = games.TicTacToe(WIN_AT_TWO)
    answer = Fleet(game, workers=2, graph=graph, solve=False, pace=QUICK).run(600)
    assert answer.iterations == answer.visits == 600
    assert (answer.stop, answer.nodes_lost, answer.workers_lost) == (Stop.ITERATIONS, 0, 0)
    # One may be done before the other is there.
    assert 1 <= answer.nodes <= 2
    assert answer.line == ("2",)
    assert graph.refs.targets(answer.ref) == (answer.commit,)
    assert graph.is_durable(answer.commit)
    assert graph.get(answer.commit).message == answer.line[-1]
    assert answer.digest == graph.digest()
    assert answer.store == graph.url
    assert before in graph
    assert answer.search in graph.closed_searches()
    assert not [each for each in graph.fsck() if each.problem]


def test_a_mistake_of_the_problem_is_reported_with_the_traceback_of_the_worker(cluster: Any, graph: Graph) -> None:
    with pytest.raises(ProblemFailedError, match=r"evaluate.*raised ZeroDivisionError: a mistake") as caught:
        Fleet(games.Raises(), workers=1, graph=graph, pace=QUICK).run(100)
    assert "in evaluate" in caught.value.report
    assert "Traceback" in caught.value.__notes__[0]
    assert len(graph) == 0


@pytest.mark.slow
def test_a_certain_win_ends_a_search(cluster: Any, graph: Graph) -> None:
    answer = Fleet(games.TicTacToe(WIN_AT_TWO), workers=2, graph=graph, ref="move", pace=QUICK).run(100_000)
    assert answer.stop is Stop.PROVEN
    assert answer.line == ("2",)
    assert answer.ref == "move"


@pytest.mark.slow
def test_a_budget_of_time_and_a_store_by_its_url(cluster: Any, tmp_path: Path) -> None:
    url = f"rocksdb:{tmp_path / 'ledger'}"
    answer = Fleet(games.Slow(), workers=3, graph=url, directory=tmp_path / "nodes", pace=QUICK).run(Budget(seconds=2))
    assert answer.stop is Stop.TIME
    assert answer.visits >= answer.iterations > 0
    assert len([*(tmp_path / "nodes").iterdir()]) == answer.nodes
    with crdtgraph.open(answer.store, create=False, read_only=True) as graph:
        assert graph.digest() == answer.digest
        assert answer.commit in graph


@pytest.mark.slow
def test_a_search_goes_on_from_an_answer(cluster: Any, graph: Graph) -> None:
    first = Fleet(games.TicTacToe(), workers=2, graph=graph, pace=QUICK).run(300)
    root = graph.parents(first.commit)[0]
    again = Fleet(games.TicTacToe(), workers=2, graph=graph, root=root, ref="second", pace=QUICK).run(100)
    assert graph.is_ancestor(root, again.commit)
    with pytest.raises(LocalError, match="ref 'second' is at"):
        Fleet(games.TicTacToe(), workers=2, graph=graph, ref="second", pace=QUICK).run(100)


@pytest.mark.slow
def test_nodes_may_talk_over_the_network(cluster: Any, graph: Graph) -> None:
    answer = Fleet(games.TicTacToe(), workers=2, graph=graph, beyond_loopback=True, pace=QUICK).run(200)
    assert answer.visits == 200


@pytest.mark.slow
def test_workers_that_die_are_replaced(cluster: Any, graph: Graph, tmp_path: Path) -> None:
    answer = Fleet(games.KillsItsWorker(tmp_path, lives=3), workers=2, graph=graph, pace=QUICK).run(600)
    assert answer.workers_lost == 3
    assert answer.iterations == answer.visits == 600


@pytest.mark.slow
def test_a_problem_that_ends_every_worker_ends_the_search(cluster: Any, graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(FleetLostError, match="workers were lost one after the other") as caught:
        Fleet(games.KillsItsWorker(tmp_path, lives=100), workers=1, graph=graph, pace=QUICK).run(600)
    assert "does evaluating the problem end the process" in caught.value.hint
    assert len(graph) == 0


@pytest.mark.slow
def test_a_replica_that_dies_is_replaced(cluster: Any, graph: Graph, tmp_path: Path) -> None:
    answer = Fleet(games.KillsItsNode(tmp_path), workers=2, graph=graph, pace=QUICK).run(800)
    assert answer.nodes_lost == 1
    assert answer.nodes == 3
    assert answer.iterations == 800
    # The others had heard of nearly all that the lost one did; what they had not was done again.
    assert answer.visits > 400


@pytest.mark.slow
def test_a_node_that_is_removed_is_done_without(cluster: Any, graph: Graph) -> None:
    extra = cluster.add_node(**node_arguments())
    look = once(lambda progress: progress.iterations > 200, lambda: cluster.remove_node(extra))
    answer = Fleet(games.Slow(), workers=3, graph=graph, pace=QUICK).run(1_500, on_progress=look)
    assert answer.nodes == 3
    assert answer.nodes_lost == 1
    assert answer.iterations == 1_500
    assert answer.visits > 1_000


@pytest.mark.slow
def test_a_node_that_is_added_takes_part(cluster: Any, graph: Graph) -> None:
    added: list[Any] = []
    seen: list[int] = []

    def look(progress: Progress) -> None:
        add(progress)
        seen.append(progress.nodes)

    add = once(lambda progress: progress.iterations > 100, lambda: added.append(cluster.add_node(**node_arguments())))
    try:
        answer = Fleet(games.Slow(pause_s=0.004), workers=4, graph=graph, pace=QUICK).run(4_000, on_progress=look)
    finally:
        for node in added:
            cluster.remove_node(node)
    assert answer.nodes == 3
    assert {2, 3} <= {*seen}
    assert answer.visits == 4_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "problem, error",
    [(games.RaisesDeep, "raised KeyError: 'a mistake in the rules'"), (games.NotANumber, "an evaluation is nan")],
)
def test_other_mistakes_of_a_problem(cluster: Any, graph: Graph, problem: type, error: str) -> None:
    with pytest.raises(ProblemError, match=error):
        Fleet(problem(), workers=1, graph=graph, pace=QUICK).run(500)
    assert len(graph) == 0


@pytest.mark.slow
def test_a_head_that_dies_ends_the_search_and_the_best_line_is_kept(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.sync.fleet.headless", str(tmp_path)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    said, found = map(json.loads, done.stdout.splitlines()[-2:])
    assert "the head of the Ray cluster" in said["error"]
    assert "does not answer; the search ended after" in said["error"]
    assert "the best line until then is 'move'" in said["hint"]
    # Ray would have ended the process after 60 s.
    assert not said["ray"]
    assert found["problems"] == []
    assert found["refs"] == ["move"]
    assert found["commits"] > 1


@pytest.mark.slow
def test_the_example_starts_ray_by_itself() -> None:
    program = [sys.executable, "-m", "examples.fleet", "1", "3"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    assert "take 2: commit" in done.stdout
    # The answer stays in a temporary directory, for whoever comes after the program.
    found = re.search(r"of rocksdb:(\S+), which", done.stdout)
    assert found is not None
    with crdtgraph.open(found[1], create=False, read_only=True) as graph:
        assert len(graph) > 1
    shutil.rmtree(found[1])


def test_without_ray_it_is_said_what_to_install() -> None:
    program = """
import sys
sys.modules["ray"] = None
from crdtgraph import LocalError
from sync.fleet import Fleet
from tests.sync.fleet.games import TicTacToe
try:
    Fleet(TicTacToe(), workers=1)
except LocalError as error:
    print(error, "|", error.hint)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert "a fleet needs Ray, which cannot be imported" in done.stdout
    assert "pip install 'crdtgraph[ray]'" in done.stdout


def test_addresses_where_no_cluster_is() -> None:
    program = """
from crdtgraph import LocalError
from sync.fleet import Fleet
from tests.sync.fleet.games import TicTacToe
for address in ("127.0.0.1:1", "nonsense", ""):
    try:
        Fleet(TicTacToe(), workers=1, address=address).run(10)
    except LocalError as error:
        print(error)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == [
        "no Ray cluster answers at 127.0.0.1:1",
        "'nonsense' is not an address",
        "'' is not an address",
    ]


def test_what_is_wrong_before_anything_is_started(tmp_path: Path) -> None:
    game = games.TicTacToe()
    with pytest.raises(LocalError, match="a fleet of 0 workers"):
        Fleet(game, workers=0)
    with pytest.raises(LocalError, match="a budget of 0 iterations"):
        Fleet(game, workers=1).run(0)
    with pytest.raises(LocalError, match="batches of 0 leaves"):
        Fleet(game, workers=1, batch=0)
    with pytest.raises(LocalError, match="-1 CPUs a worker"):
        Fleet(game, workers=1, cpus_per_worker=-1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with pytest.raises(LocalError, match="the problem cannot be sent to other processes"):
            Fleet(games.Unpicklable(tmp_path / "file"), workers=1)
    with pytest.raises(ProblemError, match="is no problem: it lacks"):
        Fleet(object(), workers=1)
    with pytest.raises(ProblemFailedError, match="raised IndexError: a mistake in the actions"):
        Fleet(games.NoIdeaOfActions(), workers=1)
    with pytest.raises(LocalError, match="nothing to search"):
        Fleet(games.Over(), workers=1)
    with pytest.raises(LocalError, match="search name"):
        Fleet(game, workers=1, search="x" * 5000)


def test_workers_that_do_not_fit(cluster: Any, graph: Graph) -> None:
    with pytest.raises(LocalError, match="500 workers of 1 CPUs do not fit the cluster"):
        Fleet(games.TicTacToe(), workers=500, graph=graph).run(10)


def test_a_ledger_that_knows_the_search(cluster: Any, graph: Graph) -> None:
    with graph.search("played") as search:
        search.commit(parents=(), message="x")
    with pytest.raises(LocalError, match="'played' was closed before"):
        Fleet(games.TicTacToe(), workers=1, graph=graph, search="played").run(10)
    with pytest.raises(LocalError, match="is not in memory:"):
        Fleet(games.TicTacToe(), workers=1, graph=graph, root=crdtgraph.CommitId(bytes(32))).run(10)


def test_a_store_of_its_own_stays_only_with_an_answer(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(LocalError, match="the root 000000000000 is not in"):
        Fleet(games.TicTacToe(), workers=1, root=crdtgraph.CommitId(bytes(32))).run(10)
    assert list(tmp_path.glob("crdtgraph-fleet-*")) == []
    answer = Fleet(games.TicTacToe(WIN_AT_TWO), workers=1, pace=QUICK).run(Budget(iterations=100))
    with crdtgraph.open(answer.store, read_only=True) as graph:
        assert graph.refs[answer.ref] == answer.commit

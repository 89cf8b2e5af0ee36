"""`crdtgraph mcts`: a search from the command line, what looks in on it, and what becomes of mistakes."""

from __future__ import annotations

import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import crdtgraph as library
from cli.mcts.budgets import BudgetType, TypedBudget
from cli.mcts.problems import load_problem
from crdtgraph import LocalError, NotFoundError

from .conftest import PATIENCE_S, CommandLine, Outcome, Process, Starter

PROBLEMS = '''
from crdtgraph.mcts import RandomRollouts

class Nim(RandomRollouts):
    """Sixty are there, one to five are taken at a time, whoever takes the last one wins: too much to prove."""
    players = 2
    heap = 60
    identity = "nim of 60"
    def initial(self): return (self.heap, 0)
    def actions(self, state): return range(1, 1 + min(5, state[0]))
    def apply(self, state, action): return (state[0] - action, 1 - state[1])
    def player(self, state): return state[1]
    def reward(self, state): return 1.0 if state[1] == 1 else -1.0

class Small(Nim):
    heap = 7
    identity = "nim of 7"

class Raising(Nim):
    identity = "raising"
    def evaluate(self, state, rng): raise ValueError("boom")

class Tiring(Nim):
    identity = "tiring"
    def __init__(self): self.left = 700
    def evaluate(self, state, rng):
        self.left -= 1
        if not self.left: raise ValueError("boom")
        return super().evaluate(state, rng)

class Nan(Nim):
    identity = "nan"
    def evaluate(self, state, rng): return float("nan")

class Infinite(Nim):
    identity = "infinite"
    def evaluate(self, state, rng): return [float("inf"), 0.0]

class Over(Nim):
    identity = "over"
    def actions(self, state): return ()

class Needy(Nim):
    def __init__(self, heap): self.heap = heap

def make(): return Nim()
def wrong(): return 7
instance = Nim()
number = 7
'''


@pytest.fixture
def folder(crdtgraph: CommandLine, tmp_path: Path) -> Path:
    (tmp_path / "games.py").write_text(PROBLEMS)
    (tmp_path / "broken.py").write_text("\n1 / 0\n")
    (tmp_path / "unreadable.py").write_text("def :\n")
    (tmp_path / "leaving.py").write_text("raise SystemExit(3)\n")
    assert crdtgraph("init", "--store", "search.db").code == 0
    return tmp_path


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def run(crdtgraph: CommandLine, *arguments: str, store: str = "memory:") -> Any:
    done = crdtgraph("mcts", "run", *arguments, "--store", store, "-o", "json")
    assert done.code == 0, done.err
    return done.json


# Running


def test_a_search_finds_the_best_line_and_keeps_it(crdtgraph: CommandLine, folder: Path) -> None:
    found = run(crdtgraph, "games.py:Small", "--budget", "5000", "--promote-to", "best", store="search.db")
    assert found["stop"] == "proven"
    assert found["children"][0]["action"] == "1"
    assert found["children"][0]["proven"] == 1.0
    with library.open("search.db", read_only=True) as graph:
        assert graph.refs["best"].hex() == found["promoted"] == found["line"][-1]["commit"]
        assert graph.get(graph.refs["best"].targets[0]).author == "mcts"
    text = crdtgraph("mcts", "run", "games.py:Small", "--budget", "5000", "--store", "memory:")
    assert text.out.startswith("nim of 7: ")
    assert "best line: 1 " in text.out


def test_equal_seeds_make_equal_trees(crdtgraph: CommandLine, folder: Path) -> None:
    first, again, other = (
        run(crdtgraph, "games.py:Nim", "--budget", "400", "--seed", seed) for seed in ("1", "1", "2")
    )
    for found in (first, again, other):
        del found["seconds"]
    assert first == again != other


def test_the_first_limit_that_is_met_ends_it(crdtgraph: CommandLine, folder: Path) -> None:
    assert run(crdtgraph, "games.py:Nim", "--budget", "100,600s")["stop"] == "iterations"
    assert run(crdtgraph, "games.py:Nim", "--budget", "100000000,50ms")["stop"] == "time"
    settled = run(crdtgraph, "games.py:Nim", "--budget", "100000,600s,stable:8", "--rule", "puct", "--c", "0.01")
    assert settled["stop"] in ("converged", "iterations")


@pytest.mark.parametrize("spec", ["games.py:make", "games.py:instance", "games:Nim", "./games.py:Nim"])
def test_a_problem_is_named_in_several_ways(
    crdtgraph: CommandLine, folder: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    monkeypatch.delitem(sys.modules, "games", raising=False)
    assert run(crdtgraph, spec, "--budget", "50")["problem"] == "nim of 60"


def test_processes_work_along(crdtgraph: CommandLine, folder: Path) -> None:
    found = run(crdtgraph, "games.py:Nim", "--budget", "300", "--workers", "2")
    assert found["iterations"] >= 300
    assert sum(child["visits"] for child in found["children"]) >= 299


def test_a_search_that_is_not_resumed_begins_with_nothing(crdtgraph: CommandLine, folder: Path) -> None:
    for name in ("one", "two"):
        found = run(crdtgraph, "games.py:Nim", "--search", name, "--budget", "300", store="search.db")
        assert sum(child["visits"] for child in found["children"]) == 299
        ref = ("--promote-to", name)
        run(crdtgraph, "games.py:Nim", "--search", f"{name} kept", "--budget", "300", *ref, store="search.db")


def test_a_search_is_resumed(crdtgraph: CommandLine, folder: Path) -> None:
    first = run(crdtgraph, "games.py:Nim", "--budget", "500", "--promote-to", "best", store="search.db")
    on = run(crdtgraph, "games.py:Nim", "--budget", "100", "--resume", "best", store="search.db")
    assert on["search"] == "games.py:Nim from best"
    assert on["root"] == first["root"]
    line = {child["action"]: child["visits"] for child in on["children"]}
    assert line[first["line"][0]["action"]] > first["line"][0]["visits"] - 1
    wrong = crdtgraph("mcts", "run", "games.py:Small", "--budget", "9", "--resume", "best", "--store", "search.db")
    assert wrong.code == 2
    assert "this problem is" in wrong.err


# What goes wrong


@pytest.mark.parametrize(
    "spec, code, text",
    [
        ("games.py:Raising", 2, "of the problem raised ValueError: boom"),
        ("games.py:Nan", 2, "an evaluation is nan"),
        ("games.py:Infinite", 2, "inf"),
        ("games.py:Over", 2, "there is nothing to search"),
        ("games.py:Nothing", 3, "there is no 'Nothing' in games.py"),
        ("games.py:Needy", 2, "gives no problem when it is called: TypeError"),
        ("games.py:wrong", 2, "gave a int, no problem"),
        ("games.py:number", 2, "is a int, no problem"),
        ("broken.py:X", 2, "broken.py does not import: ZeroDivisionError: division by zero, broken.py line 2"),
        ("broken:X", 2, "broken does not import: ZeroDivisionError"),
        ("unreadable.py:X", 2, "unreadable.py does not import: SyntaxError"),
        ("leaving.py:X", 2, "leaving.py does not import: SystemExit"),
        ("missing.py:X", 3, "there is no file missing.py"),
        ("no_such_module:X", 3, "there is no module 'no_such_module'"),
        ("nothing", 2, "names no problem"),
        ("games.py:", 2, "names no problem"),
        (":X", 2, "names no problem"),
        ("openspiel:", 2, "which game?"),
    ],
)
def test_a_problem_that_is_wrong(crdtgraph: CommandLine, folder: Path, spec: str, code: int, text: str) -> None:
    done = crdtgraph("mcts", "run", spec, "--budget", "100", "--store", "memory:")
    assert (done.code, done.out) == (code, "")
    assert text in done.err
    assert "hint: " in done.err
    assert "Traceback" not in done.err


def test_a_game_without_the_extra(crdtgraph: CommandLine, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "crdtgraph.mcts.openspiel", raising=False)
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    done = crdtgraph("mcts", "run", "openspiel:connect_four", "--budget", "100", "--store", "memory:")
    assert done.code == 2
    assert "crdtgraph[games]" in done.err


def test_a_game_of_openspiel(crdtgraph: CommandLine, folder: Path) -> None:
    pytest.importorskip("pyspiel")
    assert run(crdtgraph, "openspiel:tic_tac_toe", "--budget", "50")["iterations"] == 50
    done = crdtgraph("mcts", "run", "openspiel:no_such_game", "--budget", "100", "--store", "memory:")
    assert done.code == 2
    assert "no game" in done.err


def test_a_problem_that_fails_late_costs_nothing_that_was_found(crdtgraph: CommandLine, folder: Path) -> None:
    done = crdtgraph(
        "mcts", "run", "games.py:Tiring", "--budget", "5000", "--store", "search.db", "--promote-to", "best"
    )
    assert done.code == 2
    assert "boom" in done.err
    assert "ended: failed" in done.out
    with library.open("search.db", read_only=True) as graph:
        assert "best" in graph.refs


def test_a_ref_that_is_elsewhere_is_left_there(crdtgraph: CommandLine, folder: Path) -> None:
    with library.open("search.db") as graph:
        before = graph.commit(message="mine", ref="best")
    arguments = ["mcts", "run", "games.py:Nim", "--budget", "100", "--store", "search.db", "--promote-to", "best"]
    refused = crdtgraph(*arguments)
    assert refused.code == 2
    kept = re.search("the best line is kept as ([0-9a-f]{12})", refused.err)
    with library.open("search.db", read_only=True) as graph:
        assert graph.refs["best"] == before
        assert kept is not None
        assert graph.resolve(kept[1])
    assert crdtgraph(*arguments, "--force").code == 0


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["--budget", "100", "--rule", "best"], "'best'"),
        (["--budget", "100", "--c", "nan"], "nan"),
        (["--budget", "100", "--workers", "1000"], "1000"),
        (["--budget", "100", "--promote-to", ""], "ref name"),
        (["--budget", "100", "--search", "x" * 200], "search name"),
        (["--budget", "100", "--listen", "8.8.8.8:1"], "loopback"),
        ([], "--budget"),
    ],
)
def test_options_that_are_wrong(crdtgraph: CommandLine, folder: Path, arguments: list[str], text: str) -> None:
    done = crdtgraph("mcts", "run", "games.py:Nim", *arguments, "--store", "memory:")
    assert done.code == 2
    assert text in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["x" * 122, "\u00e9" * 61, "x" * 2_000])
def test_a_name_that_is_too_long_for_a_search(crdtgraph: CommandLine, folder: Path, name: str) -> None:
    told = f"has {len(name.encode()):,} bytes; at most 121 are possible"
    done = crdtgraph("mcts", "run", "games.py:Small", "--budget", "10", "--search", name, "--store", "memory:")
    assert done.code == 2
    assert told in done.err
    assert "take a shorter name" in done.err


@pytest.mark.parametrize("more", [[], ["--resume", "a" * 64]])
def test_a_search_that_cannot_have_the_name_of_its_problem(
    crdtgraph: CommandLine, folder: Path, more: list[str]
) -> None:
    deep = folder / ("d" * (60 if more else 120))
    deep.mkdir()
    (deep / "games.py").write_text(PROBLEMS)
    arguments = (f"{deep.name}/games.py:Small", "--budget", "10", "--store", "memory:", *more)
    done = crdtgraph("mcts", "run", *arguments)
    assert done.code == 2
    assert "at most 121 are possible" in done.err
    assert "--search NAME" in done.err


def test_which_graph_is_asked(crdtgraph: CommandLine, folder: Path) -> None:
    assert "which graph?" in crdtgraph("mcts", "run", "games.py:Nim", "--budget", "9").err
    assert crdtgraph("mcts", "run", "games.py:Nim", "--budget", "9", "--store", "none.db").code == 3
    closed = ["mcts", "run", "games.py:Nim", "--budget", "9", "--store", "search.db", "--close"]
    assert crdtgraph(*closed).code == 0
    again = crdtgraph(*closed)
    assert again.code == 2
    assert "was closed before" in again.err


@pytest.mark.parametrize(
    "text, iterations, seconds, stable",
    [
        ("10000", 10_000, None, None),
        ("10_000", 10_000, None, None),
        ("30s", None, 30, None),
        ("1.5m", None, 90, None),
        ("250ms", None, 0.25, None),
        ("2h", None, 7_200, None),
        ("stable:500", None, None, 500),
        ("10000, 30s ,stable:500", 10_000, 30, 500),
    ],
)
def test_budgets(text: str, iterations: int | None, seconds: float | None, stable: int | None) -> None:
    assert BudgetType().convert(text, None, None) == TypedBudget(iterations, seconds, stable)


@pytest.mark.parametrize(
    "text",
    ["", "0", "0s", "stable:0", "x", "-3", "1,2", "1s,2m", "30q", "1e9", "stable:", "_", ",", "9" * 40, "nan", "٣"],
)
def test_budgets_that_are_none(crdtgraph: CommandLine, folder: Path, text: str) -> None:
    done = crdtgraph("mcts", "run", "games.py:Nim", f"--budget={text}", "--store", "memory:")
    assert done.code == 2
    assert "--budget" in done.err


def test_a_problem_is_loaded_anew_each_time(folder: Path) -> None:
    assert load_problem("games.py:Nim").heap == 60
    (folder / "games.py").write_text(PROBLEMS.replace("heap = 60", "heap = 61  "))
    assert load_problem("games.py:Nim").heap == 61
    with pytest.raises(NotFoundError):
        load_problem("games.py:Nim.nothing")
    with pytest.raises(LocalError):
        load_problem("games.py:Nim.heap")


def test_of_many_problems_in_a_file_ten_are_named_and_that_there_are_more(folder: Path) -> None:
    (folder / "games.py").write_text(PROBLEMS + "A = B = C = Nim")
    with pytest.raises(NotFoundError, match="Chess") as caught:
        load_problem("games.py:Chess")
    assert (caught.value.hint or "").endswith(", A, ...")


# A search that others look at


def searching(start: Starter, *arguments: str) -> Process:
    process = start("mcts", "run", "games.py:Nim", "--search", "s", "--budget", "600s", "-o", "json", *arguments)
    process.wait_for("ready")
    return process


def look_until(crdtgraph: CommandLine, visits: int, writers: int = 1, store: str = "search.db") -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done = crdtgraph("mcts", "tree", "s", "--store", store, "-o", "json")
        if done.code == 0:
            found: Any = done.json
            root = found["nodes"][0]
            if root["visits"] >= visits and len(root["writers"]) >= writers:
                return found
        assert time.monotonic() < deadline, done.err + done.out


def test_others_look_in_and_keep_the_best_line(crdtgraph: CommandLine, folder: Path, start: Starter) -> None:
    process = searching(start, "--store", "search.db")
    found = look_until(crdtgraph, 2_000)
    root, *others = found["nodes"]
    assert "nim of 60" in found["problem"]
    assert root["depth"] == 0
    assert {node["depth"] for node in others} == {1, 2}
    assert root["children"] == 5
    assert sum(writer["visits"] for writer in root["writers"]) == root["visits"]
    shallow = crdtgraph("mcts", "tree", "s", "--depth", "1", "--width", "2", "--store", "search.db").out.splitlines()
    assert len(shallow) == 2 + 3
    assert "100%" in shallow[2]
    at = crdtgraph(
        "mcts", "tree", "s", "--root", others[0]["commit"][:12], "--depth", "0", "--store", "search.db", "-o", "json"
    )
    assert at.json["nodes"][0]["commit"] == others[0]["commit"]  # type: ignore[index, call-overload]
    kept = crdtgraph("mcts", "promote", "s", "--ref", "best", "--store", "search.db", "-o", "json").json
    assert kept["commit"] == kept["line"][-1]  # type: ignore[index, call-overload]
    one = crdtgraph("mcts", "promote", "s", others[0]["commit"][:12], "--store", "search.db")
    assert one.out == f"promoted {others[0]['commit']}: {others[0]['action']}\n"
    refused = crdtgraph("mcts", "promote", "s", others[0]["commit"][:12], "--ref", "best", "--store", "search.db")
    assert refused.code == 2
    assert "--force" in refused.err
    ended = process.end(signal.SIGINT)
    assert ended.code == 130
    on = run(crdtgraph, "games.py:Nim", "--budget", "50", "--resume", "best", "--search", "t", store="search.db")
    assert max(child["visits"] for child in on["children"]) > 50


def test_ctrl_c_ends_it_well(crdtgraph: CommandLine, folder: Path, start: Starter) -> None:
    for number, code, workers in ((signal.SIGINT, 130, "0"), (signal.SIGTERM, 143, "2")):
        process = searching(start, "--store", "search.db", "--promote-to", "best", "--workers", workers, "--force")
        look_until(crdtgraph, 500)
        ended = process.end(number)
        assert ended.code == code
        found: Any = ended.json
        assert found["stop"] == "interrupted"
        assert found["iterations"] >= 500
        assert "stopped after" in ended.err
        with library.open("search.db", read_only=True) as graph:
            assert graph.refs["best"].hex() == found["promoted"]
            assert graph.recovery.warnings() == []


def test_a_search_whose_process_is_killed_leaves_a_good_ledger(
    crdtgraph: CommandLine, folder: Path, start: Starter
) -> None:
    process = searching(start, "--store", "search.db")
    look_until(crdtgraph, 500)
    process.end(signal.SIGKILL)
    assert crdtgraph("fsck", "--store", "search.db").code == 0
    assert run(crdtgraph, "games.py:Nim", "--budget", "50", "--search", "s", store="search.db")["iterations"] == 50


def test_peers_grow_one_tree(crdtgraph: CommandLine, folder: Path, start: Starter) -> None:
    first = searching(start, "--store", "search.db", "--listen", "127.0.0.1:0")
    address = re.search(r"listening on (\S+)", first.err)
    assert address is not None
    second = searching(start, "--store", "memory:", "--peer", address[1], "--seed", "2")
    found = look_until(crdtgraph, 1_000, writers=2)
    assert len(found["nodes"][0]["writers"]) == 2
    # A third one with another problem is told so, and one beside the node, by its control socket, joins.
    other = crdtgraph("mcts", "run", "games.py:Nim", "--search", "s", "--budget", "200", "--node", "search.db/control")
    assert other.code == 0, other.err
    for process in (second, first):
        assert process.end(signal.SIGINT).code == 130


def test_what_is_not_there(crdtgraph: CommandLine, folder: Path, node: Process) -> None:
    def asked(*arguments: str) -> Outcome:
        return crdtgraph("mcts", *arguments, "--store", "search.db")

    for command in ("tree", "promote"):
        missing = asked(command, "nothing")
        assert missing.code == 3
        assert "no search 'nothing' is open here" in missing.err
    elsewhere = crdtgraph("mcts", "tree", "s", "--store", "memory:")
    assert elsewhere.code == 4

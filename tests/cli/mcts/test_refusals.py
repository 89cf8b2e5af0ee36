"""What becomes of mistakes: problems that are none or fail, options, names and budgets."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import crdtgraph as library
from cli.mcts.budgets import BudgetType, TypedBudget
from cli.mcts.problems import load_problem
from crdtgraph import LocalError, NotFoundError
from tests.cli.conftest import CommandLine
from tests.cli.mcts.running import PROBLEMS, run


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
        (["--budget", "100", "--search", ""], "search name"),
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

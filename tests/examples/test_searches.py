"""The examples of tree search run, and find what they set out for."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from examples import find_expression


def test_a_formula_that_fits_is_found_and_kept_as_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    program, fit = find_expression.main()
    space: dict[str, object] = {}
    exec(program, space)
    function = space["f"]
    assert callable(function)
    assert [function(x) for x, _ in find_expression.DATA] == [y for _, y in find_expression.DATA]
    assert fit == 1
    assert "are kept" in capsys.readouterr().out


def test_a_network_plays_tic_tac_toe_to_a_draw(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numpy", reason="numpy is not installed: pip install 'crdtgraph[games]'")
    neural = importlib.import_module("examples.neural")
    assert neural.winner(neural.main(iterations=300)) == 0
    assert "in 1" in capsys.readouterr().out


def test_connect_four_is_played_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyspiel", reason="OpenSpiel is not installed: pip install 'crdtgraph[games]'")
    connect_four = importlib.import_module("examples.connect_four")
    board = connect_four.main(iterations=60)
    assert abs(board.count("x") - board.count("o")) <= 1
    assert "of the ledger" in capsys.readouterr().out


def test_the_first_program_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "mcts.md").read_text(encoding="utf-8")
    program = page.split("```python\n")[1].split("```")[0]
    exec(program, {"__name__": "page"})
    assert "['1', " in capsys.readouterr().out

"""The benchmarks of tree search measure what they say: games are whole, and the peer has the search."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import trio

pytest.importorskip("pyspiel", reason="OpenSpiel is not installed: pip install 'crdtgraph[games]'")


@pytest.mark.parametrize("name", ["tic_tac_toe", "hex(board_size=3)"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_game_is_played_to_its_end(name: str, number: int) -> None:
    strength = importlib.import_module("benchmarks.mcts_strength")
    assert strength._play((name, number, 20)) in (0.0, 0.5, 1.0)


def test_we_win_a_game_that_is_won(monkeypatch: pytest.MonkeyPatch) -> None:
    strength = importlib.import_module("benchmarks.mcts_strength")
    # Hex on so small a board is won by whoever moves first and knows it.
    assert strength._play(("hex(board_size=2)", 0, 200)) == 1.0
    assert strength._play(("hex(board_size=2)", 1, 200)) == 0.0


@pytest.mark.slow
def test_overhead_is_measured_with_a_peer(tmp_path: Path) -> None:
    overhead = importlib.import_module("benchmarks.mcts_overhead")
    times = trio.run(overhead._measure, tmp_path, 100, 1)
    assert list(times) == ["MCTSBot", "node and peer", "their rollouts", "transpositions", "graph alone"]
    assert all(len(rows) == 1 for rows in times.values())

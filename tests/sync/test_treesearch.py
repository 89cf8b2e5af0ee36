"""Methods about trees that are searched in a node: what they keep of one, and what they leave as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from crdtgraph import LocalError
from crdtgraph.mcts import Budget, SearchTree
from sync import ControlClient, Node
from sync.control import open_control
from sync.methods import Target
from tests.sync.problems import Nim
from tests.sync.replicas import replica


def test_a_ref_that_cannot_move_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    async def main() -> None:
        with replica("a") as graph:
            elsewhere = graph.commit(message="elsewhere", ref="best")
            with SearchTree(graph, Nim(), name="s") as tree:
                tree.run(Budget(iterations=50))
                tree.flush()
                before = graph.digest()
                async with (
                    Node(graph) as node,
                    open_control(tmp_path / "control", Target(graph, node)),
                    await ControlClient.connect(tmp_path / "control") as client,
                ):
                    with pytest.raises(LocalError, match="'best' is at") as refused:
                        await client.call("mcts_promote", search="s", ref="best")
                    assert "--force" in refused.value.hint
                    with pytest.raises(LocalError, match="ref name"):
                        await client.call("mcts_promote", search="s", ref="")
                    assert graph.digest() == before
                    assert graph.refs["best"] == elsewhere
                    kept = await client.call("mcts_promote", search="s", ref="best", force=True)
                assert isinstance(kept, dict)
                assert graph.refs["best"] == kept["commit"]

    trio.run(main)
